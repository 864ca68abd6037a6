"""A block as one safetensors file, written and read without MLX: 8 bytes of length, a JSON header, the tensors.

https://github.com/huggingface/safetensors#format. The first thing in the header is a CRC-32 of the whole file, taken
with zeros in its own place: what was truncated, torn or has rotted is told from what was written.
"""

import base64
import binascii
import json
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inference.engine.cache.entry import Entry, Tensor

FORMAT = "fmlx-block-1"
LENGTH = struct.Struct("<Q")
OPENING = b'{"__metadata__":{"crc32":"'
CRC_AT = LENGTH.size + len(OPENING)
NO_CRC = b"00000000"
MOST_HEADER_BYTES = 16 * 1024**2
SIZES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2, "I16": 2, "U16": 2}
SIZES |= {"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}
Buffer = bytes | bytearray | memoryview


class Corrupt(Exception):
    """A file that is not the block it should be."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a file says of itself before its tensors."""

    key: bytes
    parent: bytes | None
    model: str
    name: str
    tokens: bytes
    complete: bool
    meta: dict[str, str]
    tensors: dict[str, tuple[str, tuple[int, ...], int, int]]  # dtype, shape, begin and end in the file


def encode(entry: Entry) -> list[Buffer]:
    """The file in parts, to be written one after another; the tensors are not copied."""
    layout, parts, at = {}, [], 0
    for name, tensor in sorted(entry.tensors.items(), key=lambda item: (-SIZES[item[1].dtype], item[0])):
        part = _flat(tensor)
        if part.nbytes != SIZES[tensor.dtype] * math.prod(tensor.shape):
            raise ValueError(f"{name} has {part.nbytes} bytes, which are not {tensor.shape} of {tensor.dtype}.")
        layout[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": (at, at + part.nbytes)}
        parts.append(part)
        at += part.nbytes
    header = _header(entry, layout)
    crc = zlib.crc32(header)
    for part in parts:
        crc = zlib.crc32(part, crc)
    return [header[:CRC_AT] + b"%08x" % crc + header[CRC_AT + len(NO_CRC) :], *parts]


def _flat(tensor: Tensor) -> memoryview:
    data = memoryview(tensor.data)
    return data.cast("B") if data.nbytes else memoryview(b"")  # a view with a zero in its shape cannot be cast


def _header(entry: Entry, layout: dict[str, Any]) -> bytes:
    about = {
        "crc32": NO_CRC.decode(),
        "format": FORMAT,
        "key": entry.key.hex(),
        "parent": entry.parent.hex() if entry.parent else "",
        "model": entry.model,
        "name": entry.name,
        "tokens": base64.b64encode(entry.tokens).decode(),
        "complete": str(int(entry.complete)),
        "meta": json.dumps(dict(entry.meta), separators=(",", ":")),
    }
    text = json.dumps({"__metadata__": about} | layout, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return LENGTH.pack(len(text)) + text


def decode(data: bytearray, key: bytes, model: str) -> Entry:
    """The block in a file's bytes; its tensors are views of them. Raises Corrupt, also when it is another block."""
    label = read_label(data, len(data))
    if (label.key, label.model) != (key, model):
        raise Corrupt("another block is in its place")
    _check(data)
    view = memoryview(data).toreadonly()
    tensors = {name: Tensor(dtype, shape, view[a:b]) for name, (dtype, shape, a, b) in label.tensors.items()}
    about = (label.key, label.parent, label.model, label.name, label.tokens)
    return Entry(*about, tensors, label.meta, label.complete)


def _check(data: bytearray) -> None:
    view = memoryview(data)
    crc = zlib.crc32(view[CRC_AT + len(NO_CRC) :], zlib.crc32(NO_CRC, zlib.crc32(view[:CRC_AT])))
    if data[CRC_AT : CRC_AT + len(NO_CRC)] != b"%08x" % crc:
        raise Corrupt("its checksum is wrong")


def header_bytes(beginning: Buffer) -> int:
    """How many bytes of a file come before its tensors. Raises Corrupt."""
    if len(beginning) < LENGTH.size:
        raise Corrupt("it is too short")
    (length,) = LENGTH.unpack_from(beginning)
    if length > MOST_HEADER_BYTES:
        raise Corrupt("its header has no sensible length")
    return int(LENGTH.size + length)


def read_label(beginning: Buffer, size: int) -> Label:
    """What the header says; `size` is the file's, in bytes. Raises Corrupt."""
    start = header_bytes(beginning)
    if len(beginning) < start:
        raise Corrupt("it is too short")
    try:
        header = json.loads(bytes(beginning[LENGTH.size : start]))
        about = header.pop("__metadata__")
        if about["format"] != FORMAT:
            raise Corrupt("it has another format")
        tensors = {name: _placed(facts, start) for name, facts in header.items()}
        label = Label(
            bytes.fromhex(about["key"]),
            bytes.fromhex(about["parent"]) or None,
            about["model"],
            about["name"],
            base64.b64decode(about["tokens"], validate=True),
            about["complete"] == "1",
            json.loads(about["meta"]),
            tensors,
        )
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise Corrupt("its header cannot be read") from error
    if max((end for *_, end in tensors.values()), default=start) != size:
        raise Corrupt("its length is not what its header says")
    return label


def _placed(facts: dict[str, Any], start: int) -> tuple[str, tuple[int, ...], int, int]:
    dtype, shape, (begin, end) = facts["dtype"], tuple(facts["shape"]), facts["data_offsets"]
    if SIZES[dtype] * math.prod(shape) != end - begin:
        raise Corrupt("a tensor's bytes are not what its shape says")
    return dtype, shape, start + begin, start + end


def length(parts: Sequence[Buffer]) -> int:
    return sum(memoryview(part).nbytes for part in parts)
