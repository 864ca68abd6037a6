"""A hub on a real socket, as huggingface_hub asks one: what a repository has, and its files with ranges."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.helpers import free_port

COMMIT = "c0ffee" + 34 * "0"
INFO = re.compile(r"/api/models/([^/]+/[^/]+)/revision/(.+)")
FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
LARGE = 2**20  # of at least so many bytes a hub keeps the SHA-256
BLOCK = 2**16


def read_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass
class Hub:
    """`repositories` by id, files by path. `holds` are files of which so many bytes are sent until `let_go` is set;
    `sent` is what was sent of each file, one figure for each request. `refusal` is the status and code of every answer,
    `swaps` what is sent in a file's place, and the next `breaks` requests for files fail.
    """

    port: int = field(default_factory=free_port)
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)
    let_go: threading.Event = field(default_factory=threading.Event)
    refusal: tuple[int, str] | None = None
    swaps: dict[str, bytes] = field(default_factory=dict)
    breaks: int = 0
    sent: dict[str, list[int]] = field(default_factory=dict)
    tokens: set[str | None] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    heads: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def up(self) -> Iterator["Hub"]:
        server = ThreadingHTTPServer(("127.0.0.1", self.port), type("Answer", (Answer,), {"hub": self}))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield self
        finally:
            self.let_go.set()
            server.shutdown()
            server.server_close()


class Answer(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self.hub.heads += 1
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(path)
        self.hub.tokens.add(self.headers.get("authorization"))
        if self.hub.refusal:
            status, code = self.hub.refusal
            self._answer(status, b"{}", {"x-error-code": code} if code else {})
        elif (info := INFO.fullmatch(path)) and (files := self.hub.repositories.get(info[1])) is not None:
            self._tell(info[1], info[2], files)
        elif (file := FILE.fullmatch(path)) and file[3] in self.hub.repositories.get(file[1], {}):
            self._send(file[3], self.hub.swaps.get(file[3], self.hub.repositories[file[1]][file[3]]))
        else:
            self._answer(404, b"{}", {"x-error-code": "RepoNotFound"})

    def _tell(self, repository: str, revision: str, files: dict[str, bytes]) -> None:
        if revision not in ("main", COMMIT):
            self._answer(404, b"{}", {"x-error-code": "RevisionNotFound"})
            return
        siblings = [_sibling(path, content) for path, content in files.items()]
        self._answer(200, json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings}).encode())

    def _send(self, path: str, content: bytes) -> None:
        if self.hub.breaks:
            self.hub.breaks -= 1
            self._answer(503, b"{}")
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        first = int(wanted[1]) if wanted else 0
        of = {"content-range": f"bytes {first}-{len(content) - 1}/{len(content)}"} if wanted else {}
        headers = {"etag": f'"{hashlib.sha256(content).hexdigest()}"', "x-repo-commit": COMMIT, **of}
        self._answer(206 if wanted else 200, b"", headers, length=len(content) - first)
        if self.command == "GET":
            self._body(path, content[first:])

    def _body(self, path: str, content: bytes) -> None:
        held = self.hub.holds.pop(path, len(content))
        counts = self.hub.sent.setdefault(path, [])
        counts.append(0)
        try:
            for at in range(0, len(content), BLOCK):
                if at >= held:
                    self.hub.let_go.wait(60)
                counts[-1] += self.wfile.write(content[at : at + BLOCK])
        except OSError:
            self.close_connection = True  # who asked is gone

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int = 0) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(length or len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _sibling(path: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    told: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": digest[:40]}
    if len(content) >= LARGE:
        told["lfs"] = {"size": len(content), "sha256": digest, "pointerSize": 100}
    return told
