"""From an earlier video to a new job: the same with another prompt, made anew from its latents, or continued."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.utils.translation import gettext as _

from fmlx_site.errors import InvalidRequest
from inference.api.body import Body
from inference.models import ApiKey, ModelFolder
from videos import loras, options, presets
from videos.errors import InputGone, InputRefused
from videos.inputs import abilities, earlier, reading
from videos.inputs.earlier import Clip
from videos.inputs.staging import Staged, staging
from videos.models import VideoJob
from videos.schemas import Asked, EditVideo, ExtendVideo, Remix
from videos.shape import DEFAULTS, FRAMES_PER_LATENT, SIDE_MULTIPLE, Shape, check, rounded_up
from videos.submission import accept, accept_siblings, check_room, digest_of_body, settings_of, siblings, video_model

SHAPE = ("width", "height", "frames", "fps", "steps", "seed")
SAME = (
    *("model", "preset", "loras", "negative_prompt", "upscale"),
    *("guidance_scale", "guidance_scale_2", "flow_shift", "boundary_ratio"),
    *SHAPE,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made of a clip; `inputs` beside the clip itself."""

    task: str
    clip: Clip
    folder: ModelFolder
    shape: Shape
    values: dict[str, Any]  # of the preset that was named
    inputs: dict[str, Any]


async def remix(video_id: str, request: Remix, body: Body, *, key: ApiKey | None, **who: Any) -> VideoJob:
    """The same settings, the seed among them, and another prompt.

    Raises:
        VideoNotFound, NotReady, InputGone, and what `submission.submit` raises.
    """
    source = await sync_to_async(earlier.finished)(video_id, key, "video_id")
    folder = await video_model(source.model)
    same = {name: getattr(source, name) for name in SAME}
    await check_room(
        folder, Shape(**{name: same[name] for name in SHAPE}), await sync_to_async(loras.bytes_of)(source.loras)
    )
    async with staging() as staged:
        try:
            await sync_to_async(staged.reuse)(source)
        except FileNotFoundError:
            raise InputGone(
                _("What %(id)s started from is not kept any more; send it again with a new video.") % {"id": source.pk},
                param="video_id",
            ) from None
        made = {"task": VideoJob.Task.REMIX, "source_video": source.pk, "inputs": source.inputs}
        digest = await asyncio.to_thread(digest_of_body, {**body, "video_id": video_id})
        new = {"prompt": request.prompt, "pipeline": folder.pipeline, "request_digest": digest, "key": key}
        return await accept([VideoJob(**same, **made, **new, **who)], [staged])


async def edit(request: EditVideo, body: Body, *, key: ApiKey | None, **who: Any) -> VideoJob:
    """The video made anew from its own latents, so different as `strength` says.

    Raises:
        VideoNotFound, NotReady, ArtifactExpired, InputRefused, and what `submission.submit` raises.
    """
    clip = await _clip_of(request.video, key)
    folder = await video_model(_model(request, clip))
    await sync_to_async(abilities.require_edit)(folder)
    frames = FRAMES_PER_LATENT * ((clip.frames - 1) // FRAMES_PER_LATENT) + 1
    values = await sync_to_async(presets.values_of)(folder, request.preset)
    shape = _shape(request, clip, folder, values, frames)
    plan = Plan(VideoJob.Task.EDIT, clip, folder, shape, values, {"strength": request.strength})
    return await _derive(plan, request, body, key=key, **who)


async def extend(request: ExtendVideo, body: Body, *, key: ApiKey | None, **who: Any) -> VideoJob:
    """The video with so many seconds more, in one file. Raises as `edit` does."""
    clip = await _clip_of(request.video, key)
    folder = await video_model(_model(request, clip))
    await sync_to_async(abilities.require_extension)(folder)
    head = abilities.OF[folder.pipeline].head
    if clip.frames < head:
        raise InputRefused(
            _("The video has %(frames)d frames; %(head)d are the least that can be continued.")
            % {"frames": clip.frames, "head": head},
            param="video",
        )
    frames = rounded_up(head + max(1, round(request.seconds * _fps(clip))))
    values = await sync_to_async(presets.values_of)(folder, request.preset)
    shape = _shape(request, clip, folder, values, frames)
    plan = Plan(VideoJob.Task.EXTENSION, clip, folder, shape, values, {"before": clip.frames - head})
    return await _derive(plan, request, body, key=key, **who)


async def _clip_of(video: Any, key: ApiKey | None) -> Clip:
    """What came along is looked at for its size first, and decoded when it is known what becomes of it."""
    named = await sync_to_async(earlier.named)(video, key, "video")
    return named if isinstance(named, Clip) else await asyncio.to_thread(_look, named)


def _look(sent: reading.Sent) -> Clip:
    with reading.opened(sent, "video") as path:
        return earlier.of_file(path, sent, "video")


def _model(request: Asked, clip: Clip) -> str | None:
    return request.model or (clip.job.model if clip.job else None)


def _fps(clip: Clip) -> int:
    return min(120, max(1, round(clip.fps)))


def _shape(request: Asked, clip: Clip, folder: ModelFolder, values: dict[str, Any], frames: int) -> Shape:
    """The clip's own size and rate; of a preset it takes the steps. Raises InvalidRequest above a limit of this
    server."""
    multiple = SIDE_MULTIPLE[folder.pipeline]
    usual = {
        **DEFAULTS[folder.pipeline],
        **folder.defaults,
        **({"steps": clip.job.steps} if clip.job else {}),
        **values,
    }
    shape = Shape(
        width=multiple * max(1, clip.width // multiple),
        height=multiple * max(1, clip.height // multiple),
        frames=frames,
        fps=_fps(clip),
        steps=request.steps or int(usual["steps"]),
        seed=secrets.randbelow(2**31) if request.seed is None else request.seed,
    )
    check(shape, size_field="video", frames_field="seconds" if isinstance(request, ExtendVideo) else "video")
    if clip.frames > options.MAX_FRAMES.value:
        raise InvalidRequest(
            _("The video has %(frames)d frames, and %(most)d is the most on this server.")
            % {"frames": clip.frames, "most": options.MAX_FRAMES.value},
            param="video",
        )
    return shape


async def _derive(plan: Plan, request: Asked, body: Body, *, idempotency_key: str = "", **who: Any) -> VideoJob:
    clip, folder, shape = plan.clip, plan.folder, plan.shape
    kept = await settings_of(request, folder, {**folder.defaults, **plan.values})
    await check_room(folder, shape, await sync_to_async(loras.bytes_of)(kept["loras"]))
    digest = await asyncio.to_thread(digest_of_body, body)
    async with staging() as staged:
        found = await asyncio.to_thread(_decode, staged, clip, shape)
        if found["frames"] != clip.frames:
            raise InputRefused(
                _("The video promises %(promised)d frames and %(found)d can be decoded.")
                % {"promised": clip.frames, "found": found["frames"]},
                param="video",
            )
        same = {"task": plan.task, "source_video": clip.job.pk if clip.job else "", "request_digest": digest}
        made = [
            VideoJob(**same, **kept, **of_each, inputs={**staged.keys, **plan.inputs}, **who)
            for of_each in siblings(request, shape)
        ]
        return await accept_siblings(made, staged, idempotency_key)


def _decode(staged: Staged, clip: Clip, shape: Shape) -> dict[str, Any]:
    wanted = {"width": shape.width, "height": shape.height, "most_frames": options.MAX_FRAMES.value}
    with reading.opened(clip.sent, "video") as path:
        return staged.add("clip", path, "video", **wanted)
