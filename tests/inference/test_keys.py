"""What a key may do, how much of it, and until when; and what is written down about it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from fmlx_site import option_store
from fmlx_site.asgi import application
from fmlx_site.audit import Origin
from fmlx_site.models import Change
from inference.api import api as the_api
from inference.api.auth import BearerKey
from inference.catalog import Served
from inference.keys import changes
from inference.keys.ring import ring
from inference.models import ApiKey, KeyMeter, RequestLog, Scope, UsageHour
from inference.pool import Pool
from inference.request_log.visit import Visit
from inference.request_log.writer import Writer, writer
from tests.helpers import await_for
from tests.inference.scripted import Scripted

MakeModel = Callable[..., Awaitable[Served]]
MakeKey = Callable[..., Awaitable[ApiKey]]
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
async def api(client: httpx.AsyncClient, pool: Pool, make_model: MakeModel) -> httpx.AsyncClient:
    for name in ("a", "b"):
        await make_model(name)
    return client


@pytest.fixture
async def make_key(client: httpx.AsyncClient) -> MakeKey:
    """A key that the client uses from then on."""
    owner = await sync_to_async(User.objects.create_superuser)("admin", password="a long password")

    async def make(**fields: Any) -> ApiKey:
        key, secret = await sync_to_async(changes.make)(owner, Origin(), **{"name": "test", **fields})
        client.headers["Authorization"] = f"Bearer {secret}"
        return key

    return make


async def chat(api: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await api.post("/v1/chat/completions", json={"model": "a", "messages": HELLO, **fields})


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_key_is_known_without_a_query_until_it_changes(api: httpx.AsyncClient, make_key: MakeKey) -> None:
    key = await make_key()
    assert (await chat(api)).status_code == 200
    ring._looked_at = float("inf")  # no look at the database's version falls due

    def asked() -> list[str]:
        with CaptureQueriesContext(connection) as seen:
            asyncio.run(ring.by_digest(key.digest))
        return [query["sql"] for query in seen.captured_queries]

    assert await sync_to_async(asked)() == []
    await sync_to_async(changes.revoke)(key, Origin())
    assert code(await chat(api)) == (401, "invalid_api_key")
    ring._looked_at = float("-inf")


async def test_a_change_made_elsewhere_is_noticed_within_a_second(
    api: httpx.AsyncClient, make_key: MakeKey, settings: Settings
) -> None:
    settings.FMLX = settings.FMLX.model_copy(update={"database_url": "one that other homes write as well"})
    await make_key()
    assert (await chat(api)).status_code == 200
    await ApiKey.objects.aupdate(revoked_at=timezone.now())  # another machine, which has another home
    await await_for(lambda: refused(api), 5, "the key being refused")


async def refused(api: httpx.AsyncClient) -> bool:
    return (await chat(api)).status_code == 401


async def test_a_key_ends_by_its_date_and_with_its_owner(api: httpx.AsyncClient, make_key: MakeKey) -> None:
    await make_key(expires_at=timezone.now() - timedelta(minutes=1))
    answer = await chat(api)
    assert code(answer) == (401, "invalid_api_key")
    assert "expired on" in answer.json()["error"]["message"]
    await make_key(expires_at=timezone.now() + timedelta(minutes=1))
    assert (await chat(api)).status_code == 200
    await User.objects.aupdate(is_active=False)
    ring._looked_at = float("-inf")
    assert code(await chat(api)) == (401, "invalid_api_key")


async def test_what_a_key_lacks_is_named(api: httpx.AsyncClient, make_key: MakeKey) -> None:
    await make_key(scopes=["videos"])
    answer = await chat(api)
    assert code(answer) == (403, "missing_scope")
    assert "'chat'" in answer.json()["error"]["message"]
    assert (await api.get("/v1/models")).status_code == 200
    for path in ("/v1/models/rescan", "/v1/models/a/load", "/v1/models/a/unload"):
        assert code(await api.post(path)) == (403, "missing_scope")
    assert code(await api.get("/v1/memory")) == (403, "missing_scope")
    await make_key(scopes=["admin"])
    assert (await chat(api)).status_code == 200


def test_every_operation_says_what_it_needs() -> None:
    """A new one that says nothing would be open to every key."""
    found = {}
    for router in the_api._get_bound_routers():
        for path, view in router.path_operations.items():
            for operation in view.operations:
                bearer = next(one for one in operation.auth_callbacks if isinstance(one, BearerKey))
                for method in operation.methods:
                    found[f"{method} {router.prefix}{path}"] = bearer.scope
    open_to_all = {name for name, scope in found.items() if scope is None}
    assert open_to_all == {"GET models", "GET models/{path:model}", "GET usage"}
    assert found["POST chat/completions"] == Scope.CHAT


async def test_a_model_that_is_not_allowed_is_not_there(api: httpx.AsyncClient, make_key: MakeKey) -> None:
    await make_key(allowed_models=["b"])
    refused = await chat(api, model="a")
    assert code(refused) == (404, "model_not_found")
    assert "'b'" not in (await chat(api, model="nothing")).text
    assert [one["id"] for one in (await api.get("/v1/models")).json()["data"]] == ["b"]
    assert (await api.get("/v1/models/a")).status_code == 404
    assert (await chat(api, model="b")).status_code == 200
    body = {"messages": HELLO}
    assert (await api.post("/v1/chat/completions", json=body)).json()["model"] == "b"


async def test_requests_are_counted_and_every_answer_says_what_is_left(
    api: httpx.AsyncClient, make_key: MakeKey
) -> None:
    await make_key(requests_per_minute=2, requests_per_day=2, tokens_per_day=1000)
    first = await chat(api)
    assert {name: first.headers[f"x-ratelimit-{name}-requests"] for name in ("limit", "remaining")} == {
        "limit": "2",
        "remaining": "1",
    }
    assert first.headers["x-ratelimit-limit-tokens"] == "1000"
    await chat(api, stream=True)
    third = await chat(api)
    assert code(third) == (429, "rate_limit_exceeded")
    assert third.json()["error"]["type"] == "requests"
    assert int(third.headers["Retry-After"]) > 60, "the day's limit is the one that lasts"
    assert third.headers["x-ratelimit-remaining-requests"] == "0"
    looked = await api.get("/v1/models")
    assert (looked.status_code, looked.headers["x-ratelimit-remaining-tokens"]) == (200, str(1000 - 2 * 6))


async def test_tokens_are_counted_when_an_answer_ends(api: httpx.AsyncClient, make_key: MakeKey) -> None:
    await make_key(tokens_per_minute=6)
    assert (await chat(api)).status_code == 200
    refused = await chat(api)
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "tokens")


async def test_a_new_minute_begins_with_nothing_used(api: httpx.AsyncClient, make_key: MakeKey) -> None:
    await make_key(requests_per_minute=1)
    assert (await chat(api)).status_code == 200
    await KeyMeter.objects.aupdate(minute=1)
    assert (await chat(api)).status_code == 200


async def test_what_runs_at_one_time_is_bounded_and_freed(
    api: httpx.AsyncClient, make_key: MakeKey, scripted: Scripted
) -> None:
    key = await make_key(concurrent_requests=1)
    hanging = asyncio.create_task(chat(api, messages=[{"role": "user", "content": "hang"}]))
    await await_for(lambda: scripted.heard("request"), 10, "the first request being asked")
    assert code(await chat(api)) == (429, "rate_limit_exceeded")
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    await await_for(lambda: is_free(key), 10, "the key's only place being free")
    for _ in range(3):
        assert (await chat(api)).status_code == 200, "each has ended before the next begins"


async def is_free(key: ApiKey) -> bool:
    return (await KeyMeter.objects.aget(key=key)).running == {}


async def test_a_site_process_that_died_holds_no_place(api: httpx.AsyncClient, make_key: MakeKey) -> None:
    key = await make_key(concurrent_requests=1)
    await KeyMeter.objects.acreate(key=key, running={"dead": [1, 0.0]})
    assert (await chat(api)).status_code == 200


async def test_without_a_key_only_if_that_is_chosen_and_only_from_here(
    api: httpx.AsyncClient, make_key: MakeKey, settings: Settings
) -> None:
    await make_key()
    del api.headers["Authorization"]
    assert code(await chat(api)) == (401, "invalid_api_key")
    settings.FMLX = settings.FMLX.model_copy(update={"anonymous_access": "loopback"})
    settings.FMLX.model_fields_set.add("anonymous_access")
    assert (await chat(api)).status_code == 200
    assert (await chat(api)).status_code == 200
    assert code(await api.post("/v1/models/rescan")) == (403, "missing_scope")
    for header in (
        {"X-Forwarded-For": "203.0.113.9"},
        {"Origin": "https://elsewhere.example"},
        {"Host": "rebound.example"},
    ):
        assert (await api.get("/v1/models", headers=header)).status_code == 401
    far = httpx.ASGITransport(app=application, client=("203.0.113.9", 1))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=far, base_url="http://localhost") as elsewhere:
        assert (await elsewhere.get("/v1/models")).status_code == 401


async def test_a_request_is_written_down_with_its_figures_and_no_text(
    api: httpx.AsyncClient, make_key: MakeKey
) -> None:
    key = await make_key()
    answer = await chat(api)
    refusal = await chat(api, messages=[{"role": "user", "content": "refuse"}], stream=True)
    await writer.flush()
    second, first = [row async for row in RequestLog.objects.all()]
    assert first.request_id == answer.headers["x-request-id"]
    facts = (first.key_id, first.model, first.endpoint, first.status, first.code, first.streamed, first.body)
    assert facts == (key.pk, "a", "POST /v1/chat/completions", 200, "", False, "")
    assert (first.prompt_tokens, first.completion_tokens, first.cached_tokens) == (3, 3, 0)
    assert 0 < (first.queue_seconds or 0) <= first.seconds
    assert (second.status, second.code, second.streamed) == (503, "no_room", True)
    assert second.request_id == refusal.headers["x-request-id"]
    hour = await UsageHour.objects.aget(key=key, model="a")
    assert (hour.requests, hour.errors, hour.prompt_tokens, hour.completion_tokens) == (2, 1, 3, 3)
    assert (await ApiKey.objects.aget()).last_used_at is not None


async def test_requests_that_end_while_others_are_written_wait_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a busy server would write row by row, without a pause."""
    busy, written = Writer(), list[int]()

    def write(visits: Sequence[Visit]) -> int:
        written.append(len(visits))
        busy._waiting.append(Visit("GET", "/v1/models"))
        return 0

    monkeypatch.setattr("inference.request_log.writer.write", write)
    busy._waiting.extend(Visit("GET", "/v1/models") for _ in range(3))
    await busy.flush()
    assert written == [3]
    assert len(busy._waiting) == 1


