"""From a request to a queued job: which model, what shape, does it fit, is there disk for it."""

from typing import Any

from asgiref.sync import sync_to_async
from django.utils.translation import gettext as _
from ninja.errors import ValidationError
from pydantic import ValidationError as PydanticError

from fmlx_site.errors import DiskFull, InvalidRequest
from inference.api.body import Body, digest_of
from inference.api.errors import invalid
from inference.catalog import find_model, read_catalog, served_models
from inference.errors import WrongModelType
from inference.models import ApiKey, ModelFolder
from memory import Ledger, NeverFits, Refusals, RoomPinned, gib, join, parts_of, say, spelled
from videos import jobs, live, loras, options, presets, storage
from videos.models import VideoBatch, VideoJob
from videos.predictor import largest_size, predict
from videos.schemas import CreateVideo, LoraAsked
from videos.shape import Shape, shape_of

Refusal = NeverFits | RoomPinned
SEEDS = 2**32

# What OpenAI's API has and this server has not yet: refused by name, never ignored.
NOT_YET = {"input_reference": "Starting from an image is not supported yet."}


def parse(body: Body) -> CreateVideo:
    """Raises InvalidRequest naming the first field that is wrong."""
    for name, why in NOT_YET.items():
        if name in body:
            raise InvalidRequest(why, param=name)
    try:
        return CreateVideo.model_validate(body)
    except PydanticError as error:
        raise invalid(ValidationError([_readable(problem) for problem in error.errors(include_url=False)])) from None


def _readable(problem: Any) -> Any:
    if problem["type"] == "extra_forbidden":
        return {**problem, "msg": "is not a parameter of this endpoint"}
    return problem


async def submit(
    request: CreateVideo,
    body: Body,
    *,
    key: ApiKey | None = None,
    user_id: int | None = None,
    idempotency_key: str = "",
) -> VideoJob:
    """Accept a job, durably, or refuse it with the reason. Nothing is left behind by a refusal.

    With `n` it is the first of so many; their batch leads to the others.
    """
    made = await prepare(request, body, key=key, user_id=user_id)
    made[0].idempotency_key = idempotency_key
    return await accept(made, VideoBatch(key=key) if len(made) > 1 else None)


async def prepare(request: CreateVideo, body: Body, *, key: ApiKey | None, user_id: int | None) -> list[VideoJob]:
    """What would be accepted, not saved yet. Raises why it is refused."""
    folder = await _video_model(request.model)
    defaults = await sync_to_async(presets.defaults_with)(folder, request.preset)
    shape = shape_of(request, folder.pipeline, defaults)
    asked = request.loras if request.loras is not None else [LoraAsked(**one) for one in defaults.get("loras", [])]
    applied = await sync_to_async(loras.checked)(asked, folder)
    _check_boundary(request, folder)
    await sync_to_async(_check_memory)(folder, shape, await sync_to_async(loras.bytes_of)(applied))
    if (free := storage.disk_is_low()) is not None:
        raise DiskFull(
            _("Only %(free)s of disk is free and this server keeps %(floor)s; delete videos or free some space.")
            % {"free": gib(free), "floor": gib(options.DISK_FLOOR_BYTES.value)}
        )
    extend = request.extend_prompt if request.extend_prompt is not None else options.EXTEND_PROMPT.value == "on"
    waits = say("prompt_waits") if extend else ""
    negative = request.negative_prompt if request.negative_prompt is not None else defaults.get("negative_prompt")
    return [
        VideoJob(
            key=key,
            user_id=user_id,
            request_digest=digest_of(body),
            model=folder.name,
            preset=request.preset or "",
            prompt=request.prompt,
            negative_prompt=negative,
            prompt_wanted=extend,
            waiting_reason=waits,
            waiting_said=parts_of(waits),
            width=shape.width,
            height=shape.height,
            frames=shape.frames,
            fps=shape.fps,
            steps=shape.steps,
            seed=(shape.seed + place) % SEEDS,
            **_knobs(request, defaults),
            loras=applied,
            pipeline=folder.pipeline,
            priority=key.priority if key else 0,
        )
        for place in range(request.n or 1)
    ]


