"""From a request to a queued job: which model, what shape, does it fit, is there disk for it."""

import asyncio
import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from ninja import Schema
from ninja.errors import ValidationError
from pydantic import ValidationError as PydanticError

from fmlx_site.errors import DiskFull, InvalidRequest
from inference.api.body import Body, digest_of
from inference.api.errors import invalid
from inference.catalog import find_model, read_catalog, served_models
from inference.errors import WrongModelType
from inference.models import ApiKey, ModelFolder
from memory import Ledger, NeverFits, Refusals, RoomPinned, gib, join, parts_of, say, spelled
from videos import jobs, live, loras, options, presets, storage, upscalers
from videos.inputs import abilities, reading
from videos.inputs.staging import Staged, staging
from videos.models import VideoBatch, VideoJob
from videos.predictor import largest_size, predict
from videos.schemas import Asked, CreateVideo, LoraAsked
from videos.shape import SIDE_MULTIPLE, Shape, shape_of

Refusal = NeverFits | RoomPinned
SEEDS = 2**32

T = TypeVar("T", bound=Schema)


def parse(body: Body) -> CreateVideo:
    """Raises InvalidRequest naming the first field that is wrong."""
    return read_as(CreateVideo, body)


def read_as(schema: type[T], body: Body) -> T:
    """Raises as `parse` does."""
    try:
        return schema.model_validate(body)
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
    async with staging() as staged:
        made = await prepare(request, body, staged, key=key, user_id=user_id)
        return await accept_siblings(made, staged, idempotency_key)


async def accept_siblings(made: Sequence[VideoJob], staged: Staged, idempotency_key: str) -> VideoJob:
    """The videos of one request, several of them as a batch. Raises as `accept` does."""
    made[0].idempotency_key = idempotency_key
    batch = VideoBatch(key=made[0].key) if len(made) > 1 else None
    return await accept(made, [staged] * len(made), batch)


async def prepare(
    request: CreateVideo, body: Body, staged: Staged, *, key: ApiKey | None, user_id: int | None
) -> list[VideoJob]:
    """What would be accepted, not saved yet. Raises why it is refused."""
    pictures = list(pictures_of(request))
    folder = await video_model(request.model, abilities.from_pictures() if pictures else abilities.from_text())
    defaults = await sync_to_async(presets.defaults_with)(folder, request.preset)
    shape = shape_of(request, folder.pipeline, defaults)
    given = {name: (await sync_to_async(reading.resolved)(value, param, key), param) for name, param, value in pictures}
    await sync_to_async(abilities.require)(folder, picture="picture" in given, last_picture="last_picture" in given)
    kept = await settings_of(request, folder, defaults)
    await check_room(folder, shape, await sync_to_async(loras.bytes_of)(kept["loras"]))
    digest = await asyncio.to_thread(digest_of_body, body)
    if given:
        shape = await asyncio.to_thread(_fit, staged, given, shape, request.resize_mode, folder.pipeline)
    extend = request.extend_prompt if request.extend_prompt is not None else options.EXTEND_PROMPT.value == "on"
    waits = say("prompt_waits") if extend else ""
    return [
        VideoJob(
            key=key,
            user_id=user_id,
            request_digest=digest,
            prompt_wanted=extend,
            waiting_reason=waits,
            waiting_said=parts_of(waits),
            **of_each,
            **kept,
            inputs={**staged.keys, **({"resize_mode": request.resize_mode} if given else {})},
        )
        for of_each in siblings(request, shape)
    ]


def siblings(request: Asked, shape: Shape) -> list[dict[str, Any]]:
    """The shape of each of the `n` videos, with seeds that follow one another."""
    return [asdict(replace(shape, seed=(shape.seed + place) % SEEDS)) for place in range(request.n or 1)]


async def settings_of(request: Asked, folder: ModelFolder, defaults: dict[str, Any]) -> dict[str, Any]:
    """What a new video keeps of its request beside its shape and what it starts from: fields of its row.

    Raises:
        InvalidRequest, ModelNotFound: for a LoRA, a boundary or an upscaler that is not there for this model.
    """
    asked = request.loras if request.loras is not None else [LoraAsked(**one) for one in defaults.get("loras", [])]
    applied = await sync_to_async(loras.checked)(asked, folder)
    _check_boundary(request, folder)
    return {
        "model": folder.name,
        "pipeline": folder.pipeline,
        "preset": request.preset or "",
        "prompt": request.prompt,
        "negative_prompt": _first(request.negative_prompt, defaults.get("negative_prompt")),
        **guidance(request, defaults),
        "boundary_ratio": _first(request.boundary_ratio, defaults.get("boundary_ratio")),
        "loras": applied,
        "upscale": await upscalers.named(request.upscale),
    }


