"""What the document of the API says about operations that read their body themselves."""

from typing import Any

from pydantic import BaseModel

from inference.api.errors import ErrorResponse

ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 404, 413, 415, 503), ErrorResponse)


def body_of(schema: type[BaseModel]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}
