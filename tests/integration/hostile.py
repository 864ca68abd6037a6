"""Run in the runtime's Python: `python hostile.py FOLDER` writes a hundred files that nobody should have to open.

Named by what is expected: `ok-…` is decoded, `no-…` is refused, `any-…` may be either, since a damaged file can happen
to decode.
"""

import io
import random
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image

SIDE = 48


def picture(mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(5)
    return Image.fromarray(rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8)).convert(mode)


def saved(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    (image or picture()).save(file, kind, **options)
    return file.getvalue()


def clip() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(9):
            pixels = np.full((64, 64, 3), number * 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, data: bytes, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bombs() -> Iterator[tuple[str, bytes]]:
    for side in (8_000, 30_000, 2**31 - 1):
        yield f"no-bomb-{side}.png", png(side, side, 1, 0, zlib.compress(bytes(10**7), 9))
    yield "no-bomb-rgb.png", png(20_000, 20_000, 8, 2, zlib.compress(bytes(10**7), 9))
    yield "any-bomb-lies.png", png(SIDE, SIDE, 8, 2, zlib.compress(bytes(5 * 10**7), 9))
    text = zlib.compress(bytes(10**8), 9)
    yield "any-bomb-text.png", png(8, 8, 8, 0, zlib.compress(bytes(72)), chunk(b"zTXt", b"a\x00\x00" + text))
    yield "any-bomb-profile.png", png(8, 8, 8, 0, zlib.compress(bytes(72)), chunk(b"iCCP", b"a\x00\x00" + text))
    jpeg = bytearray(saved("JPEG"))
    place = jpeg.index(b"\xff\xc0")
    jpeg[place + 5 : place + 9] = b"\xff\xff\xff\xff"
    yield "no-bomb.jpg", bytes(jpeg)
    yield "no-zero-side.png", png(0, 10, 8, 0, zlib.compress(b""))


def others() -> Iterator[tuple[str, bytes]]:
    for kind in ("GIF", "BMP", "TIFF", "ICO", "PPM", "TGA", "PCX"):
        yield f"no-{kind}.png", saved(kind)
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1/x"/></svg>'
    wrong = {"svg": svg, "html": b"<script>alert(1)</script>", "pdf": b"%PDF-1.7\n", "zip": b"PK\x03\x04" + bytes(99)}
    wrong |= {"elf": b"\x7fELF" + bytes(99), "sh": b"#!/bin/sh\nreboot\n", "empty": b"", "one": b"\x89"}
    wrong |= {"magic": b"\x89PNG\r\n\x1a\n", "jpegmagic": b"\xff\xd8\xff", "riff": b"RIFF\xff\xff\xff\xffWEBP"}
    wrong |= {"ftyp": b"\x00\x00\x00\x20ftypisom" + bytes(400), "wav": b"RIFF\x24\x00\x00\x00WAVE" + bytes(40)}
    wrong |= {"playlist": b"#EXTM3U\nhttp://127.0.0.1/x.ts\n", "text": b"hello" * 100}
    for name, data in wrong.items():
        yield f"no-{name}.png", data


def moving() -> Iterator[tuple[str, bytes]]:
    more = {"save_all": True, "append_images": [picture().rotate(90)], "duration": 50}
    yield "no-animated.webp", saved("WEBP", **more)
    yield "no-animated.png", saved("PNG", **more)


def odd() -> Iterator[tuple[str, bytes]]:
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        yield f"ok-{mode.replace(';', '')}.png", saved("PNG", picture("L" if mode == "I;16" else mode).convert(mode))
    rows = b"".join(b"\x00" + bytes(SIDE * 6) for _ in range(SIDE))
    yield "ok-16bit-rgb.png", png(SIDE, SIDE, 16, 2, zlib.compress(rows))
    yield "ok-cmyk.jpg", saved("JPEG", picture("CMYK"))
    yield "ok-gray.jpg", saved("JPEG", picture("L"))
    yield "ok-progressive.jpg", saved("JPEG", progressive=True)
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    yield "ok-huge-exif.jpg", saved("JPEG", exif=exif)
    yield "any-broken-exif.jpg", saved("JPEG", exif=b"Exif\x00\x00" + b"\xff" * 500)
    for turn in (0, 3, 6, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        yield f"ok-turn-{turn}.jpg", saved("JPEG", exif=exif)
    yield "ok-zip-behind.png", saved("PNG") + b"PK\x03\x04" + bytes(200)
    yield "ok-html-behind.jpg", saved("JPEG") + b"<script>alert(1)</script>"
    yield "ok-php-inside.jpg", saved("JPEG", comment=b"<?php system('id'); ?>")
    yield "ok-thin.png", saved("PNG", Image.new("RGB", (1, 5000)))
    yield "ok-one.png", saved("PNG", Image.new("RGB", (1, 1)))


def damaged() -> Iterator[tuple[str, bytes]]:
    whole = {"png": saved("PNG"), "jpg": saved("JPEG"), "webp": saved("WEBP", lossless=True), "mp4": clip()}
    yield "ok-clip.mp4", whole["mp4"]
    chance = random.Random(3)
    for kind, data in whole.items():
        for share in (0.02, 0.1, 0.3, 0.6, 0.9, 0.99):
            yield f"any-cut-{share}.{kind}", data[: int(len(data) * share)]
        for number in range(6):
            spoilt = bytearray(data)
            for _ in range(1 + 8 * number):
                spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
            yield f"any-spoilt-{number}.{kind}", bytes(spoilt)


if __name__ == "__main__":
    for make in (bombs, others, moving, odd, damaged):
        for name, data in make():
            (Path(sys.argv[1]) / name).write_bytes(data)
