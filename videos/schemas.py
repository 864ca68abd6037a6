"""The shapes of the Videos API: OpenAI's fields and ours."""

import json
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


def _list(value: Any) -> Any:
    """A form has JSON text in the place of a list."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("must be a list, or in a form a list as JSON") from None


Strength = Annotated[Number, Field(ge=-4, le=4)]


class LoraAsked(Schema):
    """`strength` holds for an expert that has none of its own."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Text, Field(min_length=1, max_length=128)]
    strength: Strength = 1.0
    strength_high: Strength | None = None
    strength_low: Strength | None = None


Loras = Annotated[list[LoraAsked], BeforeValidator(_list), Field(max_length=8)]


FILE_OR_ID: dict[str, Any] = {
    "oneOf": [
        {"type": "string", "format": "binary"},
        {"type": "string", "description": "A data URL, base64, or the id of an uploaded file. No URL is fetched."},
        {"type": "object", "properties": {"file_id": {"type": "string"}, "image_url": {"type": "string"}}},
    ]
}
VIDEO_OR_ID: dict[str, Any] = {
    "oneOf": [
        {"type": "string", "format": "binary"},
        {"type": "object", "properties": {"id": {"type": "string", "description": "Of a video or of a file."}}},
    ]
}


class Remix(Schema):
    """What a client may send to `POST /v1/videos/{id}/remix`."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    prompt: Annotated[Text, Field(min_length=1, description="What the clip shows.")]


class Asked(Remix):
    """What may be said of every clip. Of one that is made from a video, size and rate are the video's."""

    model: Annotated[Text, Field(max_length=255)] | None = None
    preset: Annotated[Text, Field(max_length=64, description="Named settings, of GET /v1/videos/presets.")] | None = (
        None
    )
    n: (
        Annotated[Whole, Field(ge=1, le=16, description="So many videos, with seeds that follow one another.")] | None
    ) = None
    steps: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    seed: Annotated[Whole, Field(ge=0, lt=2**32)] | None = None
    negative_prompt: Text | None = None
    guidance_scale: Annotated[Number, Field(ge=0, le=100)] | None = None
    guidance_scale_2: Annotated[Number, Field(ge=0, le=100)] | None = None
    upscale: (
        Annotated[
            Text,
            Field(max_length=255, description="A model that makes the finished video twice as large; auto: the best."),
        ]
        | None
    ) = None
    flow_shift: Annotated[Number, Field(gt=0, le=100)] | None = None
    boundary_ratio: Annotated[Number, Field(gt=0, lt=1)] | None = None
    loras: Annotated[Loras | None, Field(description="LoRAs of this server by name, of GET /v1/videos/loras.")] = None


class PresetValues(Schema):
    """What a preset may set."""

    model_config = ConfigDict(extra="forbid")

    size: Annotated[str | None, Field(pattern=r"^\d{1,5}x\d{1,5}$")] = None
    frames: Annotated[Whole, Field(ge=1, le=100_000)] | None = None
    fps: Annotated[Whole, Field(ge=1, le=120)] | None = None
    steps: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    guidance_scale: Annotated[Number, Field(ge=0, le=100)] | None = None
    guidance_scale_2: Annotated[Number, Field(ge=0, le=100)] | None = None
    flow_shift: Annotated[Number, Field(gt=0, le=100)] | None = None
    negative_prompt: Text | None = None
    boundary_ratio: Annotated[Number, Field(gt=0, lt=1)] | None = None
    loras: Loras | None = None


class VideoLora(Schema):
    object: Literal["video.lora"] = "video.lora"
    name: str
    bytes: int
    experts: list[Literal["high", "low"]]


class VideoLoraList(Schema):
    object: Literal["list"] = "list"
    data: list[VideoLora]


class VideoPreset(Schema):
    """Settings with a name, and what they would make of a model, predicted."""

    object: Literal["video.preset"] = "video.preset"
    model: str
    name: str
    values: dict[str, Any]
    size: str | None
    frames: int | None
    fps: int | None
    steps: int | None
    predicted_memory_bytes: int | None
    predicted_seconds: float | None = Field(description="None while the model has made nothing on this server.")
    refused: str | None = Field(description="Why it could not be made here.")


class VideoPresetList(Schema):
    object: Literal["list"] = "list"
    data: list[VideoPreset]


