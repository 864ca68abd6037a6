"""Loaded with `-p tests.early`, before Django reads its settings: every run has an FMLX_HOME of its own.

`FMLX_TEST_DATABASE_URL` and `FMLX_TEST_REDIS_URL` choose what the tests run on; nothing else of the developer's
own configuration is seen. Worker environments are taken from the home where `make test` keeps them, or from
`FMLX_TEST_HOME`.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT_HOME = Path(os.environ.get("FMLX_TEST_HOME") or ROOT / ".make" / "test-home").absolute()
OURS = ("FMLX_TEST_", "FMLX_REQUIRE_")
FOREIGN = ("FMLX_", "DATABASE_URL", "REDIS_URL", "HF_TOKEN", "DJANGO_SETTINGS_MODULE")


def without_configuration() -> dict[str, str]:
    """This process's environment without anything that configures fmlx."""
    return {key: value for key, value in os.environ.items() if key.startswith(OURS) or not key.startswith(FOREIGN)}


def make_home(folder: Path) -> Path:
    """A new FMLX_HOME in `folder`, with the worker environments that are there already."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = KEPT_HOME / "runtimes"
    if kept.is_dir() and not (folder / "runtimes").exists():
        (folder / "runtimes").symlink_to(kept)
    return folder


def _isolate() -> None:
    temporary = Path(tempfile.mkdtemp(prefix="fmlx-test-"))
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    kept = without_configuration()
    os.environ.clear()
    os.environ.update(kept, FMLX_HOME=str(make_home(temporary / "home")))
    for name in ("DATABASE_URL", "REDIS_URL"):
        if url := os.environ.get(f"FMLX_TEST_{name}"):
            os.environ[name] = url


_isolate()
