"""What a clip is to be made of and how large: the `spec` of the node's `start` message to an upscaling worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from memory.protocol import WorkerFailed

PATHS = ("model_dir", "output_dir", "artifacts_dir")


@dataclass(frozen=True, slots=True)
class Spec:
    """`parts` name the artifacts of raw frames, and of each which frames: {name, first, end}. `width` and `height` are
    theirs; what is made is `factor` times that. A tile has `tile` pixels of what is made each way and shares `overlap`
    with the next; `chunk` frames (4n + 1) are made at a time, of which `context` were in the chunk before.
    """

    model_dir: Path
    output_dir: Path
    artifacts_dir: Path
    parts: Sequence[Mapping[str, Any]]
    width: int
    height: int
    fps: float
    seed: int
    lease_bytes: int
    factor: int
    tile: int
    overlap: int
    chunk: int
    context: int

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> "Spec":
        """Read a spec; fields this version does not know are ignored.

        Raises:
            WorkerFailed: a field is missing.
        """
        known = {field.name: message[field.name] for field in fields(cls) if field.name in message}
        known |= {name: Path(known[name]) for name in PATHS if name in known}
        try:
            return cls(**known)
        except TypeError as error:
            raise WorkerFailed("worker_error", f"The node sent an incomplete spec: {error}.") from error
