"""What the document of the API says of operations that read their body themselves, and of what any can be refused."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from pydantic import BaseModel

from inference.api.errors import ErrorResponse
from inference.api.formats import anthropic

Json = dict[str, Any]
ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 404, 413, 415, 503), ErrorResponse)
# Whatever is asked: no text, no key, not this key, too slowly, too much, too often, and when the server itself fails.
ALWAYS = (400, 401, 403, 408, 413, 429, 500, 503)


def body_of(schema: type[BaseModel]) -> Json:
    """Schemas within it become components of their own, under its name."""
    content = {"application/json": {"schema": _schema_of(schema)}}
    return {"requestBody": {"required": True, "content": content}}


def _schema_of(schema: type[BaseModel]) -> Json:
    return schema.model_json_schema(ref_template=f"#/components/schemas/{schema.__name__}.{{model}}")


class Api(NinjaAPI):
    """Ninja's, whose document says every error of every operation, and has in it what is `beside` it."""

    def __init__(self, *, beside: Sequence[NinjaAPI] = (), **options: Any) -> None:
        super().__init__(**options)
        self._beside = beside

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**options)
        components = document["components"]["schemas"]
        for other in self._beside:
            more = other.get_openapi_schema()
            document["paths"] |= more["paths"]
            components |= more["components"]["schemas"]
        _name_heads(document)
        for path, operation in _operations(document):
            if body := operation.get("requestBody"):
                operation["requestBody"] = deepcopy(body)  # it is the operation's own, and the next reader's too
                for content in operation["requestBody"]["content"].values():
                    _hoist(content["schema"], components)
            _declare_stream(operation)
            _declare(operation, "AnthropicError" if anthropic.speaks(path) else "ErrorResponse")
        return document


def _name_heads(document: OpenAPISchema) -> None:
    """GET and HEAD of one function have its name, and ids are of one operation."""
    for methods in document["paths"].values():
        if head := methods.get("head"):
            methods["head"] = {**head, "operationId": f"{head['operationId']}_head"}


def _operations(document: OpenAPISchema) -> Iterator[tuple[str, Json]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def _hoist(schema: Json, components: Json) -> None:
    """`$defs` would be looked for at the root of the document."""
    name = schema.get("title", "Body")
    for inner, found in schema.pop("$defs", {}).items():
        components[f"{name}.{inner}"] = found


def _declare_stream(operation: Json) -> None:
    """What takes `stream` may be answered with events."""
    bodies = operation.get("requestBody", {}).get("content", {}).values()
    names = {name for body in bodies for name in body["schema"].get("properties", ())}
    names |= {parameter["name"] for parameter in operation.get("parameters", ())}
    if "stream" in names and "content" in operation["responses"].get(200, {}):
        operation["responses"][200]["content"]["text/event-stream"] = {"schema": {"type": "string"}}


def _declare(operation: Json, error: str) -> None:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{error}"}}}
    for status in ALWAYS:
        operation["responses"].setdefault(status, {"description": DESCRIPTIONS[status], "content": content})


DESCRIPTIONS = {
    400: "It cannot be understood, or cannot be done: `param` and `code` say what and why.",
    401: "No key that is known.",
    403: "The key may not do this.",
    408: "The body came too slowly.",
    413: "More than the server takes at once.",
    429: "A limit of the key, or of a queue; `Retry-After` says when to try again.",
    500: "The server failed; its log says why.",
    503: "Not now; `Retry-After` says when to try again.",
}
