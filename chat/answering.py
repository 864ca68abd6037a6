"""An answer in the making. It belongs to no page and to no request: who leaves, or reloads, finds it going on.

Its row is saved twice a second, and pages hear of every piece with its place in the text (`chat/consumers.py`).
"""

import asyncio
from contextvars import Context
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.utils import timezone

from chat.conversations import branch
from chat.models import Message
from fmlx_site.errors import FmlxError
from fmlx_site.live import announce
from inference import engine_for
from inference.catalog import read_catalog
from inference.client import Event

log = structlog.get_logger(__name__)
SAVE_SECONDS = 0.5
TELL_SECONDS = 0.05
State = Message.State
_running: dict[str, "Answering"] = {}


def group_of(conversation_id: str) -> str:
    return f"chat-{conversation_id}"


def begin(message: Message) -> None:
    """On the running loop. Its context is empty, since that of the request ends with it."""
    made = Answering(message)
    _running[message.pk] = made
    task = asyncio.get_running_loop().create_task(made.run(), context=Context())
    task.add_done_callback(lambda _: _running.pop(message.pk))
    made.task = task


async def stop(message: Message) -> None:
    """It ends with what it has by then, in whichever process it is made."""
    await Message.objects.filter(pk=message.pk, state=State.ANSWERING).aupdate(stop_wanted=True)
    if made := _running.get(message.pk):
        made.news.set()
        made.hurry = True


class Answering:
    def __init__(self, message: Message) -> None:
        self.message = message
        self.task: asyncio.Task[None] | None = None
        self.news = asyncio.Event()
        self.hurry = False
        self._said = {"thinking": "", "text": ""}
        self._told = {"thinking": 0, "text": 0}
        self._phase: Event = {}
        self._finished: Event = {}

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        await self._announce("chat.moved")  # so that pages know of it while its model is loaded
        work = asyncio.create_task(self._ask())
        work.add_done_callback(lambda _: self.news.set())
        save_at = loop.time()
        try:
            while not work.done():
                if self.hurry or loop.time() >= save_at:
                    if not await self._save():
                        await self._end(State.STOPPED)
                        return
                    save_at = loop.time() + SAVE_SECONDS
                await self._tell()
                await self._wait(save_at - loop.time())
        finally:
            work.cancel()
            await asyncio.wait({work})
        await self._settle(work)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self.news.wait()
        except TimeoutError:
            return
        self.news.clear()
        await asyncio.sleep(TELL_SECONDS)

    async def _ask(self) -> None:
        request = await sync_to_async(request_of)(self.message)
        model = (await read_catalog()).chat_model(self.message.model)
        async with engine_for(model) as engine, engine.ask(request) as answer:
            self._phase = {"phase": "prefill", "done": 0, "total": answer.accepted.get("prompt_tokens", 0)}
            self.news.set()
            while not self._finished:
                for event in await answer.next():
                    self._take(event)
                self.news.set()

    def _take(self, event: Event) -> None:
        phase = event.get("phase")
        if phase == "finished":
            self._finished = event
        elif phase == "prefill":
            self._phase = {"phase": phase, "done": event["done"], "total": event["total"]}
        elif phase is None:
            self._phase = {}
            self._said["thinking"] += event.get("reasoning", "")
            self._said["text"] += event["text"]

    async def _settle(self, work: asyncio.Task[None]) -> None:
        error = work.exception()
        if error is None:
            await self._end(State.DONE)
            return
        if not isinstance(error, FmlxError):
            log.error("An answer failed.", message=self.message.pk, exc_info=error)
            error = FmlxError("The server failed while it worked on this answer; its log says why.")
        problem = {"status": error.status, "code": error.code, "message": error.message, "wait": error.retry_after}
        await self._end(State.FAILED, problem=problem)

    async def _save(self) -> bool:
        """False when it is to stop, or is gone."""
        self.hurry = False
        going_on = Message.objects.filter(pk=self.message.pk, state=State.ANSWERING, stop_wanted=False)
        return await going_on.aupdate(**self._said, saved_at=timezone.now()) == 1

    async def _end(self, state: State, **more: Any) -> None:
        """The one way out of ANSWERING for who makes it; nothing is changed that was ended already."""
        choices = self._finished.get("choices") or [{}]
        facts = {"reason": choices[0].get("reason", ""), "figures": figures_of(self._finished)}
        row = Message.objects.filter(pk=self.message.pk, state=State.ANSWERING)
        await row.aupdate(state=state, saved_at=timezone.now(), **self._said, **facts, **more)
        await self._announce("chat.ended")

    async def _tell(self) -> None:
        pieces = {name: (at, text[at:]) for name, text in self._said.items() if len(text) > (at := self._told[name])}
        self._told = {name: len(text) for name, text in self._said.items()}
        if pieces:
            await self._announce("chat.pieces", pieces=pieces)
        elif self._phase:
            await self._announce("chat.phase", **self._phase)

    async def _announce(self, type_: str, **fields: Any) -> None:
        await announce(group_of(self.message.conversation_id), type_, message=self.message.pk, **fields)


def request_of(answer: Message) -> Event:
    """For the engine: the branch before this answer. Thoughts of earlier answers are not repeated to the model."""
    answer = Message.objects.select_related("conversation").get(pk=answer.pk)
    conversation = answer.conversation
    conversation.leaf_id = answer.parent_id
    said = [{"role": turn.message.role, "content": turn.message.text} for turn in branch(conversation)]
    system = [{"role": "system", "content": answer.system}] if answer.system else []
    given = dict(answer.parameters)
    thinking = given.pop("thinking", None)
    template = {} if thinking is None else {"template": {"enable_thinking": thinking}}
    return {"id": f"chat-{answer.pk}", "kind": "chat", "messages": system + said, "stream": True, **template, **given}


def figures_of(finished: Event) -> dict[str, Any]:
    usage, timings = finished.get("usage") or {}, finished.get("timings") or {}
    figures = {**usage, **{f"{name}_seconds": seconds for name, seconds in timings.items()}}
    tokens, seconds = usage.get("completion_tokens", 0) - 1, timings.get("decode", 0)
    return {**figures, "tokens_per_second": tokens / seconds} if tokens > 0 and seconds else figures
