"""The last files that could not be read, for whoever wants to know why. Bounded, and read by nothing."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

FOLDER_MODE = 0o700
MOST_FILES, MOST_BYTES = 16, 256 * 1024**2


class Quarantine:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)

    def take(self, path: Path, model: str) -> bool:
        """Move a file here, and remove the oldest that are too many. Whether it was still there."""
        try:
            path.rename(self._folder / f"{model}-{path.name}")
        except FileNotFoundError:
            return False
        held = 0
        for number, (_, size, kept) in enumerate(sorted(self._kept(), reverse=True)):
            held += size
            if number >= MOST_FILES or held > MOST_BYTES:
                kept.unlink(missing_ok=True)
        return True

    def empty(self, model: str | None) -> int:
        """Remove a model's files, or all; returns bytes."""
        freed = 0
        for _, size, path in list(self._kept()):
            if model is None or path.name.startswith(model):
                path.unlink(missing_ok=True)
                freed += size
        return freed

    def _kept(self) -> Iterator[tuple[int, int, Path]]:
        """When it was moved [ns], bytes, where."""
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                facts = path.stat()
                yield facts.st_ctime_ns, facts.st_size, path
