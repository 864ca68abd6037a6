"""A client of a running server for the command line. Standard library only: the site needs no HTTP client."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

Json = dict[str, Any]
TIMEOUT_SECONDS = 600.0  # a large model takes minutes to load from a slow disk


def add_arguments(parser: CommandParser) -> None:
    where = f"http://{settings.FMLX.host}:{settings.FMLX.port}"
    parser.add_argument("--url", default=where, help="The server (default: %(default)s).")
    parser.add_argument("--key", default="", help="An API key (default: the one in credentials.json).")


class Client:
    """Every failure is a CommandError with what the server said."""

    def __init__(self, url: str, key: str) -> None:
        self._url = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {key or _kept_key()}", "Content-Type": "application/json"}

    def models(self) -> list[Json]:
        return list(self._json("GET", "/v1/models")["data"])

    def rescan(self) -> None:
        self._json("POST", "/v1/models/rescan")

    def load(self, model: str) -> Json:
        return self._json("POST", f"/v1/models/{quote(model)}/load")

    def unload(self, model: str) -> Json:
        return self._json("POST", f"/v1/models/{quote(model)}/unload")

    def chat(self, **request: Any) -> Iterator[Json]:
        """The chunks of a streamed answer."""
        with self._send("POST", "/v1/chat/completions", {**request, "stream": True}) as response:
            for line in response:
                data = line.strip().removeprefix(b"data: ")
                if data == b"[DONE]":
                    return
                if data.startswith(b"{"):
                    yield _checked(json.loads(data))
        raise CommandError("The server ended the answer before it was complete.")

    def _json(self, method: str, path: str) -> Json:
        with self._send(method, path) as response:
            return _checked(json.load(response))

    def _send(self, method: str, path: str, body: Json | None = None) -> http.client.HTTPResponse:
        secure = self._url.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(self._url.hostname or "", self._url.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, json.dumps(body) if body else None, self._headers)
            response = connection.getresponse()
        except OSError as error:
            raise CommandError(
                f"No server answers at {self._url.geturl()} ({error}). Start it with 'make run'."
            ) from None
        if response.status >= http.client.BAD_REQUEST:
            with response:
                raise CommandError(_said(response.read()))
        return response


def _checked(answer: Json) -> Json:
    if "error" in answer:
        raise CommandError(answer["error"]["message"])
    return answer


def _said(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError):
        return body.decode(errors="replace")[:500]


def _kept_key() -> str:
    path = settings.FMLX.home / "credentials.json"
    try:
        return str(json.loads(path.read_text())["api_key"])
    except OSError:
        raise CommandError(f"There is no {path}; give a key with --key.") from None
