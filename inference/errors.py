"""What the inference part refuses, each with its place on the wire."""

import difflib
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _

from fmlx_site.errors import FmlxError, InvalidRequest, NotFound, Unavailable
from memory import NoRoom, RoomPinned, Sentence

RETRY_SECONDS = 1
ARTICLES = {"embedding": "an", "upscale": "an"}
ENDPOINTS = {
    "chat": ("answers prompts", "POST /v1/chat/completions"),
    "embedding": ("makes vectors of texts", "POST /v1/embeddings"),
    "rerank": ("puts documents in order for a query", "POST /v1/rerank"),
    "video": ("makes videos", "POST /v1/videos"),
    "upscale": ("makes videos larger", "the field upscale of POST /v1/videos"),
}


class ModelNotFound(NotFound):
    code = "model_not_found"

    def __init__(self, name: str, known: list[str]) -> None:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"The model {name!r} is not served here.{hint}", param="model")


class WrongModelType(InvalidRequest):
    """Found before anything is loaded or evicted."""

    code = "wrong_model_type"

    def __init__(self, name: str, type_: str) -> None:
        what, endpoint = ENDPOINTS[type_]
        super().__init__(
            f"{name!r} is {ARTICLES.get(type_, 'a')} {type_} model: it {what}. Use {endpoint} for it.", param="model"
        )


class UnsupportedParameter(InvalidRequest):
    code = "unsupported_parameter"


class NoEyes(UnsupportedParameter):
    """A part that is no text; `place` is where it was sent."""

    def __init__(self, place: str, kind: str) -> None:
        super().__init__(f"{place}: no model here reads a part of type {kind!r}; send text.", param=place)


class UnknownParameter(InvalidRequest):
    code = "unknown_parameter"


class LoadFailed(Unavailable):
    """A model that does not load. It is tried again when `retry_after` is over, not before."""

    code = "model_load_failed"


class NoRoomForModel(NoRoom):
    """It would fit if others ended: `retry_after` says when that is expected."""

    code = "no_room_for_model"


class ModelsPinned(RoomPinned):
    """Whatever else ends, it does not fit beside what is pinned."""

    code = "models_pinned"


class EngineLost(Unavailable):
    """The engine died, or was ended, while it worked on the request."""

    code = "engine_lost"


class ServerStopping(Unavailable):
    """The server was stopped in good order while it answered."""

    code = "server_stopping"


class NodeUnreachable(Unavailable):
    code = "node_unreachable"


class ResponseNotFound(NotFound):
    """Also what another key stored."""

    code = "response_not_found"


class PreviousNotFound(InvalidRequest):
    """A conversation that cannot be gone on with: a response of it is not there, or has not ended."""

    code = "previous_response_not_found"


class InvalidRepository(InvalidRequest):
    code = "repository_invalid"

    def __init__(self, text: str) -> None:
        said = _("%(text)r is no id of a repository. Give it as owner/name, or the address of its page.")
        super().__init__(said % {"text": text[:200]}, param="repository")


class InvalidRevision(InvalidRequest):
    def __init__(self, text: str) -> None:
        said = _("%(text)r is no revision. Give a branch, a tag or a commit.")
        super().__init__(said % {"text": text[:200]}, param="revision")


class DownloadNotFound(NotFound):
    code = "download_not_found"

    def __init__(self, download_id: int) -> None:
        super().__init__(f"There is no download {download_id}.", param="download_id")


class RequestNotFound(NotFound):
    code = "request_not_found"

    def __init__(self, request_id: str) -> None:
        text = f"No engine is at work on a request {request_id!r} of this key; it may have ended."
        super().__init__(text, param="request_id")


class EngineRefused(FmlxError):
    """What an engine refused, as it said it."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(
            Sentence.of(said["said"]) if said.get("said") else said.get("message") or "The engine refused the request.",
            param=said.get("param"),
            retry_after=said.get("retry_after"),
        )
        self.status = int(said.get("status") or HTTPStatus.INTERNAL_SERVER_ERROR)
        self.type = "server_error" if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        self.code = said.get("code")
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE and not self.retry_after:
            self.retry_after = RETRY_SECONDS
