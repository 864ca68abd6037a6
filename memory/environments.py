"""The isolated Python environments that workers run in: where they are, how they are built, whether they work.

Standard library only, so that set-up can use it before anything is installed. An environment is built in place
(virtual environments cannot be moved) and its stamp is written last: no stamp, or another one, means build again.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from memory.marking import gettext_noop as _

ROOT = Path(__file__).resolve().parent.parent
STAMP = "fmlx-stamp"
NOT_BUILT = _("The %(runtime)s runtime is not built: there is no %(python)s.")
NO_ANSWER = _("The %(runtime)s runtime did not answer: %(error)s.")
NOT_WORKING = _("The %(runtime)s runtime does not work: %(error)s")
PROBE_SECONDS = 120  # a cold import of MLX from a slow disk takes tens of seconds
CUDA13_DRIVER = 580  # the oldest driver series that runs CUDA 13 (NVIDIA CUDA 13.0 release notes, table 3)

# The module that a runtime's own Python runs to show that it works; it prints one JSON object.
PROBES = {"mlx-gen": "videos.runtimes.mlx_gen.probe", "mlx-lm": "inference.engine.probe"}


class BuildError(Exception):
    """A runtime that cannot be built here. The message is a full sentence."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a runtime's own Python said about itself."""

    ok: bool
    versions: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    mend_command: str = ""
    said: list[dict[str, str]] = field(default_factory=list)  # the problem, to be said in the reader's language


def runtime_dir(home: Path, name: str) -> Path:
    return home.absolute() / "runtimes" / name


def runtime_python(home: Path, name: str) -> Path:
    return runtime_dir(home, name) / "bin" / "python"


def variant() -> str:
    """The platform whose lock file applies here; `FMLX_RUNTIME_VARIANT` overrides.

    Raises:
        BuildError: no runtime is locked for this machine.
    """
    if chosen := os.environ.get("FMLX_RUNTIME_VARIANT"):
        return chosen
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "macos-arm64"
    if sys.platform == "linux":
        return "linux-cuda13" if (nvidia_driver() or 0) >= CUDA13_DRIVER else "linux-cpu"
    raise BuildError(
        f"Worker runtimes are locked for Linux and for Apple silicon; this machine is {sys.platform} "
        f"{platform.machine()}. Set FMLX_RUNTIME_VARIANT to try one of them."
    )


def nvidia_driver(version_file: Path = Path("/proc/driver/nvidia/version")) -> int | None:
    """The major version of the loaded NVIDIA kernel driver, or None without one."""
    try:
        found = re.search(r"Kernel Module.*?\s(\d+)\.\d", version_file.read_text())
    except OSError:
        return None
    return int(found[1]) if found else None


def lock_file(name: str) -> Path:
    """The hash-locked requirement file of a runtime on this platform.

    Raises:
        BuildError: there is none.
    """
    path = ROOT / "requirements" / f"{name}-{variant()}.txt"
    if not path.is_file():
        known = sorted(found.stem for found in path.parent.glob(f"{name}-*.txt"))
        raise BuildError(f"There is no lock file {path.name} in {path.parent}; there are: {', '.join(known)}.")
    return path


def stamp(lock: Path) -> str:
    """What an environment built from `lock` with this interpreter is marked with."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    return f"{lock.name} {digest} python-{platform.python_version()}"


def is_built(home: Path, name: str) -> bool:
    marker = runtime_dir(home, name) / STAMP
    return marker.is_file() and marker.read_text() == stamp(lock_file(name)) and runtime_python(home, name).exists()


def build(home: Path, name: str, say: Callable[[str], None] = print) -> Path:
    """Build the environment of `name` below `home` if it is not there yet; safe to interrupt and to repeat.

    Returns its Python. Two builders of one environment wait for each other.

    Raises:
        BuildError: it could not be made, or it does not work.
    """
    lock, target = lock_file(name), runtime_dir(home, name)
    with _exclusive(target, say):
        if is_built(home, name):
            say(f"The {name} runtime is ready in {target}.")
            return runtime_python(home, name)
        say(f"[1/3] Making a Python {platform.python_version()} environment for {name} in {target}")
        _make(target)
        say(f"[2/3] Installing {_count(lock)} packages from {lock.name}")
        _install(runtime_python(home, name), lock, say)
        say(f"[3/3] Checking that {name} works")
        _require(probe(runtime_python(home, name), name), say)
        _write_stamp(target / STAMP, stamp(lock))
    say(f"The {name} runtime is ready in {target}.")
    return runtime_python(home, name)


def probe(python: Path, name: str = "mlx-gen") -> Probe:
    """Ask a runtime's Python to import what its worker needs and to compute something small."""
    mend = f"python manage.py buildworker {name}"
    if not python.exists():
        return _broken(mend, NOT_BUILT, runtime=name, python=str(python))
    command = [str(python), "-m", PROBES[name]]
    try:
        done = subprocess.run(
            command, env=_probe_environment(), capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _broken(mend, NO_ANSWER, runtime=name, error=str(error))
    return _read_probe(name, done, mend)


def _broken(mend: str, text: str, **figures: str) -> Probe:
    return Probe(ok=False, problem=text % figures, mend_command=mend, said=[{"say": text, **figures}])


def _read_probe(name: str, done: subprocess.CompletedProcess[str], mend: str) -> Probe:
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return _broken(mend, NOT_WORKING, runtime=name, error=last)
    said = json.loads(done.stdout.splitlines()[-1])
    problem = said.get("problem", "")
    return Probe(not problem, said.get("versions", {}), problem, mend if problem else "")


def _probe_environment() -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("HOME", "PATH", "TMPDIR", "LANG") if key in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}


@contextmanager
def _exclusive(target: Path, say: Callable[[str], None]) -> Iterator[None]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".{target.name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another process is building {target}; waiting for it.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _make(target: Path) -> None:
    (target / STAMP).unlink(missing_ok=True)
    if target.exists():
        shutil.rmtree(target)
    venv.EnvBuilder(with_pip=False, symlinks=True).create(target)


def _install(python: Path, lock: Path, say: Callable[[str], None]) -> None:
    installers = _installers(python)
    for command in installers:
        done = subprocess.run([*command, "--require-hashes", "--no-deps", "-r", str(lock)], check=False)
        if done.returncode == 0:
            return
        say(f"{Path(command[0]).name} could not install {lock.name} (exit status {done.returncode}).")
    raise BuildError(
        f"The packages of {lock.name} could not be installed; the lines above say why. Mend that and run it again."
        if installers
        else f"Neither uv nor pip is there to install {lock.name}. Install one of them beside {sys.executable}."
    )


def _installers(python: Path) -> list[list[str]]:
    """uv first because it is quick; pip as well, because it may be the one that is configured."""
    found = []
    beside = Path(sys.executable).with_name("uv")
    if uv := str(beside) if beside.exists() else shutil.which("uv"):
        found.append([uv, "pip", "install", "--python", str(python)])
    if importlib.util.find_spec("pip"):
        found.append([sys.executable, "-m", "pip", "--python", str(python), "install", "--no-input"])
    return found


def _require(result: Probe, say: Callable[[str], None]) -> None:
    if not result.ok:
        raise BuildError(result.problem)
    say(", ".join(f"{package} {version}" for package, version in sorted(result.versions.items())))


def _count(lock: Path) -> int:
    return sum(1 for line in lock.read_text().splitlines() if re.match(r"[a-zA-Z0-9]", line))


def _write_stamp(path: Path, text: str) -> None:
    partial = path.with_suffix(".part")
    partial.write_text(text)
    partial.replace(path)
