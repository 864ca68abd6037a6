"""The lock files: every version and hash, and no address of any index."""

import os
from itertools import product
from pathlib import Path

from tools.assets import npm
from tools.console import command, say
from tools.places import REQUIREMENTS, VENV

UNIVERSAL = ("uv", "node", "site", "dev")
RUNTIMES = ("mlx-gen", "mlx-lm")
PLATFORMS = {
    "linux-cpu": "x86_64-manylinux_2_35",
    "linux-cuda13": "x86_64-manylinux_2_35",
    "macos-arm64": "aarch64-apple-darwin",
}


def lock() -> None:
    """Lock again what requirements/*.in and package.json ask for. Versions stay unless `UPGRADE` is set."""
    for name in UNIVERSAL:
        _compile(f"{name}.in", f"{name}.txt", "--universal", *_given("--excludes", f"{name}.excludes"))
    for runtime, (platform, triple) in product(RUNTIMES, PLATFORMS.items()):
        overrides = _given("--override", f"{runtime}.overrides", f"{runtime}-{platform}.in")
        _compile(f"{runtime}.in", f"{runtime}-{platform}.txt", "--python-platform", triple, *overrides)
    npm("install", "--package-lock-only")
    say("package-lock.json")


def _given(option: str, *files: str) -> list[str]:
    return [word for file in files if (REQUIREMENTS / file).is_file() for word in (option, file)]


def _compile(source: str, target: str, *options: str) -> None:
    uv: list[str | Path] = [VENV / "bin" / "uv", "pip", "compile", "--quiet", "--generate-hashes"]
    upgrade = ["--upgrade"] if os.environ.get("UPGRADE") else []
    command(
        [*uv, "--python-version", "3.11", *upgrade, *options, source, "--output-file", target],
        cwd=REQUIREMENTS,
        env={"UV_CUSTOM_COMPILE_COMMAND": "make lock", "MACOSX_DEPLOYMENT_TARGET": "14.0"},
    )
    say(f"requirements/{target}")