class EditVideo(Asked):
    """What a client may send to `POST /v1/videos/edits`."""

    video: Annotated[Any, Field(json_schema_extra=VIDEO_OR_ID)]
    strength: Annotated[Number, Field(gt=0, le=1, description="How different from the video; 1 is a new one.")] = 0.8


class ExtendVideo(Asked):
    """What a client may send to `POST /v1/videos/extensions`."""

    video: Annotated[Any, Field(json_schema_extra=VIDEO_OR_ID)]
    seconds: Annotated[Number, Field(gt=0, le=3600, description="Of what is added; the answer's are the total.")]


class CreateVideo(Asked):
    """What a client may send to `POST /v1/videos`."""

    extend_prompt: Annotated[
        bool | None, Field(description="Whether a chat model of this server makes the prompt fuller first.")
    ] = None
    input_reference: Annotated[Any, Field(json_schema_extra=FILE_OR_ID)] = None
    last_frame: Annotated[Any, Field(json_schema_extra=FILE_OR_ID)] = None
    resize_mode: Annotated[
        Literal["crop", "pad", "adaptive"],
        Field(description="How a picture comes to the size; adaptive takes a size of its shape."),
    ] = "crop"
    size: Annotated[str | None, Field(pattern=r"^\d{1,5}x\d{1,5}$", description="WIDTHxHEIGHT in pixels.")] = None
    width: Annotated[Whole, Field(ge=16, le=16_384)] | None = None
    height: Annotated[Whole, Field(ge=16, le=16_384)] | None = None
    seconds: Annotated[Number, Field(gt=0, le=3600)] | None = None
    frames: Annotated[Whole, Field(ge=1, le=100_000)] | None = None
    fps: Annotated[Whole, Field(ge=1, le=120)] | None = None


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

    preset: str | None
    batch_id: str | None
    custom_id: str | None
    task: str | None
    source_video_id: str | None
    starts_from: list[str]
    phase: str
    step: int
    total_steps: int
    frames: int
    fps: int
    steps: int
    seed: int
    original_prompt: str | None
    negative_prompt: str | None
    guidance_scale: float | None
    guidance_scale_2: float | None
    flow_shift: float | None
    boundary_ratio: float | None
    loras: list[dict[str, Any]]
    upscale: str | None = Field(description="The model that makes it larger when it is finished.")
    upscaled_size: str | None = Field(description="Of the larger file, once it is there.")
    upscale_error: JobError | None = Field(description="Why there is none: the video is then as it was made.")
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
            seconds=f"{job.total_frames / job.fps:.6g}",
            remixed_from_video_id=job.source_video if job.task == VideoJob.Task.REMIX else None,
            error=JobError(code=job.error_code, message=job.error_message) if job.error_code else None,
            preset=job.preset or None,
            batch_id=job.batch_id,
            custom_id=job.custom_id or None,
            task=job.task or None,
            source_video_id=job.source_video or None,
            starts_from=[name for name in ("picture", "last_picture", "clip") if name in job.inputs],
            phase=job.phase or job.status,
            step=job.step,
            total_steps=job.total_steps,
            frames=job.total_frames,
            fps=job.fps,
            steps=job.steps,
            seed=job.seed,
            original_prompt=job.original_prompt or None,
            negative_prompt=job.negative_prompt,
            guidance_scale=job.guidance_scale,
            guidance_scale_2=job.guidance_scale_2,
            flow_shift=job.flow_shift,
            boundary_ratio=job.boundary_ratio,
            loras=job.loras,
            upscale=job.upscale or None,
            upscaled_size="{}x{}".format(*job.upscaled_size) if job.upscaled_size else None,
            upscale_error=JobError(code=job.upscale_error_code, message=job.upscale_error_message)
            if job.upscale_error_code
            else None,
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


BatchStatus = Literal["in_progress", "completed", "cancelling", "cancelled"]


class RequestCounts(Schema):
    total: int
    completed: int
    failed: int


class Batch(Schema):
    """OpenAI's Batch, of videos. What was uploaded is not kept as a file."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: Literal["/v1/videos"] = "/v1/videos"
    status: BatchStatus
    errors: None = None
    input_file_id: None = None
    output_file_id: None = None
    error_file_id: None = None
    completion_window: Literal["24h"] = "24h"
    created_at: int
    in_progress_at: int | None
    completed_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts


class BatchList(Schema):
    object: Literal["list"] = "list"
    data: list[Batch]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedVideo(Schema):
    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: bool = True
