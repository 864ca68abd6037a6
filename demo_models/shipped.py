"""The demo models that come with the program: are they whole, and putting one into a model folder.

Standard library only: the site installs them without loading any.
"""

import hashlib
import os
import shutil
from functools import lru_cache
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
SUMS = "SHA256SUMS"  # as `sha256sum --check` reads it
SETTINGS = "fmlx.json"  # the owner may change an installed model's request defaults
RANDOM_MARK = "fmlx-demo.json"  # what the random demo models are known by
AWAY = ".no-demos"  # in a model folder: the demos that its owner removed, one a line


class Damaged(Exception):
    """A demo model is not what was shipped. The message is a full sentence."""


def names() -> list[str]:
    return list(_names_in(WEIGHTS))


@lru_cache(maxsize=1)
def _names_in(weights: Path) -> tuple[str, ...]:
    return tuple(sorted(path.parent.name for path in weights.glob(f"*/{SUMS}")))


def is_demo(folder: Path) -> bool:
    """Was it put there by `install`, or made with random weights?"""
    return (folder / RANDOM_MARK).is_file() or (folder.name in names() and (folder / SUMS).is_file())


def kept_away(folder: Path) -> set[str]:
    """The demos that the owner of a model folder removed, and does not want back."""
    return set((folder / AWAY).read_text(encoding="utf-8").split()) if (folder / AWAY).is_file() else set()


def keep_away(folder: Path, name: str) -> None:
    names_away = sorted(kept_away(folder) | {name})
    (folder / AWAY).write_text("".join(f"{one}\n" for one in names_away), encoding="utf-8")


def let_back(folder: Path) -> None:
    (folder / AWAY).unlink(missing_ok=True)


def install(name: str, target: Path) -> bool:
    """Put a shipped model into `target`, which appears whole or not at all. False when it is there already.

    Raises:
        Damaged: the shipped copy is not whole.
        FileExistsError: `target` holds something that is not a demo model.
    """
    source = WEIGHTS / name
    wanted = read_sums(source)
    if target.exists() and read_sums(target) == wanted and set(differing(target, wanted)) <= {SETTINGS}:
        return False
    if target.exists() and not (target / SUMS).is_file() and not (target / RANDOM_MARK).is_file():
        raise FileExistsError(f"{target} is there already and is not a demo model; it is left as it is.")
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        shutil.copytree(source, part)
        if changed := differing(part, wanted):
            raise Damaged(f"{source} is damaged: {', '.join(changed)} is not what was shipped. Fetch fmlx again.")
        _swap(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True


def differing(folder: Path, wanted: dict[str, str]) -> list[str]:
    """The files that are missing or have other bytes."""
    return [name for name, digest in wanted.items() if _digest(folder / name) != digest]


def read_sums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file by its name; empty when there is no list."""
    if not (folder / SUMS).is_file():
        return {}
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def seal(folder: Path) -> None:
    """List every file in `folder` with its SHA-256."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    lines = [f"{_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _swap(part: Path, target: Path) -> None:
    old = part.with_name(part.name + ".old")
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)
