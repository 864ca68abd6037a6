"""The project's virtual environment and what is installed in it."""

import importlib.util
import sys
from pathlib import Path

from tools.console import Failed, Step, command, succeeds
from tools.places import PYTHON, REQUIREMENTS, VENV, digest, read_mark, write_mark
from tools.system import can_apt, install

PLACE = VENV / "fmlx-place"  # scripts in bin/ hold absolute paths: a moved project needs a new environment
INSTALLED = VENV / "fmlx-installed"
SITE, DEV, UV = "site", "dev", "uv"


def environment() -> Step:
    return Step("Virtual environment", _make, lambda: read_mark(PLACE) == str(VENV) and _works())


def dependencies(profile: str) -> Step:
    """What `site` or `dev` needs. `dev` holds all of `site`, so what is there for `dev` is enough for both."""
    return Step("Dependencies", lambda: _install(_wanted(profile)), lambda: _is_installed(_wanted(profile)))


def _works() -> bool:
    return succeeds(PYTHON, "-c", "import pip, sys; sys.exit(sys.version_info < (3, 11))")


def _make() -> None:
    if VENV.is_symlink():  # to make it anew would empty another project's
        raise Failed(f"{VENV} is a link to {VENV.resolve()}. Remove the link; an environment of its own is made then.")
    if not importlib.util.find_spec("ensurepip"):
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        if not can_apt():
            raise Failed(f"{sys.executable} has no venv module. Install it with: sudo apt-get install {package}")
        install([package])
    moved = read_mark(PLACE) not in ("", str(VENV))
    broken = VENV.exists() and not succeeds(PYTHON, "-c", "")
    command([sys.executable, "-m", "venv", *(["--clear"] if moved or broken else []), VENV])
    write_mark(PLACE, str(VENV))


def _wanted(profile: str) -> str:
    return DEV if read_mark(INSTALLED).startswith(DEV) else profile


def _mark(profile: str) -> str:
    return f"{profile} {digest(REQUIREMENTS / f'{profile}.txt', REQUIREMENTS / 'uv.txt')}"


def _is_installed(profile: str) -> bool:
    return read_mark(INSTALLED) == _mark(profile)


def _install(profile: str) -> None:
    lock = REQUIREMENTS / f"{profile}.txt"
    pip: list[str | Path] = [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "--no-deps",  # a lock is whole, but for what its .excludes leave out
        "-r",
    ]
    command([*pip, REQUIREMENTS / "uv.txt"], failed="See the lines above; the network may be away. Then run it again.")
    try:
        command([VENV / "bin" / "uv", "pip", "sync", "--python", PYTHON, "--require-hashes", lock])
    except Failed:  # pip may be the one that is configured for this network
        command([*pip, lock], failed="Neither uv nor pip could install the dependencies. Mend that and run it again.")
    write_mark(INSTALLED, _mark(profile))
