"""Keys over real sockets: two site processes on one database, and bodies that mean harm."""

import gzip
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.early import make_home
from tests.helpers import wait_for
from tests.house import ask, settle_in
from tests.servers import MANAGE, Server, running

SITE = (*MANAGE, "serve", "--site-only")
MAKE = """
from django.contrib.auth.models import User
from fmlx_site.audit import Origin
from inference.keys import changes
print(changes.make(User.objects.get(), Origin(), **{fields})[1])
"""
REVOKE = """
from fmlx_site.audit import Origin
from inference.keys import changes
from inference.models import ApiKey
changes.revoke(ApiKey.objects.get(name='test'), Origin())
"""
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Two site processes of one home, without a node."""
    home = make_home(tmp_path_factory.mktemp("keys") / "home")
    settle_in(home)
    with ExitStack() as stack:
        yield [stack.enter_context(running(SITE, home=home, ready_url="/healthz")) for _ in range(2)]


def make_key(home: Path, **fields: object) -> dict[str, str]:
    said = ask(home, MAKE.format(fields={"name": "test", **fields}))
    return {"Authorization": f"Bearer {said.splitlines()[-1]}"}


def get(site: Server, headers: dict[str, str], path: str = "/v1/models") -> httpx.Response:
    return httpx.get(site.base_url + path, headers=headers, timeout=30, trust_env=False)


def post(site: Server, headers: dict[str, str], **options: object) -> httpx.Response:
    url = f"{site.base_url}/v1/chat/completions"
    return httpx.post(url, headers=headers, timeout=60, trust_env=False, **options)  # type: ignore[arg-type]


def test_a_revoked_key_is_refused_at_once_by_both(sites: list[Server]) -> None:
    headers = make_key(sites[0].home)
    assert [get(site, headers).status_code for site in sites] == [200, 200]
    code = (
        "from inference.keys import changes; from inference.models import ApiKey; from fmlx_site.audit import Origin;"
    )
    ask(sites[0].home, f"{code} changes.revoke(ApiKey.objects.get(name='test'), Origin())")
    assert [get(site, headers).status_code for site in sites] == [401, 401]


def test_both_count_one_limit(sites: list[Server]) -> None:
    headers = make_key(sites[0].home, requests_per_day=3)
    answers = [post(sites[number % 2], headers, json={}) for number in range(4)]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["2", "1", "0", "0"]


BODIES = {
    "not valid JSON": (b"{", 400),
    "not valid UTF-8": (b'{"model": "\xff"}', 400),
    "half of a surrogate pair": (b'{"model": "a", "messages": "\\ud800"}', 400),
    "NaN is not": (b'{"model": NaN}', 400),
    "too large a number": (b'{"seed": 1e999}', 400),
    "'model' is there more than once": (b'{"model": "a", "model": "b"}', 400),
    "nested deeper than 100 levels": (b'{"a":' + b"[" * 101 + b"]" * 101 + b"}", 400),
    "nested deeper": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "must be a JSON object": (b"[]", 400),
    "Exceeds the limit": (b'{"seed": ' + b"9" * 100_000 + b"}", 400),
    "33554432 bytes": (b" " * (32 * 1024**2 + 1), 413),
}


@pytest.mark.parametrize("why", BODIES)
def test_a_bad_body_is_refused_in_openais_shape(sites: list[Server], why: str) -> None:
    body, status = BODIES[why]
    headers = make_first(sites[0])
    answer = post(sites[0], {**headers, "Content-Type": "application/json"}, content=body)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert why in answer.json()["error"]["message"]
    assert answer.headers["x-request-id"]


_keys: dict[str, dict[str, str]] = {}


def make_first(site: Server) -> dict[str, str]:
    return _keys.setdefault(site.base_url, make_key(site.home))


def test_a_compressed_body_is_not_unpacked(sites: list[Server]) -> None:
    bomb = gzip.compress(b" " * 20_000_000)
    headers = {**make_first(sites[0]), "Content-Encoding": "gzip", "Content-Type": "application/json"}
    refused = post(sites[0], headers, content=bomb)
    assert (refused.status_code, refused.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_headers_without_end_are_cut_off(sites: list[Server]) -> None:
    with connected(sites[0]) as client:
        client.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n")
        sent = flood(client, b"X-Filler: " + b"x" * 8000 + b"\r\n")
    assert sent < 4 * 1024**2, "the rest is what the sockets of both sides hold"
    with connected(sites[0]) as client:
        client.sendall(b"GET /v1/models HTTP/1.1\r\nX-Filler: " + b"x" * 70_000)
        assert b" 431 " in client.recv(1000)


def connected(site: Server) -> socket.socket:
    host, port = site.base_url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def flood(client: socket.socket, piece: bytes) -> int:
    """How much was taken before the server closed."""
    sent = 0
    while sent < 64 * 1024**2:
        try:
            sent += client.send(piece)
        except OSError:
            break
    return sent


def test_what_is_no_http_is_told_so_in_the_same_shape(sites: list[Server]) -> None:
    with connected(sites[0]) as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert b'"code": "invalid_http"' in client.recv(1000)


def test_every_answer_under_v1_is_json(sites: list[Server]) -> None:
    headers = make_first(sites[0])
    for method, path in (
        ("GET", "/v1/"),
        ("GET", "/v1"),
        ("GET", "/v1/x/y"),
        ("PUT", "/v1/models"),
        ("GET", "/v1/chat/completions"),
    ):
        answer = httpx.request(method, sites[0].base_url + path, headers=headers, timeout=30, trust_env=False)
        assert answer.status_code in (404, 405)
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json()["error"]["message"]


def asked(site: Server, headers: dict[str, str]) -> list[dict[str, Any]]:
    """Rows of usage in which something was refused; asking for them is a request too."""
    return [row for row in get(site, headers, "/v1/usage").json()["data"] if row["errors"]]


def test_usage_is_answered_for_the_key_alone(sites: list[Server]) -> None:
    headers = make_key(sites[0].home, name="alone", scopes=["chat"])
    post(sites[0], headers, json={})
    used = wait_for(lambda: asked(sites[1], headers), 10, "the request being written")
    assert [(row["key"]["name"], row["errors"]) for row in used] == [("alone", 1)]
    everything = get(sites[1], make_first(sites[0]), "/v1/usage?by=hour").json()
    assert everything["total"]["requests"] > 1
