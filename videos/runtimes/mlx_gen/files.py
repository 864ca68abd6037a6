"""Mux, the last step: from raw frames to the video, its thumbnail and its sheet, verified."""

from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

from videos.runtimes.mlx_gen import output, verify
from videos.runtimes.mlx_gen.artifacts import Found
from videos.runtimes.mlx_gen.mux import Mp4
from videos.runtimes.mlx_gen.phases import Phases
from videos.runtimes.mlx_gen.pictures import Pictures
from videos.runtimes.mlx_gen.recipe import Recipe
from videos.runtimes.mlx_gen.spec import Spec

VIDEO, THUMBNAIL, SHEET = "video.mp4", "thumbnail.webp", "spritesheet.webp"


Parts = Sequence[tuple[Found, range]]  # of each, the frames that are taken


def parts_of(frames: Found, recipe: Recipe, before: Found | None = None) -> Parts:
    """What the file is made of. `before` are the frames that the new ones go on from: they come first, and the new
    ones' own head, which is the same frames once more, is left out.
    """
    if before is None:
        return [(frames, range(recipe.frames))]
    return [(before, range(_count(before))), (frames, range(recipe.head, recipe.frames))]


def told(parts: Parts) -> list[dict[str, Any]]:
    """The same for the manifest: names on the shelf."""
    return [{"name": found.kept.name, "first": places.start, "end": places.stop} for found, places in parts]


def make(parts: Parts, recipe: Recipe, spec: Spec, phases: Phases) -> dict[str, Any]:
    """Returns the manifest's entry of each file.

    Raises:
        WorkerFailed: `output_invalid`.
        Aborted: nothing is left in `output_dir`.
    """
    with output.Output(spec.output_dir) as files:
        total = sum(len(places) for _, places in parts)
        pictures = Pictures(total)
        part = files.path(VIDEO)
        phases.begin("muxing", 1)
        with Mp4(part, fps=recipe.fps, width=recipe.width, height=recipe.height) as mp4:
            for number, frame in enumerate(_all(parts, recipe)):
                phases.checkpoint()
                mp4.add(frame)
                pictures.add(number, frame)
            mp4.finish()
        pictures.save_thumbnail(files.path(THUMBNAIL))
        grid = pictures.save_sheet(files.path(SHEET))
        phases.step(1)
        if spec.verify:
            _verify(recipe, total, files, phases)
        manifest = {
            "video": output.describe(part, VIDEO, "video/mp4"),
            "thumbnail": output.describe(files.path(THUMBNAIL), THUMBNAIL, "image/webp"),
            "spritesheet": output.describe(files.path(SHEET), SHEET, "image/webp") | grid,
        }
        files.commit()
    return manifest


def _count(found: Found) -> int:
    return int(found.layout["frames"][1][0])


def _all(parts: Parts, recipe: Recipe) -> Iterator[Image.Image]:
    size = recipe.width * recipe.height * 3
    for found, places in parts:
        for index in places:
            data = found.bytes("frames", index * size, (index + 1) * size)
            yield Image.frombytes("RGB", (recipe.width, recipe.height), data)


def _verify(recipe: Recipe, total: int, files: output.Output, phases: Phases) -> None:
    phases.begin("verifying", 1)
    verify.require_playable(
        files.path(VIDEO),
        frames=total,
        fps=recipe.fps,
        width=recipe.width,
        height=recipe.height,
        checkpoint=phases.checkpoint,
    )
    phases.step(1)
