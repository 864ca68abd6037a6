"""The Keys, Requests and Usage pages: who sees what, and what they do."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from fmlx_site.models import Change
from inference.models import ApiKey, RequestLog, UsageHour, digest

pytestmark = pytest.mark.django_db
SECRET = re.compile(r"fmlx-[\w-]{40,}")


@pytest.fixture
def operator() -> Client:
    browser = Client()
    browser.force_login(User.objects.create_superuser("admin", password="a long password"))
    return browser


@pytest.fixture
def plain() -> Client:
    """Somebody without any permission, who has one key."""
    user = User.objects.create_user("mia", password="a long password")
    ApiKey.make("mia's laptop", user)
    browser = Client()
    browser.force_login(user)
    return browser


def row(key: ApiKey | None, **fields: object) -> RequestLog:
    facts = {"request_id": f"req_{RequestLog.objects.count()}", "at": timezone.now(), "endpoint": "POST /v1/chat"}
    return RequestLog.objects.create(key=key, **{"status": 200, "seconds": 0.1, "model": "qwen", **facts, **fields})


def revoked(key: ApiKey) -> bool:
    key.refresh_from_db()
    return key.revoked_at is not None


def test_a_key_is_shown_once_and_only_its_digest_is_kept(operator: Client) -> None:
    form = {"name": "laptop", "scopes": ["chat"], "requests_per_minute": "9", "expires_at": "2099-12-31"}
    made = operator.post("/keys/make/", form)
    (secret,) = set(SECRET.findall(made.content.decode()))
    assert "no-store" in made.headers["Cache-Control"]
    key = ApiKey.objects.get()
    assert (key.digest, key.scopes, key.requests_per_minute) == (digest(secret), ["chat"], 9)
    assert key.expires_at is not None
    assert f"{key.expires_at:%Y-%m-%d %H:%M}" == "2099-12-31 23:59"
    for page in ("/keys/", f"/keys/{key.pk}/", "/audit/"):
        shown = operator.get(page).content.decode()
        assert key.prefix in shown
        assert secret not in shown
    assert secret not in str(list(Change.objects.values()))


def test_a_form_with_a_mistake_makes_nothing(operator: Client) -> None:
    refused = operator.post("/keys/make/", {"name": "", "scopes": ["fly"], "expires_at": "2001-01-01"})
    assert refused.content.decode().count('class="errors"') == 3
    assert not ApiKey.objects.exists()


def test_limits_are_changed_and_a_key_is_revoked_after_a_question(operator: Client) -> None:
    key, _ = ApiKey.make("laptop", User.objects.get())
    page = f"/keys/{key.pk}/"
    operator.post(page, {"name": "laptop", "scopes": key.scopes, "tokens_per_day": "1000"})
    key.refresh_from_db()
    assert key.tokens_per_day == 1000
    assert "0 of 1000" in operator.get(page).content.decode()
    assert "Revoke this key?" in operator.get(f"{page}revoke/").content.decode()
    assert not revoked(key)
    operator.post(f"{page}revoke/")
    assert revoked(key)
    assert "Save" not in operator.get(page).content.decode(), "what is revoked is not changed any more"


def test_a_plain_owner_sees_and_revokes_only_their_own(operator: Client, plain: Client) -> None:
    own = ApiKey.objects.get()
    other, _ = ApiKey.make("of the operator", User.objects.get(username="admin"))
    mine, hidden = row(own, request_id="req_mine"), row(other, request_id="req_other")
    listed = plain.get("/keys/").content.decode()
    assert "mia&#x27;s laptop" in listed
    assert "of the operator" not in listed
    for path in (f"/keys/{other.pk}/", f"/keys/{other.pk}/revoke/", f"/requests/{hidden.request_id}/"):
        assert plain.get(path).status_code == 404
    assert plain.post(f"/keys/{other.pk}/revoke/").status_code == 404
    assert plain.get("/keys/make/").status_code == 403
    assert plain.post(f"/keys/{own.pk}/", {"name": "x", "scopes": ["admin"]}).status_code == 200
    own.refresh_from_db()
    assert own.name == "mia's laptop"
    shown = plain.get("/requests/").content.decode()
    assert mine.request_id in shown
    assert hidden.request_id not in shown
    plain.post(f"/keys/{own.pk}/revoke/")
    assert revoked(own)


def test_who_may_only_make_keys_cannot_give_what_is_not_theirs(plain: Client) -> None:
    User.objects.get().user_permissions.add(Permission.objects.get(codename="add_apikey"))
    refused = plain.post("/keys/make/", {"name": "more", "scopes": ["chat", "admin"]})
    assert refused.content.decode().count('class="errors"') == 1
    plain.post("/keys/make/", {"name": "more", "scopes": ["chat"]})
    assert ApiKey.objects.get(name="more").scopes == ["chat"]


def test_who_is_not_logged_in_is_asked_to() -> None:
    for path in ("/keys/", "/keys/make/", "/requests/", "/requests/rows/", "/usage/"):
        assert Client().get(path).headers["Location"] == f"/login/?next={path}"


def test_requests_are_filtered_and_paged(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    key, _ = ApiKey.make("laptop", User.objects.get())
    for number in range(60):
        row(
            key,
            request_id=f"req_{number}",
            status=200 if number % 2 else 429,
            code="" if number % 2 else "rate_limit_exceeded",
        )
    row(None, request_id="req_nobody", status=401, code="invalid_api_key")
    with django_assert_max_num_queries(8):
        first = operator.get("/requests/").content.decode()
    assert "req_nobody" in first
    assert "req_5/" not in first
    older = re.search(r"before=(\d+)", first)
    assert older
    assert "req_5/" in operator.get(f"/requests/?before={older[1]}").content.decode()
    refused = operator.get(f"/requests/rows/?status=refused&key={key.pk}").content.decode()
    assert refused.count("rate_limit_exceeded") == 30
    assert "req_nobody" not in refused
    assert "There is no such request." in operator.get("/requests/?model=none").content.decode()


def test_a_request_is_shown_with_its_figures(operator: Client) -> None:
    row(None, request_id="req_1", first_token_seconds=0.25, tokens_per_second=41.26, prompt_tokens=77)
    shown = operator.get("/requests/req_1/").content.decode()
    for figure in ("250 ms", "41.3", "77", "It is not kept"):
        assert figure in shown


def test_usage_is_summed_by_day_and_by_hour(operator: Client) -> None:
    key, _ = ApiKey.make("laptop", User.objects.get())
    noon = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2) + timedelta(hours=12)
    for hour, tokens in ((noon, 10), (noon + timedelta(hours=1), 20)):
        UsageHour.objects.create(hour=hour, key=key, model="qwen", requests=1, prompt_tokens=tokens)
    by_day = operator.get("/usage/?by=day").context
    assert [(use.requests, use.prompt_tokens) for use in by_day["uses"]] == [(2, 30)]
    since = f"{noon:%Y-%m-%d}"
    by_hour = operator.get(f"/usage/?by=hour&since={since}&until={since}").context
    assert [use.prompt_tokens for use in by_hour["uses"]] == [20, 10]
    assert by_hour["total"]["prompt_tokens"] == 30
    assert by_hour["columns"]["prompt"] == [10, 20]
