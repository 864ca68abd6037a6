"""What one generation was asked to be: the `spec` of the node's `start` message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from memory.protocol import WorkerFailed

PATHS = ("model_dir", "output_dir", "artifacts_dir", "previews_dir")


@dataclass(frozen=True, slots=True)
class Spec:
    """Sizes in pixels, `fps` in frames per second, `lease_bytes` in bytes; None means the model's default.

    `artifacts_dir` is where steps find and leave what they hand on; `step` names the one to do, and all are done when
    it is empty. `previews_dir` is where it is learned how latents look; without it there are no previews. The denoise
    state is written down every `checkpoint_steps` steps or `checkpoint_seconds` seconds.

    `picture` and `last_picture` are keys of artifacts that the clip begins and ends with. `clip` is that of an earlier
    one: with a `strength` from 0 to 1 it is made anew, so different; without, the new one goes on where it ends.
    """

    model_dir: Path
    prompt: str
    width: int
    height: int
    frames: int
    fps: float
    steps: int
    seed: int
    output_dir: Path
    artifacts_dir: Path
    lease_bytes: int
    negative_prompt: str | None = None
    guidance_scale: float | None = None
    guidance_scale_2: float | None = None
    flow_shift: float | None = None
    picture: str = ""
    last_picture: str = ""
    clip: str = ""
    strength: float | None = None
    low_ram: bool = True
    verify: bool = True
    step: str = ""
    checkpoint_steps: int = 5
    checkpoint_seconds: float = 30.0
    previews_dir: Path | None = None
    boundary_ratio: float | None = None
    loras: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> "Spec":
        """Read a spec; fields this version does not know are ignored.

        Raises:
            WorkerFailed: a field is missing.
        """
        known = {field.name: message[field.name] for field in fields(cls) if field.name in message}
        known |= {name: Path(known[name]) for name in PATHS if known.get(name)}
        try:
            return cls(**known)
        except TypeError as error:
            raise WorkerFailed("worker_error", f"The node sent an incomplete spec: {error}.") from error
