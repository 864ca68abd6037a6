"""Several videos asked for at once: all are accepted or none, and one status tells of them together."""

import json
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import Count, Max, Min, Q
from django.utils import timezone

from fmlx_site.errors import FmlxError, InvalidRequest
from inference.api.body import Body, json_object
from inference.models import ApiKey
from videos import jobs, live, submission
from videos.errors import AlreadyFinished
from videos.inputs.staging import Staged, staging
from videos.models import VideoBatch, VideoJob

MOST_LINES = 1000
LINE_FIELDS = {"custom_id", "method", "url", "body"}
ENDPOINT = "/v1/videos"
Status = VideoJob.Status


@dataclass(frozen=True, slots=True)
class Line:
    """What one line asks for. `number` begins at 1."""

    number: int
    custom_id: str
    body: Body


def read_lines(raw: bytes) -> list[Line]:
    """OpenAI's form of a batch file, or a request's body on each line. Raises InvalidRequest naming the line."""
    found, seen = [], set()
    for number, text in enumerate(raw.splitlines(), start=1):
        if not text.strip():
            continue
        try:
            line = _read(number, text)
        except FmlxError as error:
            raise _placed(error, number) from None
        if line.custom_id in seen:
            raise InvalidRequest(f"Line {number}: the custom_id {line.custom_id!r} is there twice.", param="file")
        seen.add(line.custom_id)
        found.append(line)
        if len(found) > MOST_LINES:
            raise InvalidRequest(f"The file has more than {MOST_LINES} requests.", param="file")
    if not found:
        raise InvalidRequest("The file holds no request.", param="file")
    return found


def _read(number: int, text: bytes) -> Line:
    fields = json_object(text)
    if "body" not in fields:
        return Line(number, str(number), fields)
    if unknown := sorted(fields.keys() - LINE_FIELDS):
        raise InvalidRequest(f"{unknown[0]} is not a field of a batch's line.", param=unknown[0])
    asked = (fields.get("method", "POST"), fields.get("url", ENDPOINT))
    if asked != ("POST", ENDPOINT):
        raise InvalidRequest(f"A batch asks with POST {ENDPOINT}, and not with {asked[0]} {asked[1]}.", param="url")
    custom_id, body = fields.get("custom_id", str(number)), fields["body"]
    if not isinstance(custom_id, str) or not custom_id or len(custom_id) > 255 or "\x00" in custom_id:  # noqa: PLR2004
        raise InvalidRequest("must be text of 1 to 255 characters.", param="custom_id")
    if not isinstance(body, dict):
        raise InvalidRequest("must be an object.", param="body")
    return Line(number, custom_id, body)


def _placed(error: FmlxError, number: int) -> FmlxError:
    """With the line's number before what is wrong in it."""
    where = f"{error.param}: " if error.param and not error.message.startswith(error.param) else ""
    error.message, error.param = f"Line {number}: {where}{error.message}", "file"
    return error


async def submit(lines: list[Line], key: ApiKey) -> VideoBatch:
    """Raises what one request would be refused with, with its line before it; then nothing is left."""
    batch = VideoBatch(key=key)
    made: list[tuple[VideoJob, Staged]] = []
    async with AsyncExitStack() as stack:
        for line in lines:
            staged = await stack.enter_async_context(staging())
            try:
                request = submission.parse(line.body)
                coming = await submission.prepare(request, line.body, staged, key=key, user_id=key.owner_id)
            except FmlxError as error:
                raise _placed(error, line.number) from None
            for job in coming:
                job.custom_id = line.custom_id
            made += [(job, staged) for job in coming]
        await submission.accept(*zip(*made, strict=True), batch)
    return batch


@dataclass(frozen=True, slots=True)
class Counts:
    total: int
    completed: int
    failed: int
    began: Any
    ended: Any

    @property
    def finished(self) -> bool:
        return self.completed + self.failed == self.total


def counts_of(batch: VideoBatch) -> Counts:
    """Synchronous. A video that was deleted is not counted."""
    found = batch.jobs.aggregate(
        total=Count("pk"),
        completed=Count("pk", filter=Q(status=Status.COMPLETED)),
        failed=Count("pk", filter=Q(status=Status.FAILED)),
        began=Min("started_at"),
        ended=Max("completed_at"),
    )
    return Counts(**found)


async def cancel(batch: VideoBatch) -> None:
    """End what has not ended of it."""
    await VideoBatch.objects.filter(pk=batch.pk, cancelled_at=None).aupdate(cancelled_at=timezone.now())
    async for job in batch.jobs.exclude(status__in=(Status.COMPLETED, Status.FAILED)):
        try:
            await live.job_changed(await sync_to_async(jobs.cancel)(job))
        except AlreadyFinished:
            continue
    await live.wake_nodes()


async def output(batch: VideoBatch) -> str:
    """A line for each video, as OpenAI's output file has them."""
    rows = [job async for job in batch.jobs.order_by("created_at", "id")]
    lines = []
    for job, video in zip(rows, await live.resources(rows), strict=True):
        answer = {"status_code": 200, "request_id": job.pk, "body": video.model_dump(mode="json")}
        error = {"code": job.error_code, "message": job.error_message} if job.error_code else None
        lines.append(json.dumps({"id": job.pk, "custom_id": job.custom_id, "response": answer, "error": error}))
    return "\n".join(lines) + "\n"
