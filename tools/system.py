"""What only the operating system can install: which of it is missing, and who can install it."""

import ctypes.util
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.console import Failed, Step, command, say

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CHROME_ON_MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


@dataclass(frozen=True, slots=True)
class Package:
    """A package by its names, and how to see that what it brings is there."""

    apt: str
    brew: str
    present: Callable[[], bool]


def _has(*names: str) -> Callable[[], bool]:
    return lambda: any(shutil.which(name) for name in names)


def _openblas() -> bool:
    """Apple and NVIDIA bring their own linear algebra."""
    return sys.platform != "linux" or Path("/proc/driver/nvidia").exists() or bool(ctypes.util.find_library("openblas"))


def _postgres() -> bool:
    return bool(shutil.which("initdb")) or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def _fonts() -> bool:
    return sys.platform != "linux" or any(Path("/usr/share/fonts").rglob("*CJK*"))


OPENBLAS = Package("libopenblas0-pthread", "openblas", _openblas)
FOR_TESTS = [
    OPENBLAS,
    Package("chromium", "--cask google-chrome", lambda: _has(*CHROMIUM)() or CHROME_ON_MACOS.exists()),
    Package("redis-server", "redis", _has("redis-server")),
    Package("postgresql", "postgresql@17", _postgres),
    Package("gettext", "gettext", _has("msgfmt")),
    Package("fonts-noto-cjk", "font-noto-sans-cjk", _fonts),
]


def packages_to_run() -> Step:
    return Step("System packages", _offer_openblas, OPENBLAS.present)


def packages_to_test() -> Step:
    return Step("System packages", _require, lambda: not _missing())


def can_apt() -> bool:
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and bool(shutil.which("apt-get"))


def install(names: list[str]) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # RUNLEVEL=1: no service is started by installing it
    command(["apt-get", "update", "-q"], env=quiet)
    command(["apt-get", "install", "-q", "-y", "--no-install-recommends", *names], env=quiet)


def _offer_openblas() -> None:
    """Without it everything works, slowly: MLX's CPU build ships reference BLAS (20 to 60 times, measured)."""
    if can_apt():
        install([OPENBLAS.apt])
    else:
        say(
            f"      OpenBLAS is missing: models run 20 to 60 times slower on this CPU. Mend it with: {_how([OPENBLAS])}"
        )


def _missing() -> list[Package]:
    return [package for package in FOR_TESTS if not package.present()]


def _require() -> None:
    missing = _missing()
    if not can_apt():
        raise Failed(f"The tests need {len(missing)} packages that are not there. Install them with: {_how(missing)}")
    install([package.apt for package in missing])


def _how(packages: list[Package]) -> str:
    if sys.platform == "darwin":
        return " && ".join(f"brew install {package.brew}" for package in packages)
    return f"sudo apt-get install {' '.join(package.apt for package in packages)}"
