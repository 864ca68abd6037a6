"""What the package shows to others, and what it leans on."""

import subprocess
import sys
from pathlib import Path

import pytest

import memory

ROOT = Path(memory.__file__).parent


@pytest.mark.parametrize("name", memory.PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(memory, name) is not None


def test_a_name_that_is_not_public_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        memory.Nothing  # noqa: B018


def test_a_worker_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; import memory.protocol; print([m for m in ('django', 'psutil', 'structlog') if m in sys.modules])"
    )
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT.parent)!r}); {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_memory_knows_nothing_of_those_who_use_it() -> None:
    text = "\n".join(path.read_text() for path in ROOT.rglob("*.py"))
    assert not [line for line in text.splitlines() if line.lstrip().startswith(("from videos", "from inference"))]
