"""Where set-up puts things, and the marks it leaves there so that it need not do them again."""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
MAKE = ROOT / ".make"
REQUIREMENTS = ROOT / "requirements"
TEST_HOME = MAKE / "test-home"  # the suite's own FMLX_HOME: its worker environment is kept from run to run


def home() -> Path:
    """The FMLX_HOME that the site will use."""
    return Path(os.environ.get("FMLX_HOME") or "~/.fmlx").expanduser().absolute()


def digest(*paths: Path) -> str:
    """One hash over the names and contents of files; a file that is not there counts too."""
    whole = hashlib.sha256()
    for path in paths:
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"
        whole.update(f"{path.name} {content}\n".encode())
    return whole.hexdigest()


def read_mark(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def write_mark(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)
