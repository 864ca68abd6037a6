"""From raw frames to the larger file: chunk after chunk, tile after tile."""

import os
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import numpy as np
from mflux.utils.tensor_health import TensorHealthError
from PIL import Image

from memory.protocol import Channel, Message, WorkerFailed
from videos.runtimes.mlx_gen import limits, output, verify
from videos.runtimes.mlx_gen.artifacts import Shelf
from videos.runtimes.mlx_gen.mux import Mp4
from videos.runtimes.mlx_gen.phases import Phases
from videos.runtimes.mlx_gen.upscale import seedvr2
from videos.runtimes.mlx_gen.upscale.checkpoint import Checkpoint
from videos.runtimes.mlx_gen.upscale.frames import Frames
from videos.runtimes.mlx_gen.upscale.model import Model, Noise
from videos.runtimes.mlx_gen.upscale.spec import Spec
from videos.runtimes.mlx_gen.upscale.tiles import Canvas, tiles
from videos.runtimes.mlx_gen.versions import versions

FILE = "upscaled.mp4"


def run(channel: Channel, message: Message) -> Message:
    """Make the clip larger. The process is in `output_dir` while it does.

    Returns:
        The manifest: the file, its size, and what it took in time and memory.

    Raises:
        WorkerFailed: `model_invalid`, `output_invalid` or `artifact_missing`.
        Aborted: the node asked for the end; nothing is left in `output_dir`.
    """
    spec, home = Spec.of(message), Path.cwd()
    spec.output_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(spec.output_dir)
    restore = limits.apply(spec.lease_bytes, low_ram=True)
    frames = Frames(Shelf(spec.artifacts_dir, spec.output_dir), spec.parts, spec.width, spec.height)
    try:
        return _run(spec, frames, Phases(channel))
    except TensorHealthError as error:
        raise WorkerFailed("output_invalid", f"The upscaler computed values that are not finite: {error}") from error
    finally:
        frames.close()
        restore()
        os.chdir(home)


def _run(spec: Spec, frames: Frames, phases: Phases) -> Message:
    mx.reset_peak_memory()
    checkpoint = Checkpoint.of(spec.model_dir)
    width, height = spec.factor * spec.width, spec.factor * spec.height
    with output.Output(spec.output_dir) as files:
        part = files.path(FILE)
        with Mp4(part, fps=spec.fps, width=width, height=height) as mp4:
            for frame in _larger(spec, Model(checkpoint), frames, phases, (height, width)):
                mp4.add(Image.fromarray(frame))
            mp4.finish()
        verify.require_playable(
            part, frames=frames.count, fps=spec.fps, width=width, height=height, checkpoint=phases.checkpoint
        )
        file = output.describe(part, FILE, "video/mp4")
        files.commit()
    wall = phases.finish()
    return {
        "files": {"upscaled": file},
        "family": checkpoint.family,
        "width": width,
        "height": height,
        "frames": frames.count,
        "phase_seconds": phases.seconds,
        "wall_seconds": round(wall, 4),
        "mlx_peak_bytes": limits.mlx_peak_bytes(),
        "peak_memory_bytes": limits.peak_memory_bytes(),
        "versions": versions(),
    }


def _larger(spec: Spec, model: Model, frames: Frames, phases: Phases, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Every frame, [H, W, 3]."""
    height, width = size
    places = tiles(height, width, spec.tile, spec.overlap)
    chunks = seedvr2.chunks(frames.count, spec.chunk, spec.context)
    noise, done = Noise(spec.seed, height, width, model.channels), 0
    phases.begin("upscaling", len(places) * len(chunks))
    for chunk in chunks:
        whole = frames.larger(chunk.input_start_frame, chunk.input_end_frame, width, height)
        canvas = Canvas(len(whole), height, width, spec.overlap)
        for tile in places:
            cut = whole[:, tile.top : tile.bottom, tile.left : tile.right]
            canvas.add(tile, model.restore(cut, tile, noise, chunk.input_start_frame))
            done += 1
            phases.step(done)
        first = chunk.trim_leading_context_frames
        yield from canvas.frames(first, min(first + chunk.output_frame_count, frames.count - chunk.input_start_frame))
