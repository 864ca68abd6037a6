"""python -m videos.runtimes.mlx_gen.ingest: looks at one file that somebody sent, and decodes it.

A process of its own for each, with little memory and time: whatever a hostile file does to a decoder, it does here. One
JSON object on standard input says what is wanted; one on standard output says what was found, or why it is refused.
"""

import hashlib
import json
import resource
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from videos.runtimes.mlx_gen.artifacts import Shelf

MEMORY_BYTES = 2 * 1024**3  # of address space; 50 megapixels are 150 MB of RGB, and a video is decoded frame by frame
CPU_SECONDS = 60
FILE_BYTES = 4 * 1024**3
KINDS = {b"\x89PNG\r\n\x1a\n": ("PNG", "image/png"), b"\xff\xd8\xff": ("JPEG", "image/jpeg")}
PREVIEW, PREVIEW_SIDE, PREVIEW_QUALITY = "input.webp", 512, 90
PICTURES_IN_MP4 = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis")
CODECS = ("h264", "hevc", "mpeg4", "vp9", "av1")
PAPER = (255, 255, 255)  # behind what is transparent


class Refused(Exception):
    """Why a file is not taken: the end of a sentence that begins with its name."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`task` is check, picture or clip. `mode` is how a picture comes to `width` x `height`; adaptive takes a shape
    near the picture's own with no more pixels, its sides in multiples of `multiple`.
    """

    task: str
    path: str
    most_pixels: int
    folder: str = ""
    width: int = 0
    height: int = 0
    multiple: int = 16
    mode: str = "crop"
    most_frames: int = 0


def main() -> int:
    wanted = Wanted(**json.load(sys.stdin))
    _limit()
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # ours is checked before anything is decoded
    try:
        found = {"check": _check, "picture": _picture, "clip": _clip}[wanted.task](wanted)
    except Refused as refused:
        found = {"refused": str(refused)}
    except MemoryError:
        found = {"refused": "needs more memory to decode than a file may have here"}
    except Exception as error:  # noqa: BLE001  the outermost loop: decoders raise whatever they like at a broken file
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        found = {"refused": "cannot be decoded: it is damaged or cut short"}
    json.dump(found, sys.stdout)
    return 0


def _limit() -> None:
    for which, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(which, (most, most))
        except (ValueError, OSError):
            continue  # macOS knows no bound on address space; the caller's clock and the pixels still bound it


def _check(wanted: Wanted) -> dict[str, Any]:
    kind = _kind(wanted.path)
    if kind[1] == "video/mp4":
        return _look_at_video(wanted)
    image = _decoded(wanted, kind)
    return {"media_type": kind[1], "width": image.width, "height": image.height}


def _kind(path: str) -> tuple[str, str]:
    """By the first bytes, never by the name."""
    with Path(path).open("rb") as file:
        head = file.read(16)
    for magic, kind in KINDS.items():
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP", "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] not in PICTURES_IN_MP4:
        return "MP4", "video/mp4"
    raise Refused("is not a PNG, JPEG, WebP or MP4 by its content")


def _decoded(wanted: Wanted, kind: tuple[str, str]) -> Image.Image:
    """Upright, RGB, 8 bits. Nothing is decoded before its size is known to be within the bound."""
    if kind[1] == "video/mp4":
        raise Refused("is a video, where a picture is needed")
    with Image.open(wanted.path, formats=[kind[0]]) as image:
        pixels = image.width * image.height
        if pixels > wanted.most_pixels:
            raise Refused(f"has {pixels:,} pixels; {wanted.most_pixels:,} is the most this server decodes")
        if kind[0] != "JPEG" and getattr(image, "n_frames", 1) > 1:  # phones keep more beside a JPEG's own picture
            raise Refused("is animated; send a still picture")
        image.load()
        return _in_colour(ImageOps.exif_transpose(image))


