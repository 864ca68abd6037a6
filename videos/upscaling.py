"""The step after the raw video: what an upscaler is asked for, and what its end means for the job."""

from typing import Any

from memory import parts_of, say
from videos import upscalers
from videos.models import UPSCALE_FACTOR, VideoJob
from videos.outcome import Outcome

NO_ROOM, NO_MODEL = "upscale_no_room", "upscale_no_model"


def spec(job: VideoJob, raw: list[dict[str, Any]]) -> dict[str, Any]:
    """Of what the worker of the raw video says it is made of; where files are is added by whoever sends it."""
    return {
        "parts": raw,
        **{name: getattr(job, name) for name in ("width", "height", "fps", "seed")},
        "factor": UPSCALE_FACTOR,
        "tile": upscalers.TILE,
        "overlap": upscalers.OVERLAP,
        "chunk": upscalers.CHUNK,
        "context": upscalers.CONTEXT,
    }


def no_model(job: VideoJob) -> Outcome:
    return Outcome(NO_MODEL, say("no_such_upscaler", model=job.upscale))


def joined(raw: dict[str, Any], larger: Outcome) -> dict[str, Any]:
    """The manifest of both: the files of both, and what the larger one took or why it is not there."""
    if not larger.completed:
        return {**raw, "upscale": {"code": larger.code, "message": str(larger.message)}}
    took = {name: value for name, value in larger.manifest.items() if name not in ("files", "versions")}
    peaks = {name: max(raw.get(name, 0), larger.manifest[name]) for name in ("peak_memory_bytes", "mlx_peak_bytes")}
    return {**raw, **peaks, "files": {**raw["files"], **larger.manifest["files"]}, "upscale": took}


def fields(larger: Outcome | None) -> dict[str, Any]:
    """Of the job's row."""
    if larger is None or larger.completed:
        return {"upscaled": larger is not None}
    return {
        "upscaled": False,
        "upscale_error_code": larger.code,
        "upscale_error_message": str(larger.message),
        "upscale_error_said": parts_of(larger.message),
    }
