"""OpenAI's and Anthropic's own clients, unchanged, over a real socket, with a real engine behind it."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from memory import environments
from tests.early import ROOT, make_home
from tests.helpers import wait_for
from tests.house import KEY, Client, settle_in
from tests.inference.test_document import document
from tests.openai_schema import check
from tests.servers import Server, manage, running

pytestmark = pytest.mark.runtime
MODEL = "demo-chat"
HELLO: list[Any] = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With a small chat model that says anything."""
    environments.build(ROOT / ".make" / "test-home", "mlx-lm")
    home = make_home(tmp_path_factory.mktemp("sdks") / "h")
    settle_in(home)
    build_model(home)
    with running(home=home) as server, Client(server) as client:
        wait_for(lambda: client.read("GET", "/v1/models")["data"], 20, "the model being found")
        yield server


def build_model(home: Path) -> None:
    python = environments.runtime_python(home, "mlx-lm")
    (home / "models").mkdir(exist_ok=True)
    build = [str(python), "-m", "inference.engine.demo", str(home / "models" / MODEL), "--kind", "chat"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)


@pytest.fixture(scope="module")
def gpt(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.base_url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def claude(server: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        yield client


def _said(block: Any) -> dict[str, Any]:
    """Signatures are of one message."""
    return dict(block.model_dump(exclude={"signature"}))


def test_a_message_is_the_same_streamed_and_whole(claude: anthropic.Anthropic) -> None:
    asked: Any = {"model": MODEL, "messages": HELLO, "system": "Be brief.", "max_tokens": 12}
    asked["extra_body"] = {"top_k": 1}
    whole = claude.messages.create(**asked)
    with claude.messages.stream(**asked) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(block.text for block in whole.content if block.type == "text") == text
    assert [_said(block) for block in final.content] == [_said(block) for block in whole.content]
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens
    counted = claude.messages.count_tokens(model=MODEL, messages=HELLO, system="Be brief.")
    assert counted.input_tokens == whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0)


def test_a_message_stops_at_a_sequence_and_says_which(claude: anthropic.Anthropic) -> None:
    asked: Any = {"model": MODEL, "messages": HELLO, "max_tokens": 24, "extra_body": {"top_k": 1}}
    text = claude.messages.create(**asked).content[0].text
    stop = text[len(text) // 2 :][:3]
    ended = claude.messages.create(**asked, stop_sequences=[stop])
    assert (ended.stop_reason, ended.stop_sequence) == ("stop_sequence", stop)
    assert stop not in ended.content[0].text


def test_anthropics_errors_are_its_own(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        claude.messages.create(model="claude-9", messages=HELLO, max_tokens=1)
    body: Any = missing.value.body
    assert body["error"]["type"] == "not_found_error"
    assert missing.value.request_id == body["request_id"]
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        claude.messages.create(model=MODEL, messages=HELLO, max_tokens=0)
    with pytest.raises(anthropic.BadRequestError, match="context is"):
        claude.messages.create(model=MODEL, messages=[{"role": "user", "content": "word " * 100_000}], max_tokens=1)
    with pytest.raises(anthropic.AuthenticationError):
        claude.with_options(api_key="wrong").messages.create(model=MODEL, messages=HELLO, max_tokens=1)


def test_a_response_is_created_read_continued_listed_and_deleted(gpt: openai.OpenAI) -> None:
    first = gpt.responses.create(model=MODEL, input="hello", max_output_tokens=16)
    check("Response", first.model_dump(mode="json", exclude_unset=True))
    assert gpt.responses.retrieve(first.id) == first
    second = gpt.responses.create(model=MODEL, input="again", previous_response_id=first.id, max_output_tokens=16)
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens
    items = list(gpt.responses.input_items.list(second.id))
    assert [item.type for item in items] == ["message"]
    counted = gpt.responses.input_tokens.count(model=MODEL, input="hello")
    assert counted.input_tokens == first.usage.input_tokens
    gpt.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        gpt.responses.retrieve(first.id)


def test_a_response_is_streamed_and_streamed_again(gpt: openai.OpenAI) -> None:
    with gpt.responses.stream(model=MODEL, input="hello", max_output_tokens=16) as stream:
        events = list(stream)
    ended: Any = events[-1]
    final = ended.response
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert final.output_text == text
    again = list(gpt.responses.retrieve(final.id, stream=True, starting_after=2))
    assert [event.sequence_number for event in again] == list(range(3, len(events)))
    assert again[-1].type == events[-1].type


def test_a_background_response_is_followed_and_cancelled(gpt: openai.OpenAI) -> None:
    done = gpt.responses.create(model=MODEL, input="hello", background=True, max_output_tokens=16)
    assert done.status == "queued"
    wait_for(lambda: gpt.responses.retrieve(done.id).status in ("completed", "incomplete"), 20, "the response")
    endless = gpt.responses.create(model=MODEL, input="hello", background=True)
    assert gpt.responses.cancel(endless.id).status in ("cancelled", "completed", "incomplete")
    with pytest.raises(openai.BadRequestError) as refused:
        gpt.responses.create(model=MODEL, input="hello", truncation="auto")
    assert (refused.value.param, refused.value.code) == ("truncation", "unsupported_parameter")


def test_a_stream_in_the_background_is_left_and_taken_up_again(gpt: openai.OpenAI) -> None:
    stream = gpt.responses.create(model=MODEL, input="hello", background=True, stream=True, max_output_tokens=96)
    seen: list[Any] = []
    for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    stream.close()
    made = seen[0].response
    assert gpt.responses.retrieve(made.id).status in ("in_progress", "completed", "incomplete")
    seen += gpt.responses.retrieve(made.id, stream=True, starting_after=seen[-1].sequence_number)
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    text = "".join(event.delta for event in seen if event.type == "response.output_text.delta")
    assert seen[-1].response == gpt.responses.retrieve(made.id)
    assert seen[-1].response.output_text == text


def test_what_is_deleted_while_it_is_made_leaves_nothing_behind(server: Server, gpt: openai.OpenAI) -> None:
    made = gpt.responses.create(model=MODEL, input="hello", background=True, max_output_tokens=1000)
    with pytest.raises(openai.BadRequestError) as unfinished:
        gpt.responses.create(model=MODEL, input="again", previous_response_id=made.id)
    assert unfinished.value.code == "previous_response_not_found"
    gpt.responses.delete(made.id)
    for ask in (gpt.responses.retrieve, gpt.responses.cancel, gpt.responses.delete):
        with pytest.raises(openai.NotFoundError):
            ask(made.id)
    with Client(server) as client:
        wait_for(lambda: not client.read("GET", f"/v1/models/{MODEL}")["active_requests"], 20, "the engine being idle")


def test_what_is_not_stored_is_neither_read_nor_continued(gpt: openai.OpenAI) -> None:
    made = gpt.responses.create(model=MODEL, input="hello", store=False, max_output_tokens=4)
    with pytest.raises(openai.NotFoundError):
        gpt.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError) as refused:
        gpt.responses.create(model=MODEL, input="again", previous_response_id=made.id)
    assert (refused.value.param, refused.value.code) == ("previous_response_id", "previous_response_not_found")


def test_a_conversation_of_many_responses_is_the_same_as_of_one(gpt: openai.OpenAI) -> None:
    asked: Any = {"model": MODEL, "max_output_tokens": 4}
    chain = [gpt.responses.create(input="one", **asked)]
    for text in ("two", "three"):
        chain.append(gpt.responses.create(input=text, previous_response_id=chain[-1].id, **asked))
    turns: list[Any] = []
    for text, response in zip(("one", "two"), chain, strict=False):
        turns += [{"role": "user", "content": text}, {"role": "assistant", "content": response.output_text}]
    counted = gpt.responses.input_tokens.count(model=MODEL, input=[*turns, {"role": "user", "content": "three"}])
    assert chain[-1].usage is not None
    assert chain[-1].usage.input_tokens == counted.input_tokens


def test_tokens_there_and_back(server: Server) -> None:
    with Client(server) as client:
        found = client.read("POST", "/v1/tokenize", json={"prompt": "hello there", "return_token_strs": True})
        assert len(found["tokens"]) == len(found["token_strs"]) == found["count"]
        bare = client.read("POST", "/v1/tokenize", json={"prompt": "hello there", "add_special_tokens": False})
        text = client.read("POST", "/v1/detokenize", json={"tokens": bare["tokens"]})["prompt"]
        assert text == "hello there"
        whole = client.read("POST", "/v1/chat/completions", json={"messages": HELLO, "max_tokens": 1})
        counted = client.read("POST", "/v1/tokenize", json={"messages": HELLO})
        assert counted["count"] == whole["usage"]["prompt_tokens"]
        assert client.post("/v1/detokenize", json={"tokens": [10**9]}).json()["error"]["param"] == "tokens"


CASES = int(os.environ.get("FMLX_TEST_CASES", "2"))  # for each operation and mode; 130 make 10,000 of them
LEFT_OUT = ("/v1/videos/{video_id}/events",)  # goes on as long as the video does
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def test_whatever_the_document_allows_is_answered_as_it_says(server: Server) -> None:
    """And what it does not allow. Answers are short, so that the time goes to questions."""
    short = "from inference.models import ModelSettings; "
    short += f"ModelSettings.objects.create(name={MODEL!r}, sampling={{'max_tokens': 4}})"
    manage("shell", "-v", "0", "-c", short, home=server.home)
    operations: Any = schemathesis.openapi.from_dict(document()).get_all_operations()
    failures: list[BaseException] = []
    asked: list[str] = []
    for found in operations:
        operation = found.ok()
        if operation.path not in LEFT_OUT:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                try:
                    ask_about(server, operation, mode, asked)
                except (Exception, FailureGroup) as failure:  # noqa: BLE001 - what the others have is told with it
                    failures.append(failure)
    print(f"{len(asked)} cases of {len(set(asked))} operations")  # noqa: T201
    if failures:
        raise BaseExceptionGroup("answers that are not what the document says", failures)


def ask_about(server: Server, operation: Any, mode: GenerationMode, asked: list[str]) -> None:
    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        asked.append(operation.label)
        answer = case.call(base_url=server.base_url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)
        case.validate_response(answer, checks=CHECKS)

    with contextlib.suppress(Unsatisfiable):  # nothing that it takes could be wrong
        ask()
