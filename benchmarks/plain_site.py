"""What `benchmarks/site_cost.py` compares with, on FastAPI: the same objects, the same checks of a request, a key that
is looked up by its hash, and streams of the same events. It has no database, no limits, no request log.

`uvicorn benchmarks.plain_site:app`, in an environment of its own, with the key in BENCHMARK_KEY.
"""

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

TICK_SECONDS = 0.002
KEYS = {hashlib.sha256(os.environ["BENCHMARK_KEY"].encode()).hexdigest(): "benchmark"}
app = FastAPI()


async def key_of(authorization: Annotated[str, Header()] = "") -> str:
    found = KEYS.get(hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest())
    if found is None:
        raise HTTPException(401)
    return found


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Model(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "fmlx"
    type: str = "chat"
    pipeline: str | None = None
    size_bytes: int = 2**30
    alias: str | None = None
    context_window: int | None = 4096
    context_limit: int | None = 4096
    pinned: bool = False
    default: bool = False
    loaded: bool = False
    loading: None = None
    active_requests: int = 0
    lease_bytes: int | None = None
    problem: str | None = None


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


class Function(Strict):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.:/-]{1,128}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Strict):
    type: Literal["function"]
    function: Function


class Text(Strict):
    type: Literal["text"]
    text: str


class Message(Strict):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[Text]
    name: str | None = None


class ChatRequest(Strict):
    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | None = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    stop: list[str] | None = None
    seed: int | None = None
    stream: bool | None = None
    metadata: dict[str, str] | None = None


MODELS = [Model(id=name, created=1) for name in os.environ["BENCHMARK_MODELS"].split(",")]


@app.get("/v1/models")
async def list_models(_: Annotated[str, Depends(key_of)]) -> ModelList:
    return ModelList(data=MODELS)


@app.post("/v1/chat/completions")
async def chat(asked: ChatRequest, _: Annotated[str, Depends(key_of)]) -> StreamingResponse:
    if asked.model not in {model.id for model in MODELS}:
        raise HTTPException(404, {"message": f"There is no model {asked.model}.", "code": "model_not_found"})
    return StreamingResponse(words(asked.max_completion_tokens or 16, asked.model), media_type="text/event-stream")


class Delta(BaseModel):
    content: str


class Choice(BaseModel):
    index: int = 0
    delta: Delta
    logprobs: None = None
    finish_reason: str | None = None


class Chunk(BaseModel):
    id: str
    object: str = "chat.completion.chunk"
    created: int
    model: str
    choices: list[Choice]


async def words(count: int, model: str) -> AsyncIterator[str]:
    id_, created = uuid.uuid4().hex, int(time.time())
    for _ in range(count):
        chunk = Chunk(id=id_, created=created, model=model, choices=[Choice(delta=Delta(content=" word"))])
        yield f"data: {chunk.model_dump_json()}\n\n"
        await asyncio.sleep(TICK_SECONDS)
    yield "data: [DONE]\n\n"
