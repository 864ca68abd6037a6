"""The shapes of the Videos API: OpenAI's fields and ours."""

from typing import Annotated, Any, Literal, Self, cast

from ninja import Schema
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from videos.models import VideoJob


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 - pydantic reports ValueError as 400
    return value


def _text(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not contain the NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode text, without lone surrogates") from None
    return value


Whole = Annotated[int, BeforeValidator(_not_bool)]
Number = Annotated[float, BeforeValidator(_not_bool), Field(allow_inf_nan=False)]
Status = Literal["queued", "in_progress", "completed", "failed"]
Text = Annotated[str, AfterValidator(_text), Field(max_length=32_000)]


class CreateVideo(Schema):
    """What a client may send to `POST /v1/videos`."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    prompt: Annotated[Text, Field(min_length=1, description="What the clip shows.")]
    model: Annotated[Text, Field(max_length=255)] | None = None
    size: Annotated[str | None, Field(pattern=r"^\d{1,5}x\d{1,5}$", description="WIDTHxHEIGHT in pixels.")] = None
    width: Annotated[Whole, Field(ge=16, le=16_384)] | None = None
    height: Annotated[Whole, Field(ge=16, le=16_384)] | None = None
    seconds: Annotated[Number, Field(gt=0, le=3600)] | None = None
    frames: Annotated[Whole, Field(ge=1, le=100_000)] | None = None
    fps: Annotated[Whole, Field(ge=1, le=120)] | None = None
    steps: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    seed: Annotated[Whole, Field(ge=0, lt=2**32)] | None = None
    negative_prompt: Text | None = None
    guidance_scale: Annotated[Number, Field(ge=0, le=100)] | None = None
    guidance_scale_2: Annotated[Number, Field(ge=0, le=100)] | None = None
    flow_shift: Annotated[Number, Field(gt=0, le=100)] | None = None


class JobError(Schema):
    code: str
    message: str


class Video(Schema):
    """OpenAI's VideoResource, and what this server adds."""

    id: str
    object: Literal["video"] = "video"
    model: str
    status: Status
    progress: int
    created_at: int
    completed_at: int | None
    expires_at: int | None
    prompt: str | None
    size: str
    seconds: str
    remixed_from_video_id: str | None = None
    error: JobError | None

    phase: str
    step: int
    total_steps: int
    frames: int
    fps: int
    steps: int
    seed: int
    negative_prompt: str | None
    guidance_scale: float | None
    guidance_scale_2: float | None
    flow_shift: float | None
    eta_seconds: float | None
    preview_number: int | None
    queue_position: int | None
    waiting_reason: str | None
    paused: bool
    attempts: int
    wall_seconds: float | None
    peak_memory_bytes: int | None
    pipeline: str | None
    event_number: int

    @classmethod
    def of(cls, job: VideoJob, queue_position: int | None) -> Self:
        return cls(
            id=job.id,
            model=job.model,
            status=cast("Status", job.status),
            progress=job.progress,
            created_at=int(job.created_at.timestamp()),
            completed_at=int(job.completed_at.timestamp()) if job.completed_at else None,
            expires_at=int(job.expires_at.timestamp()) if job.expires_at else None,
            prompt=job.prompt,
            size=f"{job.width}x{job.height}",
            seconds=f"{job.frames / job.fps:.6g}",
            error=JobError(code=job.error_code, message=job.error_message) if job.error_code else None,
            phase=job.phase or job.status,
            step=job.step,
            total_steps=job.total_steps,
            frames=job.frames,
            fps=job.fps,
            steps=job.steps,
            seed=job.seed,
            negative_prompt=job.negative_prompt,
            guidance_scale=job.guidance_scale,
            guidance_scale_2=job.guidance_scale_2,
            flow_shift=job.flow_shift,
            eta_seconds=job.eta_seconds,
            preview_number=job.preview_number or None,
            queue_position=queue_position,
            waiting_reason=job.waiting_reason or None,
            paused=job.paused,
            attempts=job.attempt_count,
            wall_seconds=job.wall_seconds,
            peak_memory_bytes=job.peak_memory_bytes,
            pipeline=job.pipeline or None,
            event_number=job.event_number,
        )


class VideoList(Schema):
    object: Literal["list"] = "list"
    data: list[Video]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedVideo(Schema):
    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: bool = True
