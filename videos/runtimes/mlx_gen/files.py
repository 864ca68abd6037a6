"""Mux, the last step: from raw frames to the video, its thumbnail and its sheet, verified."""

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


def make(frames: Found, recipe: Recipe, spec: Spec, phases: Phases) -> dict[str, Any]:
    """Returns the manifest's entry of each file.

    Raises:
        WorkerFailed: `output_invalid`.
        Aborted: nothing is left in `output_dir`.
    """
    with output.Output(spec.output_dir) as files:
        pictures = Pictures(recipe.frames)
        part = files.path(VIDEO)
        phases.begin("muxing", 1)
        with Mp4(part, fps=recipe.fps, width=recipe.width, height=recipe.height) as mp4:
            _write(frames, recipe, mp4, pictures, phases)
            mp4.finish()
        pictures.save_thumbnail(files.path(THUMBNAIL))
        grid = pictures.save_sheet(files.path(SHEET))
        phases.step(1)
        if spec.verify:
            _verify(recipe, files, phases)
        manifest = {
            "video": output.describe(part, VIDEO, "video/mp4"),
            "thumbnail": output.describe(files.path(THUMBNAIL), THUMBNAIL, "image/webp"),
            "spritesheet": output.describe(files.path(SHEET), SHEET, "image/webp") | grid,
        }
        files.commit()
    return manifest


def _write(frames: Found, recipe: Recipe, mp4: Mp4, pictures: Pictures, phases: Phases) -> None:
    size = recipe.width * recipe.height * 3
    for index in range(recipe.frames):
        phases.checkpoint()
        data = frames.bytes("frames", index * size, (index + 1) * size)
        frame = Image.frombytes("RGB", (recipe.width, recipe.height), data)
        mp4.add(frame)
        pictures.add(index, frame)


def _verify(recipe: Recipe, files: output.Output, phases: Phases) -> None:
    phases.begin("verifying", 1)
    verify.require_playable(
        files.path(VIDEO),
        frames=recipe.frames,
        fps=recipe.fps,
        width=recipe.width,
        height=recipe.height,
        checkpoint=phases.checkpoint,
    )
    phases.step(1)
