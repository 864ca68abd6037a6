"""The lock files: every version and hash, and no address of any index."""

import os
from pathlib import Path

from tools.assets import npm
from tools.console import command, say
from tools.places import REQUIREMENTS, VENV

UNIVERSAL = ("uv", "node", "site", "dev")
PLATFORMS = {
    "linux-cpu": "x86_64-manylinux_2_35",
    "linux-cuda13": "x86_64-manylinux_2_35",
    "macos-arm64": "aarch64-apple-darwin",
}


def lock() -> None:
    """Lock again what requirements/*.in and package.json ask for. Versions stay unless `UPGRADE` is set."""
    for name in UNIVERSAL:
        _compile(f"{name}.in", f"{name}.txt", "--universal")
    for platform, triple in PLATFORMS.items():
        overrides = [word for file in ("mlx-gen.overrides", f"mlx-gen-{platform}.in") for word in ("--override", file)]
        _compile("mlx-gen.in", f"mlx-gen-{platform}.txt", "--python-platform", triple, *overrides)
    npm("install", "--package-lock-only")
    say("package-lock.json")


def _compile(source: str, target: str, *options: str) -> None:
    uv: list[str | Path] = [VENV / "bin" / "uv", "pip", "compile", "--quiet", "--generate-hashes"]
    upgrade = ["--upgrade"] if os.environ.get("UPGRADE") else []
    command(
        [*uv, "--python-version", "3.11", *upgrade, *options, source, "--output-file", target],
        cwd=REQUIREMENTS,
        env={"UV_CUSTOM_COMPILE_COMMAND": "make lock", "MACOSX_DEPLOYMENT_TARGET": "14.0"},
    )
    say(f"requirements/{target}")