def _in_colour(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of gray
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        above = image.convert("RGBA")
        image = Image.new("RGBA", above.size, (*PAPER, 255))
        image.alpha_composite(above)
    return image.convert("RGB")


def _picture(wanted: Wanted) -> dict[str, Any]:
    image = _decoded(wanted, _kind(wanted.path))
    fitted = fit(image, *_canvas(wanted, image.size), wanted.mode)
    width, height = fitted.size
    key = _write(wanted, "picture", [fitted.tobytes()], (1, height, width, 3))
    return {"key": key, "width": width, "height": height} | _previewed(wanted, fitted)


def _previewed(wanted: Wanted, image: Image.Image) -> dict[str, Any]:
    path = Path(wanted.folder) / PREVIEW
    image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS)
    image.save(path, format="WEBP", quality=PREVIEW_QUALITY)
    return {"preview": PREVIEW, "preview_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _canvas(wanted: Wanted, source: tuple[int, int]) -> tuple[int, int]:
    if wanted.mode != "adaptive":
        return wanted.width, wanted.height
    return adapted(source, wanted.width * wanted.height, wanted.multiple)


def adapted(source: tuple[int, int], pixels: int, multiple: int) -> tuple[int, int]:
    """Of the sides in multiples, no more than `pixels` together, those whose shape is nearest to the source's."""
    shape = source[0] / source[1]
    found = []
    for wide in range(multiple, max(multiple, pixels // multiple) + 1, multiple):
        high = max(multiple, round(wide / shape / multiple) * multiple)
        if wide * high <= max(pixels, multiple * multiple):
            found.append((wide, high))
    most = max((wide * high for wide, high in found), default=0)
    large = [size for size in found if size[0] * size[1] >= 0.8 * most] or [(multiple, multiple)]
    return min(large, key=lambda size: (abs(size[0] / size[1] / shape - 1), -size[0] * size[1]))


def fit(image: Image.Image, width: int, height: int, mode: str) -> Image.Image:
    """As mlx-gen 0.38.0's `ImageUtil.scale_to_dimensions` crops and pads (black); adaptive crops what is left over."""
    if image.size == (width, height):
        return image
    if mode == "pad":
        inside = ImageOps.contain(image, (width, height), Image.Resampling.LANCZOS)
        canvas = Image.new("RGB", (width, height))
        canvas.paste(inside, ((width - inside.width) // 2, (height - inside.height) // 2))
        return canvas
    return ImageOps.fit(image, (width, height), method=Image.Resampling.LANCZOS, centering=(0.5, 0.5))


def _write(wanted: Wanted, kind: str, frames: Any, shape: tuple[int, ...]) -> str:
    """The artifact's key is the SHA-256 of its pixels and their shape; it is renamed when that is known."""
    digest = hashlib.sha256(str(shape).encode())
    shelf = Shelf(Path(wanted.folder), Path(wanted.folder))
    with shelf.draft(f"{kind}-new", {"frames": ("U8", shape)}, {}) as draft:
        for frame in frames:
            digest.update(frame)
            draft.add(frame)
        draft.commit()
    key = digest.hexdigest()
    (Path(wanted.folder) / f"{kind}-new.safetensors").rename(Path(wanted.folder) / f"{kind}-{key}.safetensors")
    return key


def _look_at_video(wanted: Wanted) -> dict[str, Any]:
    import av  # noqa: PLC0415  a third of a second, which a picture need not wait for

    with Path(wanted.path).open("rb") as file, av.open(file, format="mp4") as container:  # reads this file, no other
        stream = _stream(container, wanted)
        first = next(container.decode(stream), None)
        if first is None:
            raise Refused("has no frame that can be decoded")
        container.seek(0)
        packets = sum(packet.size > 0 for packet in container.demux(stream))
        if packets < stream.frames:
            raise Refused(f"promises {stream.frames} frames and holds {packets}: it is cut short")
        return {
            "media_type": "video/mp4",
            "width": stream.width,
            "height": stream.height,
            "frames": packets,
            "fps": float(stream.average_rate or 0),
        }


def _stream(container: Any, wanted: Wanted) -> Any:
    if not container.streams.video:
        raise Refused("has no pictures in it")
    stream = container.streams.video[0]
    if stream.codec_context.name not in CODECS:
        raise Refused(f"is encoded as {stream.codec_context.name}; {', '.join(CODECS)} are read")
    if stream.width * stream.height > wanted.most_pixels:
        raise Refused(f"has {stream.width * stream.height:,} pixels a frame; {wanted.most_pixels:,} is the most")
    return stream


def _clip(wanted: Wanted) -> dict[str, Any]:
    import av  # noqa: PLC0415

    count = _count(wanted)
    preview: list[Image.Image] = []

    def frames() -> Iterator[bytes]:
        with Path(wanted.path).open("rb") as file, av.open(file, format="mp4") as container:
            stream = _stream(container, wanted)
            for number, frame in enumerate(container.decode(stream)):
                if number == count:
                    return
                fitted = fit(frame.to_image(), wanted.width, wanted.height, wanted.mode)
                preview[:] = [fitted] if number == 0 else preview
                yield fitted.tobytes()

    key = _write(wanted, "clip", frames(), (count, wanted.height, wanted.width, 3))
    return {"key": key, "frames": count, "width": wanted.width, "height": wanted.height} | _previewed(
        wanted, preview[0]
    )


def _count(wanted: Wanted) -> int:
    """Frames that can really be decoded, which a container may lie about."""
    import av  # noqa: PLC0415

    if _kind(wanted.path)[1] != "video/mp4":
        raise Refused("is a picture, where a video is needed")
    with Path(wanted.path).open("rb") as file, av.open(file, format="mp4") as container:
        count = 0
        for _ in container.decode(_stream(container, wanted)):
            count += 1
            if count > wanted.most_frames:
                raise Refused(f"has more than {wanted.most_frames} frames, the most that are taken here")
    if not count:
        raise Refused("has no frame that can be decoded")
    return count


if __name__ == "__main__":
    sys.exit(main())
