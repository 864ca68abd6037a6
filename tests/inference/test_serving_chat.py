"""The shipped server and a real engine: SDK, odd requests, clients that leave, and a node in another process."""

import asyncio
import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest

from memory import environments
from tests.early import ROOT, make_home
from tests.helpers import wait_for
from tests.openai_schema import check
from tests.servers import MANAGE, SERVE, Server, manage, running

pytestmark = pytest.mark.runtime
KEY = "a-key-for-tests"
HELLO = [{"role": "user", "content": "hello"}]
Json = dict[str, Any]


@pytest.fixture(scope="module")
def chat_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the demo chat model, and a key."""
    test_home = ROOT / ".make" / "test-home"
    environments.build(test_home, "mlx-lm")
    home = make_home(tmp_path_factory.mktemp("fmlx") / "h")
    python = environments.runtime_python(home, "mlx-lm")
    manage("migrate", home=home)
    manage("firststart", home=home, env={"FMLX_API_KEY": KEY})
    build = [str(python), "-m", "inference.engine.demo", str(home / "models" / "demo-chat"), "--kind", "chat"]
    (home / "models").mkdir()
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return home


@pytest.fixture(scope="module")
def server(chat_home: Path) -> Iterator[Server]:
    with running(home=chat_home) as server:
        wait_for(lambda: models(server), 20, "the model being found")
        yield server


@contextmanager
def client_of(server: Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=server.base_url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def models(server: Server) -> list[Json]:
    with client_of(server) as client:
        return list(client.get("/v1/models").json()["data"])


def active(server: Server) -> int:
    return sum(model["active_requests"] for model in models(server))


def chat(server: Server, **fields: Any) -> httpx.Response:
    with client_of(server) as client:
        return client.post("/v1/chat/completions", json={"messages": HELLO, "max_tokens": 8, **fields})


def works(server: Server) -> None:
    answer = chat(server)
    assert answer.status_code == 200, answer.text
    check("CreateChatCompletionResponse", answer.json())


def sdk(server: Server) -> Any:
    return openai.OpenAI(base_url=f"{server.base_url}/v1", api_key=KEY, max_retries=0)


def test_the_official_sdk_gets_the_same_text_streamed_and_whole(server: Server) -> None:
    client = sdk(server)
    fields: Json = {"model": "demo-chat", "messages": HELLO, "max_completion_tokens": 24, "seed": 7, "logprobs": True}
    whole = client.chat.completions.create(**fields, top_logprobs=2)
    stream = list(client.chat.completions.create(**fields, stream=True, stream_options={"include_usage": True}))
    text = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    assert stream[-1].usage == whole.usage
    tokens = whole.choices[0].logprobs.content
    assert len(tokens) == whole.usage.completion_tokens
    assert all(len(token.top_logprobs) == 2 for token in tokens)


def test_every_chunk_of_a_stream_is_what_openai_says_it_is(server: Server) -> None:
    fields = {"messages": HELLO, "max_tokens": 8, "n": 2, "logprobs": True, "stream": True}
    with client_of(server) as client:
        text = client.post("/v1/chat/completions", json=fields).text
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    for line in data:
        check("CreateChatCompletionStreamResponse", json.loads(line))
    assert {choice["index"] for line in data for choice in json.loads(line)["choices"]} == {0, 1}


def test_completions_through_the_sdk_with_logprobs_and_prompts_of_every_kind(server: Server) -> None:
    client = sdk(server)
    for prompt in ("hello", ["hello", "again"], [5, 6, 7], [[5, 6, 7], [8]]):
        made = client.completions.create(model="demo-chat", prompt=prompt, max_tokens=4, logprobs=2, n=2)
        check("CreateCompletionResponse", made.model_dump(mode="json", exclude_unset=True))
        assert len(made.choices) == 2 * (len(prompt) if isinstance(prompt, list) and prompt[0] != 5 else 1)


ODD: list[tuple[str, Json]] = [
    ("chat/completions", {"messages": HELLO, "stop": 5}),
    ("chat/completions", {"messages": HELLO, "logit_bias": {str(10**12): 5}}),
    ("chat/completions", {"messages": [{"role": "user", "content": ["a", "b"]}]}),
    ("completions", {"prompt": ""}),
    ("completions", {"prompt": []}),
    ("completions", {"prompt": [[]]}),
    ("completions", {"prompt": [10**12]}),
    ("completions", {"prompt": [-1]}),
    ("chat/completions", {"messages": HELLO, "max_tokens": 2**31 - 1, "stop": ["\x00"], "n": 16, "temperature": 3}),
    ("chat/completions", {"messages": [{"role": "user", "content": "word " * 200_000}]}),
]


@pytest.mark.parametrize(("path", "body"), ODD)
def test_an_odd_request_is_refused_and_the_engine_goes_on(server: Server, path: str, body: Json) -> None:
    with client_of(server) as client:
        answer = client.post(f"/v1/{path}", json=body)
    assert 400 <= answer.status_code < 500, answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    works(server)


def test_a_prompt_and_then_the_prompt_with_its_completion(server: Server) -> None:
    client = sdk(server)
    first = client.completions.create(model="demo-chat", prompt="Once upon", max_tokens=1, temperature=0)
    longer = "Once upon" + first.choices[0].text
    assert client.completions.create(model="demo-chat", prompt=longer, max_tokens=2).usage.completion_tokens == 2
    ids = [20, 21, 22, 23]
    for prompt in (ids, ids[:-1], ids):
        assert client.completions.create(model="demo-chat", prompt=prompt, max_tokens=2, temperature=0).choices


def test_others_are_served_while_thirty_megabytes_are_read(server: Server) -> None:
    works(server)
    huge = {"messages": [{"role": "user", "content": "0123456789abcdef" * (30 * 2**16)}]}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        sending = pool.submit(chat, server, **huge)
        waits = []
        while not sending.done():
            began = time.monotonic()
            works(server)
            waits.append(time.monotonic() - began)
    assert sending.result().json()["error"]["code"] == "context_length_exceeded"
    assert max(waits) < 5, waits


def test_bodies_that_are_no_text_are_refused(server: Server) -> None:
    with client_of(server) as client:
        for content in (b'{"messages": "\xff\xfe"}', b"\x00" * 1000, b'{"messages": [{"content": "\xed\xa0\x80"}]}'):
            answer = client.post("/v1/chat/completions", content=content, headers={"Content-Type": "application/json"})
            assert answer.status_code == 400
    works(server)


@pytest.mark.parametrize("stream", [True, False])
def test_the_work_of_clients_that_leave_is_ended(server: Server, stream: bool) -> None:
    works(server)
    body = json.dumps({"messages": HELLO, "stream": stream, "ignore_eos": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
    request = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
    port = int(server.base_url.rpartition(":")[2])
    for _ in range(10):
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
        for client in clients:
            client.sendall(request)
        if stream:
            assert clients[0].recv(100)
        else:
            wait_for(lambda: active(server) > 0, 10, "the engine working on them")
        for client in clients:
            client.close()
    wait_for(lambda: active(server) == 0, 5, "the engine being idle again")
    works(server)


async def test_two_hundred_and_fifty_six_at_once_are_all_answered(server: Server) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key=KEY, max_retries=0) as client:
        one: Json = {"model": "demo-chat", "messages": HELLO, "max_tokens": 4}
        answers = await asyncio.gather(*(client.chat.completions.create(**one) for _ in range(256)))
    assert [answer.usage.completion_tokens > 0 for answer in answers if answer.usage] == [True] * 256


def test_a_killed_engine_costs_its_requests_a_clean_error_and_comes_back(server: Server) -> None:
    works(server)
    children = psutil.Process(server.process.pid).children()
    engines = [child for child in children if "inference.engine.worker" in child.cmdline()]
    with (
        client_of(server) as client,
        client.stream(
            "POST", "/v1/chat/completions", json={"messages": HELLO, "stream": True, "ignore_eos": True}
        ) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        os.kill(engines[0].pid, signal.SIGKILL)
        rest = "\n".join(lines)
    assert "engine_lost" in rest
    assert "[DONE]" not in rest
    works(server)


def words(count: int) -> str:
    return " ".join(f"word{number % 7}" for number in range(count))


def test_the_next_turn_is_not_computed_from_its_beginning(server: Server) -> None:
    said: list[Json] = [{"role": "system", "content": words(120)}, {"role": "user", "content": words(90)}]
    first = chat(server, messages=said, temperature=0).json()
    said += [first["choices"][0]["message"], {"role": "user", "content": words(40)}]
    second = chat(server, messages=said, temperature=0).json()["usage"]
    assert second["prompt_tokens_details"]["cached_tokens"] == first["usage"]["prompt_tokens"] - 1
    without = chat(server, messages=said, temperature=0, cache=False).json()["usage"]
    assert without == {**second, "prompt_tokens_details": {"cached_tokens": 0}}


def test_a_probe_says_what_is_cached_for_whom(server: Server) -> None:
    said = [{"role": "user", "content": words(300)}]
    chat(server, messages=said)
    with client_of(server) as client:
        probed = client.post("/v1/cache/probe", json={"messages": said}).json()
        wrong = client.post("/v1/cache/probe", json={"model": "demo-chat"})
        client.headers["Authorization"] = f"Bearer {key_of_another_owner(server.home)}"
        other = client.post("/v1/cache/probe", json={"messages": said}).json()
    assert probed["cached_tokens"] == probed["prompt_tokens"] - 1
    assert {block["where"] for block in probed["blocks"]} == {"hot"}
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "messages")
    assert (other["cached_tokens"], {block["where"] for block in other["blocks"]}) == (0, {"absent"})


def key_of_another_owner(home: Path) -> str:
    code = "from django.contrib.auth.models import User; from inference.models import ApiKey; "
    code += "print(ApiKey.make('theirs', User.objects.create_user('them'))[1])"
    return manage("shell", "-v", "0", "-c", code, home=home).strip()


def test_a_prompt_is_still_cached_when_everything_was_killed_and_started_again(chat_home: Path, tmp_path: Path) -> None:
    home = make_home(tmp_path / "h")
    (home / "models").symlink_to(chat_home / "models")
    manage("migrate", home=home)
    manage("firststart", home=home, env={"FMLX_API_KEY": KEY})
    asked: Json = {"messages": [{"role": "user", "content": words(300)}], "temperature": 0}
    with running(home=home) as first:
        wait_for(lambda: models(first), 20, "the model being found")
        cold = chat(first, **asked).json()
        wait_for(lambda: len(list((home / "cache" / "blocks").rglob("*.safetensors"))) >= 3, 10, "the blocks on disk")
        first.kill()
    with running(home=home) as second:
        wait_for(lambda: models(second), 20, "the model being found")
        warm = chat(second, **asked).json()
    assert warm["usage"]["prompt_tokens_details"]["cached_tokens"] == cold["usage"]["prompt_tokens"] - 1
    assert warm["choices"] == cold["choices"]


def test_the_command_line_lists_loads_talks_and_unloads(server: Server) -> None:
    there = ("--url", server.base_url, "--key", KEY)
    assert "is loaded" in manage("models", "load", "demo-chat", *there, home=server.home)
    assert "loaded, lease" in manage("models", *there, home=server.home)
    assert "not in memory" in manage("models", "unload", "demo-chat", *there, home=server.home)
    assert "on disk" in manage("models", *there, home=server.home)


def test_a_site_reaches_the_node_of_its_machine_and_says_when_it_is_not_there(chat_home: Path, tmp_path: Path) -> None:
    home = make_home(tmp_path / "h")
    (home / "models").symlink_to(chat_home / "models")
    manage("migrate", home=home)
    manage("firststart", home=home, env={"FMLX_API_KEY": KEY})
    with running((*SERVE, "--site-only"), home=home, ready_url="/healthz") as site:
        with running((*MANAGE, "serve"), home=home, ready_url="/readyz"):
            wait_for(lambda: models(site), 20, "the model being found")
            works(site)
            assert [model["loaded"] for model in models(site)] == [True]
            endless: Json = {"model": "demo-chat", "messages": HELLO, "extra_body": {"ignore_eos": True}}
            stream = sdk(site).chat.completions.create(**endless, stream=True)
            next(iter(stream))
            stream.close()
            wait_for(lambda: active(site) == 0, 5, "the abort reaching the node")
            refused = chat(site, logit_bias={"99999": 1})
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "logit_bias")
        gone = chat(site)
        assert (gone.status_code, gone.json()["error"]["code"]) == (503, "node_unreachable")