def _first(asked: Any, otherwise: Any) -> Any:
    return otherwise if asked is None else asked


def _check_boundary(request: Asked, folder: ModelFolder) -> None:
    if request.boundary_ratio is not None and folder.pipeline not in loras.TWO_EXPERTS:
        raise InvalidRequest(f"is for models with two experts; {folder.name} has one.", param="boundary_ratio")


def pictures_of(request: CreateVideo) -> Iterator[tuple[str, str, Any]]:
    """What each is for, the field it came in, and what came."""
    for name, param in (("picture", "input_reference"), ("last_picture", "last_frame")):
        value = getattr(request, param)
        if value is not None and value != "":
            yield name, param, value


def _fit(staged: Staged, given: dict[str, tuple[reading.Sent, str]], shape: Shape, mode: str, pipeline: str) -> Shape:
    """Decode the pictures for this shape. The first one's decides where it is adaptive, and the last follows it."""
    for name, (sent, param) in given.items():
        wanted: dict[str, Any] = {"mode": mode, "multiple": SIDE_MULTIPLE[pipeline]}
        if name == "last_picture" and mode == "adaptive":
            wanted["mode"] = "crop"
        with reading.opened(sent, param) as path:
            found = staged.add(name, path, param, width=shape.width, height=shape.height, **wanted)
        shape = replace(shape, width=found["width"], height=found["height"])
    return shape


async def accept(made: Sequence[VideoJob], staged: Sequence[Staged], batch: VideoBatch | None = None) -> VideoJob:
    """Save jobs, each with what it starts from, all of them or none. Returns the first, or the one that the same
    request made before. Raises TooMany or IdempotencyConflict.
    """
    of = {job.pk: one for job, one in zip(made, staged, strict=True)}
    for job in made:
        job.priority = job.key.priority if job.key else 0
    try:
        accepted = await sync_to_async(jobs.submit)(
            made, options.MAX_QUEUED.value, batch, lambda job: of[job.pk].attach(job)
        )
    except BaseException:
        for job in made:
            await sync_to_async(storage.remove_if_deleted)(job.pk)
        raise
    if accepted.new:
        for job in made:
            await asyncio.to_thread(of[job.pk].publish)
            await live.job_changed(job)
        await live.wake_nodes()
    return accepted.job


async def check_room(folder: ModelFolder, shape: Shape, more: int = 0) -> None:
    """`more` bytes than the model and the shape need. Raises NeverFits, RoomPinned or DiskFull."""
    await sync_to_async(_check_memory)(folder, shape, more)
    if (free := storage.disk_is_low()) is not None:
        raise DiskFull(
            _("Only %(free)s of disk is free and this server keeps %(floor)s; delete videos or free some space.")
            % {"free": gib(free), "floor": gib(options.DISK_FLOOR_BYTES.value)}
        )


def digest_of_body(body: Body) -> str:
    """The same for the same request; a file counts by its content."""
    return digest_of({name: _content(value) for name, value in body.items()})


def _content(value: Any) -> Any:
    if not isinstance(value, UploadedFile):
        return value
    digest = hashlib.sha256()
    for chunk in value.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def guidance(request: Asked, defaults: dict[str, Any]) -> dict[str, float | None]:
    """What was asked, or what the model's folder gives; None leaves it to the model."""
    names = ("guidance_scale", "guidance_scale_2", "flow_shift")
    asked = {name: getattr(request, name) for name in names}
    return {name: defaults.get(name) if value is None else value for name, value in asked.items()}


async def video_model(name: str | None, pipelines: Collection[str] | None = None) -> ModelFolder:
    """The one of that name, or the best there is; of these pipelines, if any model is of one."""
    if name is None:
        able = served_models().filter(type=ModelFolder.Type.VIDEO).order_by("-rank", "name")
        if pipelines and await able.filter(pipeline__in=pipelines).aexists():
            able = able.filter(pipeline__in=pipelines)
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
