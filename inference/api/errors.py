"""Every error on the wire is OpenAI's object, or Anthropic's where that is spoken, whoever found it: a view, ninja,
Django's URL resolver or the handler."""

import json
from http import HTTPStatus
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import HttpError, ValidationError

from fmlx_site.errors import FmlxError, InvalidRequest, NotFound, Unavailable
from inference.api.formats import anthropic
from inference.request_log.visit import current_visit

log = structlog.get_logger(__name__)


class ErrorObject(Schema):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(Schema):
    error: ErrorObject


def error_body(message: str, type_: str, param: str | None, code: str | None) -> bytes:
    error = {"message": message, "type": type_, "param": param, "code": code}
    return json.dumps({"error": error}, ensure_ascii=False).encode()


def error_response(error: FmlxError, path: str) -> HttpResponse:
    """In the words of the API that is spoken at this path."""
    if anthropic.speaks(path):
        body = json.dumps(anthropic.error_object(error), ensure_ascii=False).encode()
    else:
        body = error_body(error.message, error.type, error.param, error.code)
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return HttpResponse(body, status=error.status, content_type="application/json", headers=headers)


def plain_status_response(status: int, path: str) -> HttpResponse:
    """For an error that Django made itself: no such URL, a method it does not have, a request it could not read."""
    phrase = HTTPStatus(status).phrase
    code = {404: "unknown_url", 405: "method_not_allowed"}.get(status)
    note(code)
    error = FmlxError(f"{phrase}: {path}")
    error.status, error.code = status, code
    error.type = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return error_response(error, path)


# What ninja puts before a field's name.
SOURCES = ("body", "query", "path", "header", "form", "payload")


def invalid(error: ValidationError) -> InvalidRequest:
    """The first thing wrong, with the field's name as the client knows it."""
    first: dict[str, Any] = error.errors[0]
    where = [str(part) for part in first["loc"]]
    if where and where[0] in SOURCES:
        where = where[2:] if where[1:2] == ["payload"] else where[1:]
    param = ".".join(where) or None
    what = first["msg"].removeprefix("Value error, ")
    return InvalidRequest(f"{param}: {what}." if param else f"{what}.", param=param)


def note(code: str | None) -> None:
    """For the request log."""
    if visit := current_visit():
        visit.code = code or ""


def register_exception_handlers(api: NinjaAPI) -> None:
    @api.exception_handler(FmlxError)
    def known(request: HttpRequest, error: FmlxError) -> HttpResponse:
        note(error.code)
        return error_response(error, request.path)

    @api.exception_handler(ValidationError)
    def malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
        return known(request, invalid(error))

    @api.exception_handler(Http404)
    def missing(request: HttpRequest, error: Http404) -> HttpResponse:
        return known(request, NotFound(f"There is nothing at {request.path}."))

    @api.exception_handler(HttpError)
    def ninja_refused(request: HttpRequest, error: HttpError) -> HttpResponse:
        return plain_status_response(error.status_code, request.path)

    @api.exception_handler(OperationalError)
    @api.exception_handler(InterfaceError)
    def database_away(request: HttpRequest, error: Exception) -> HttpResponse:
        log.error("The database did not answer.", path=request.path, exc_info=error)
        return known(request, Unavailable("The database did not answer; try again.", retry_after=2))

    @api.exception_handler(Exception)
    def unknown(request: HttpRequest, error: Exception) -> HttpResponse:
        log.error("A request failed.", path=request.path, exc_info=error)
        return known(request, FmlxError("The server failed while it worked on this request; its log says why."))
