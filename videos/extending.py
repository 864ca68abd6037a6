"""Prompts that a chat model of this server makes fuller before their videos are begun. What was asked is kept."""

import asyncio
from datetime import timedelta

import structlog
from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import F
from django.utils import timezone

from fmlx_site.errors import FmlxError
from fmlx_site.live import listening
from inference import engine_for
from inference.catalog import read_catalog
from memory import parts_of, say
from videos import jobs, live, options
from videos.models import JobEvent, VideoJob

log = structlog.get_logger(__name__)
LOOK_SECONDS = 5.0
LONGEST_SECONDS = 300.0  # of one answer, loading its model included
PATIENCE = timedelta(minutes=10)  # with a model that has no room now
MOST_TOKENS = 400
BUSY = 503
TASK = (
    "You make descriptions of short video clips fuller for a text-to-video model. Rewrite the description you are"
    " given as one paragraph of 60 to 120 words, in its own language. Keep everything it says; add what a viewer would"
    " see: the subject's looks, the movement, the place, the light, the camera. Answer with the paragraph alone."
)


async def keep_extending() -> None:
    """Until cancelled: one prompt after another, those first whose videos are first in line."""
    async with listening(live.NODES) as wakes:
        while True:
            try:
                found = await sync_to_async(_next)()
                if found is None or not await _extend(found):
                    await wakes.next(LOOK_SECONDS)
            except (DatabaseError, InterfaceError):
                log.exception("Prompts that are to be extended could not be read; trying again.")
                await asyncio.sleep(LOOK_SECONDS)


def _next() -> VideoJob | None:
    return jobs.in_line().filter(prompt_wanted=True).order_by("-priority", "created_at", "id").first()


async def _extend(job: VideoJob) -> bool:
    """False when it has to wait."""
    try:
        prompt = await _ask(job)
    except FmlxError as error:
        if error.status == BUSY and timezone.now() - job.created_at < PATIENCE:
            return False
        changed = await sync_to_async(settle)(job, None, error.message)
    else:
        changed = await sync_to_async(settle)(job, prompt)
    if changed:
        await live.job_changed(changed)
    await live.wake_nodes()
    return True


async def _ask(job: VideoJob) -> str:
    """Raises FmlxError."""
    model = (await read_catalog()).chat_model(options.EXTEND_MODEL.value or None)
    turns = [{"role": "system", "content": TASK}, {"role": "user", "content": job.prompt}]
    request = {"id": f"prompt-{job.pk}", "kind": "chat", "messages": turns, "stream": True, "max_tokens": MOST_TOKENS}
    text, finished = "", False
    try:
        async with (
            asyncio.timeout(LONGEST_SECONDS),
            engine_for(model) as engine,
            engine.ask({**request, "template": {"enable_thinking": False}}) as answer,
        ):
            while not finished:
                for event in await answer.next():
                    finished = event.get("phase") == "finished"
                    text += event["text"] if event.get("phase") is None else ""
    except TimeoutError:
        raise FmlxError(f"{model.name} did not answer within {LONGEST_SECONDS:.0f} s.") from None
    if not text.strip():
        raise FmlxError(f"{model.name} answered nothing.")
    return text.strip()


def settle(job: VideoJob, prompt: str | None, problem: str = "") -> VideoJob | None:
    """Put the fuller prompt in the place of what was asked, or leave that and say why. None if it was too late."""
    fields = {"prompt": prompt, "original_prompt": job.prompt} if prompt else {}
    text = say("prompt_extended") if prompt else problem
    with transaction.atomic():
        held = VideoJob.objects.filter(pk=job.pk, fence=job.fence, status=VideoJob.Status.QUEUED, prompt_wanted=True)
        if not held.update(prompt_wanted=False, event_number=F("event_number") + 1, **jobs.NOT_WAITING, **fields):
            return None
        what = "prompt_extended" if prompt else "prompt_kept"
        JobEvent.objects.create(job=job, what=what, message=text, said=parts_of(text))
        return VideoJob.objects.get(pk=job.pk)