async def test_what_was_sent_is_kept_only_when_that_is_chosen(api: httpx.AsyncClient, make_key: MakeKey) -> None:
    await make_key()
    await sync_to_async(option_store.change)({"log_bodies": "on"}, Origin())
    assert (await chat(api, seed=4711)).status_code == 200
    await sync_to_async(option_store.change)({"log_bodies": "off"}, Origin())
    await chat(api, seed=4711)
    await writer.flush()
    assert ["4711" in row.body async for row in RequestLog.objects.all()] == [False, True]


@pytest.mark.parametrize(
    ("since", "until", "rows"),
    [
        ("0799-05-16T08:00:06Z", "0001-01-01T00:06:25Z", 0),
        ("0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59", 1),
        ("9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59-23:59", 0),
    ],
)
async def test_usage_of_any_time_can_be_asked_for(
    api: httpx.AsyncClient, make_key: MakeKey, since: str, until: str, rows: int
) -> None:
    await make_key()
    await chat(api)
    await writer.flush()
    answer = await api.get(f"/v1/usage?from={since}&to={until}")
    assert (answer.status_code, len(answer.json()["data"])) == (200, rows)


async def test_who_leaves_is_written_down_as_499(api: httpx.AsyncClient, make_key: MakeKey, scripted: Scripted) -> None:
    await make_key()
    hanging = asyncio.create_task(chat(api, messages=[{"role": "user", "content": "hang"}]))
    await await_for(lambda: scripted.heard("request"), 10, "the request being asked")
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    await writer.flush()
    assert [(row.status, row.code) async for row in RequestLog.objects.all()] == [(499, "client_gone")]


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/models/none", "/v1/chat/completions"])
async def test_every_answer_has_a_request_id(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(path)
    assert answer.status_code >= 400
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["Content-Type"] == "application/json"


async def test_other_origins_are_let_in_by_name_only(
    api: httpx.AsyncClient, make_key: MakeKey, settings: Settings
) -> None:
    await make_key()
    here, there = {"Origin": "https://ui.example"}, {"Origin": "https://elsewhere.example"}
    asks = {"Access-Control-Request-Method": "POST"}
    assert (await api.options("/v1/models", headers=here | asks)).status_code == 405
    settings.FMLX = settings.FMLX.model_copy(update={"cors_origins": "https://ui.example"})
    preflight = await api.options("/v1/models", headers=here | asks)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, here["Origin"])
    assert "x-request-id" in (await api.get("/v1/models", headers=here)).headers["access-control-expose-headers"]
    answer = await api.get("/v1/models", headers=there)
    assert "access-control-allow-origin" not in answer.headers


async def test_each_change_of_a_key_is_in_the_audit_trail_without_its_secret(make_key: MakeKey) -> None:
    key = await make_key(name="laptop")
    await sync_to_async(changes.change)(key, Origin(), requests_per_day=5)
    await sync_to_async(changes.revoke)(key, Origin())
    revoked, changed, made = [change async for change in Change.objects.filter(what=Change.What.KEY)]
    assert (changed.old, changed.new) == ({"requests_per_day": None}, {"requests_per_day": 5})
    assert (revoked.new, made.old) == ({"revoked": True}, None)
    assert key.digest not in str(made.new)
