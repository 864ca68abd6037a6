"""A finished video, opened again as a player would."""

from collections.abc import Callable
from pathlib import Path

import av

from memory.protocol import WorkerFailed
from videos.runtimes.mlx_gen.mux import rate


def require_playable(
    path: Path, *, frames: int, fps: float, width: int, height: int, checkpoint: Callable[[], None]
) -> None:
    """Decode the whole file and compare it with what was asked. `checkpoint` runs at every frame and may raise.

    Raises:
        WorkerFailed: `output_invalid`, saying what differs.
    """
    try:
        found = _read(path, checkpoint)
    except (av.FFmpegError, IndexError) as error:
        raise WorkerFailed("output_invalid", f"The finished video does not open again: {error}.") from error
    wanted = (frames, width, height)
    if found[:3] != wanted:
        raise WorkerFailed(
            "output_invalid",
            f"The finished video has {found[0]} frames of {found[1]}x{found[2]}, "
            f"where {frames} of {width}x{height} were made.",
        )
    length = float(frames / rate(fps))
    if abs(found[3] - length) > 0.5 / fps:
        raise WorkerFailed(
            "output_invalid", f"The finished video lasts {found[3]:.3f} s; {frames} frames last {length:.3f} s."
        )


def _read(path: Path, checkpoint: Callable[[], None]) -> tuple[int, int, int, float]:
    """Frames, width, height and seconds of the file's first video stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        seconds = float((stream.duration or 0) * (stream.time_base or 0))
        count = 0
        for _ in container.decode(stream):
            checkpoint()
            count += 1
        return count, stream.width, stream.height, seconds