async def accept(made: list[VideoJob], batch: VideoBatch | None = None) -> VideoJob:
    """All of them or none. Returns the first, or the one that the same request made before."""
    accepted = await sync_to_async(jobs.submit)(made, options.MAX_QUEUED.value, batch)
    if accepted.new:
        for job in made:
            await live.job_changed(job)
        await live.wake_nodes()
    return accepted.job


def _check_boundary(request: CreateVideo, folder: ModelFolder) -> None:
    if request.boundary_ratio is not None and folder.pipeline not in loras.TWO_EXPERTS:
        raise InvalidRequest(f"is for models with two experts; {folder.name} has one.", param="boundary_ratio")


def _knobs(request: CreateVideo, defaults: dict[str, Any]) -> dict[str, float | None]:
    """What was asked, or what the preset or the model's folder gives; None leaves it to the model."""
    names = ("guidance_scale", "guidance_scale_2", "flow_shift", "boundary_ratio")
    asked = {name: getattr(request, name) for name in names}
    return {name: defaults.get(name) if value is None else value for name, value in asked.items()}


async def _video_model(name: str | None) -> ModelFolder:
    if name is None:
        able = served_models().filter(type=ModelFolder.Type.VIDEO).order_by("-rank", "name")
        folder = await able.filter(name__in=list((await read_catalog()).models)).afirst()
        if folder is None:
            raise InvalidRequest(
                _("No video model was found on this server; add one to its model folder."), param="model"
            )
        return folder
    folder = await find_model(name)
    if folder.type != ModelFolder.Type.VIDEO:
        raise WrongModelType(folder.name, folder.type)
    return folder


def _check_memory(folder: ModelFolder, shape: Shape, more: int) -> None:
    """Refuse what no node that has the model could promise, now or later. Without a running node it waits in line.

    Raises:
        NeverFits, RoomPinned
    """
    everywhere = ModelFolder.objects.filter(name=folder.name, type=folder.type).select_related("node")
    hosts = [host for host in everywhere if host.node.largest_bytes]
    sums = [(predict(host, shape.width, shape.height, shape.frames) + more, host) for host in hosts]
    possible = [(wanted, host) for wanted, host in sums if wanted <= host.node.largest_bytes]
    if hosts and not possible:
        raise _told(_too_large(shape, *max(sums, key=lambda one: one[1].node.largest_bytes)), folder)
    pinned = [refusal for wanted, host in possible if (refusal := _beside_the_pinned(wanted, host))]
    if possible and len(pinned) == len(possible):
        raise _told(pinned[0], folder)


def _too_large(shape: Shape, wanted: int, host: ModelFolder) -> tuple[int, NeverFits]:
    most = host.node.largest_bytes
    fits = largest_size(host, shape.width, shape.height, shape.frames, most)
    hint = say("size_fits", size=f"{fits[0]}x{fits[1]}") if fits else say("no_size_fits")
    text = join(say("clip_needs", size=f"{shape.width}x{shape.height}", wanted=wanted, most=most), hint)
    return host.node_id, NeverFits(wanted=wanted, ceiling=most, message=text, param="size")


def _beside_the_pinned(wanted: int, host: ModelFolder) -> tuple[int, RoomPinned] | None:
    pinned, most = Ledger(host.node_id).pinned(), host.node.largest_bytes
    if pinned + wanted <= most:
        return None
    return host.node_id, RoomPinned(wanted=wanted, leased=pinned, ceiling=most)


def _told(refused: tuple[int, Refusal], folder: ModelFolder) -> Refusal:
    node_id, refusal = refused
    Refusals(node_id).tell("generator", folder.name, refusal)
    refusal.message = spelled(parts_of(refusal.message))  # who asked reads it in another language than the timeline
    return refusal
