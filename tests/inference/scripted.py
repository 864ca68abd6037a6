"""An engine without MLX: it speaks the contract of `inference/engine/messages.py`, and does what its prompts say."""

import threading
import time
from pathlib import Path
from typing import Any

from memory.protocol import Channel, Message, WorkerFailed

WORDS = ("one", " two", " three")
THOUGHT = ("Let me", " see.")
WARNING = "What began as a tool call is given as text: there is no tool 'x'."
ARGUMENTS = ('{"city": ', '"Paris"}')


class Scripted:
    """Every engine of a test. `said` is what they were told, and `starts` how often one was started for a folder."""

    def __init__(self) -> None:
        self.starts: list[str] = []
        self.said: list[Message] = []
        self.refuse_to_load = ""
        self.base_bytes = 0
        self.cache: dict[str, Any] = {}
        self.gate_says: list[Message] = []
        self.gate = threading.Event()  # loads wait for it
        self.gate.set()
        self.wanted: dict[str, int] = {}  # the lease that an engine asks for next
        self.mute = threading.Event()  # no status while it is set

    def work(self, channel: Channel, spec: Message) -> Message:
        name = Path(spec["model_dir"]).name
        self.starts.append(name)
        channel.send("event", phase="loading", step=1, total=2)
        self.gate.wait()
        if self.refuse_to_load:
            raise WorkerFailed("model_unusable", self.refuse_to_load)
        channel.send("ready", model=facts(name), gate={"base_bytes": self.base_bytes}, self_test={}, load_seconds=0.1)
        for said in self.gate_says:
            channel.send("event", phase="gate", **said)
        ended = threading.Event()
        threading.Thread(target=self._beat, args=(channel, name, ended), daemon=True).start()
        try:
            while (message := channel.inbox.get())["type"] != "stop":
                self.said.append(message)
                if message["type"] == "request":
                    self._answer(channel, message)
        finally:
            ended.set()
        return {}

    def _beat(self, channel: Channel, name: str, ended: threading.Event) -> None:
        while not ended.wait(0.1):
            if not self.mute.is_set():
                channel.send("event", phase="status", tick=1, base_bytes=self.base_bytes, cache=self.cache)
                if wanted := self.wanted.pop(name, 0):
                    channel.send("event", phase="lease", wanted=wanted)

    def _answer(self, channel: Channel, request: Message) -> None:
        if request.get("tokenise"):
            channel.send("event", phase="tokenised", id=request["id"], count=3, context_limit=4096, **tokens(request))
            return
        id_, prompt = request["id"], request.get("prompt") or request["messages"][-1]["content"]
        if prompt == "refuse":
            refusal = {"status": 503, "code": "no_room", "message": "No room.", "param": None, "retry_after": 3}
            channel.send("event", phase="refused", id=id_, **refusal)
            return
        channel.send("event", phase="accepted", id=id_, prompt_tokens=3, max_tokens=9)
        if prompt == "fill":
            for done in range(20):
                channel.send("event", phase="prefill", id=id_, done=done, total=20)
                time.sleep(0.02)
        if prompt == "crash":
            raise WorkerFailed("worker_error", "It crashed.")
        if request.get("stream") and prompt != "fail":
            channel.send("event", phase="deltas", deltas=said(id_, prompt))
        if prompt.startswith("fail"):
            channel.send("event", phase="failed", id=id_, status=503, code="no_room", message="It could not go on.")
        elif prompt != "hang":
            self._finish(channel, request)

    def _finish(self, channel: Channel, request: Message) -> None:
        calls = request.get("messages") and request["messages"][-1]["content"] == "call"
        reason = "tool_calls" if calls else "stop"
        broken = request.get("messages") and request["messages"][-1]["content"] == "broken"
        ended = {"reason": reason, **({"warning": WARNING} if broken else {})}
        id_, choice = request["id"], {"index": 0, **ended, "tokens": 3}
        if request.get("stream"):
            channel.send("event", phase="deltas", deltas=[delta(id_, "", **ended)])
        elif calls:
            called = {"id": "call_1", "name": "weather", "arguments": "".join(ARGUMENTS)}
            choice |= {"text": "", "reasoning": "".join(THOUGHT), "tool_calls": [called]}
        else:
            choice["text"] = "".join(WORDS)
        usage = {"prompt_tokens": 3, "completion_tokens": 3, "cached_tokens": 0}
        channel.send("event", phase="finished", id=id_, choices=[choice], usage=usage, timings={})

    def heard(self, type_: str) -> list[Message]:
        return [message for message in self.said if message["type"] == type_]


def facts(name: str) -> dict[str, Any]:
    sizes = {"weights_bytes": 0, "kv_bytes_per_token": 1024, "context_limit": 4096, "context_window": 4096}
    return {"name": name, "fingerprint": "f" * 64, **sizes}


def tokens(request: Message) -> dict[str, Any]:
    if "tokens" in request:
        return {"text": "".join(WORDS)}
    return {"ids": [1, 2, 3], **({"strings": list(WORDS)} if request.get("strings") else {})}


def said(id_: str, prompt: str) -> list[dict[str, Any]]:
    """Words; or, to the prompt "call", a thought and the pieces of a call."""
    if prompt != "call":
        return [delta(id_, word) for word in WORDS]
    first, second = ({"index": 0, "arguments": piece} for piece in ARGUMENTS)
    thoughts = [delta(id_, "", reasoning=piece) for piece in THOUGHT]
    called = [delta(id_, "", tool_calls=[{**first, "id": "call_1", "name": "weather"}])]
    return [*thoughts, *called, delta(id_, "", tool_calls=[second])]


def delta(id_: str, text: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "index": 0, "text": text, "tokens": 1, **more}
