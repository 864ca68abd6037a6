"""What one step hands to the next: a safetensors file that is named by what it was made from and verified when read.

Standard library only. Format: 8 bytes little-endian header length, a JSON header, the data
(https://github.com/huggingface/safetensors). The header's metadata holds the facts of the file, the SHA-256 of the data
(`data_sha256`) and of the header with that (`seal`), so that no byte can change unseen.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any

ITEM_BYTES = {"F32": 4, "BF16": 2, "F16": 2, "U8": 1, "U32": 4}
BLANK = "0" * 64
MAX_HEADER_BYTES = 1024 * 1024  # ours have hundreds
SUFFIX = ".safetensors"
Layout = Mapping[str, tuple[str, tuple[int, ...]]]  # a tensor's dtype, as safetensors calls it, and shape


class Broken(Exception):
    """A file that is not what was written."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An artifact on the shelf. `bytes` is the size of the file, `sha256` that of its data."""

    name: str
    bytes: int
    sha256: str


class Found:
    """An artifact that was verified, held open: its facts and layout, and the bytes of each tensor as they are asked
    for, so that a long video's frames are never in memory together. Whoever removes the file does not disturb it.
    """

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError, or Broken."""
        self._file = path.open("rb")
        try:
            self._start, header = _read_header(self._file)
            self.facts: dict[str, Any] = json.loads(header["__metadata__"]["facts"])
            tensors = {name: one for name, one in header.items() if name != "__metadata__"}
            self.layout = {name: (one["dtype"], tuple(one["shape"])) for name, one in tensors.items()}
            self._places = {name: tuple(one["data_offsets"]) for name, one in tensors.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._file.close()
            raise Broken(f"its header cannot be read ({error})") from None
        except Broken:
            self._file.close()
            raise
        self.kept = Kept(path.name.removesuffix(SUFFIX), path.stat().st_size, header["__metadata__"]["data_sha256"])

    def bytes(self, tensor: str, start: int = 0, end: int | None = None) -> bytes:
        """Those from `start` to before `end`, or the tensor's last."""
        first, last = self._places[tensor]
        last = last if end is None else first + end
        return os.pread(self._file.fileno(), last - first - start, self._start + first + start)

    def close(self) -> None:
        self._file.close()


class Shelf:
    """A folder of artifacts. Files are drafted in another folder of the same file system, and appear whole."""

    def __init__(self, folder: Path, drafts: Path) -> None:
        self._folder, self._drafts = folder, drafts
        for path in (folder, drafts):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def draft(self, name: str, layout: Layout, facts: Mapping[str, Any]) -> "Draft":
        return Draft(self._drafts / f".{name}.part", self._folder / f"{name}{SUFFIX}", layout, facts)

    def read(self, name: str) -> Found | None:
        """None when it is not there, or is broken: then it is removed, and the log says so."""
        path = self._folder / f"{name}{SUFFIX}"
        try:
            return Found(path)
        except FileNotFoundError:
            return None
        except Broken as broken:
            sys.stderr.write(f"{path.name} is made anew, since it is not what was written: {broken}\n")
            path.unlink(missing_ok=True)
            return None

    def named(self, prefix: str) -> list[str]:
        """The names on the shelf that begin so, in order."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"{prefix}*{SUFFIX}"))

    def remove(self, name: str) -> None:
        (self._folder / f"{name}{SUFFIX}").unlink(missing_ok=True)


class Draft:
    """An artifact being written, tensor after tensor in the order of their names. Leaving without `commit` drops it."""

    def __init__(self, part: Path, target: Path, layout: Layout, facts: Mapping[str, Any]) -> None:
        self._part, self._target = part, target
        self._header = _header(layout, facts)
        self._file = part.open("wb")
        self._file.write(len(self._header).to_bytes(8, "little") + self._header)
        self._digest = hashlib.sha256()
        self._missing = sum(_size(*one) for one in layout.values())

    def add(self, data: bytes | memoryview) -> None:
        self._digest.update(data)
        self._missing -= memoryview(data).nbytes
        self._file.write(data)

    def commit(self, *, durable: bool = True) -> Kept:
        """Seal it and give it its name. `durable`: it is flushed to disk before; without, it survives its process but
        not a power cut, after which it is found broken.
        """
        if self._missing:
            raise ValueError(f"{self._target.name} has {-self._missing:+,} bytes more than its layout.")
        data = self._digest.hexdigest()
        for name, value in {"data_sha256": data, "seal": _seal(self._header, data)}.items():
            self._file.seek(8 + _place(self._header, name))
            self._file.write(value.encode())
        self._file.flush()
        if durable:
            os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._target)
        if durable:
            _sync(self._target.parent)
        return Kept(self._target.name.removesuffix(SUFFIX), self._target.stat().st_size, data)

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)


def _read_header(file: BufferedReader) -> tuple[int, dict[str, Any]]:
    """Where the data begins, and the header, when every byte is what was written."""
    length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER_BYTES:
        raise Broken("its header is too long")
    text = file.read(length)
    header: dict[str, Any] = json.loads(text)
    sealed = {name: header["__metadata__"][name] for name in ("data_sha256", "seal")}
    blank = text
    for name, value in sealed.items():
        blank = blank.replace(f'"{name}":"{value}"'.encode(), f'"{name}":"{BLANK}"'.encode())
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # from where the header ends
    if sealed != {"data_sha256": digest, "seal": _seal(blank, digest)}:
        raise Broken("its SHA-256 is another")
    return 8 + length, header


def _header(layout: Layout, facts: Mapping[str, Any]) -> bytes:
    metadata = {"facts": json.dumps(facts, sort_keys=True), "data_sha256": BLANK, "seal": BLANK}
    header: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    for name, (dtype, shape) in sorted(layout.items()):
        end = offset + _size(dtype, shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def _place(header: bytes, name: str) -> int:
    mark = f'"{name}":"'.encode()
    return header.index(mark + BLANK.encode()) + len(mark)


def _seal(header: bytes, data_sha256: str) -> str:
    return hashlib.sha256(header + data_sha256.encode()).hexdigest()


def _size(dtype: str, shape: tuple[int, ...]) -> int:
    return ITEM_BYTES[dtype] * prod(shape)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
