"""The API's own document: what it was, that it says every error, and the table of them.

What it is now is written down by WRITE_DOCUMENT=1 .venv/bin/python -m pytest tests/inference/test_document.py
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import fmlx_site.protocol
import fmlx_site.urls  # noqa: F401 - mounts the routers of the other apps
import videos.calibration  # noqa: F401 - so that its errors are known, whichever tests run before
from fmlx_site.errors import FmlxError
from inference.api import api, second_api
from inference.api.docs import ALWAYS
from inference.api.formats.anthropic import error_type
from inference.engine import messages
from tests.early import ROOT

SNAPSHOT = ROOT / "docs" / "openapi.json"
ERRORS = ROOT / "docs" / "errors.md"
INTERNAL = {"chat", "memory"}  # apps whose own errors do not reach the API as they are
REACHES = {"too_large_for_memory", "no_room_for_lease", "memory_pinned"}  # of those of memory
COMMANDS = {"cannot_fit"}  # of manage.py measure alone
BESIDE = {"unknown_url": 404, "method_not_allowed": 405, "request_cancelled": 400}  # made from a status alone
Json = dict[str, Any]


def document() -> Json:
    return dict(json.loads(json.dumps(api.get_openapi_schema())))


def test_the_document_is_what_it_was() -> None:
    shown = json.dumps(document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("WRITE_DOCUMENT"):
        SNAPSHOT.write_text(shown)
    assert SNAPSHOT.read_text() == shown, "The API's document changed; see the head of this file."


def test_every_operation_says_its_errors_in_its_own_shape() -> None:
    for path, methods in document()["paths"].items():
        shape = "AnthropicError" if path.startswith("/v1/messages") else "ErrorResponse"
        for method, operation in methods.items():
            assert {str(status) for status in ALWAYS} <= set(operation["responses"]), (method, path)
            for status, response in operation["responses"].items():
                if int(status) >= 400 and "content" in response:
                    schema = response["content"]["application/json"]["schema"]
                    assert schema == {"$ref": f"#/components/schemas/{shape}"}, (method, path, status)


def test_everything_that_the_document_refers_to_is_in_it() -> None:
    whole = document()
    for place in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(whole))):
        found: Any = whole
        for part in place.split("/"):
            assert part in found, place
            found = found[part]


def test_no_two_operations_share_a_name_and_no_two_answers_a_shapes() -> None:
    """Two classes of one name would be one component, and what the one answers be declared as the other."""
    whole = document()
    names = [operation["operationId"] for methods in whole["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))
    for model in answers():
        own = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        for name, shape in own.get("$defs", {}).items():
            said = whole["components"]["schemas"][name]
            assert set(said.get("properties", ())) == set(shape.get("properties", ())), name


def answers() -> Iterator[Any]:
    for served in (api, second_api):
        for _prefix, router in served._routers:
            for view in router.path_operations.values():
                for operation in view.operations:
                    yield from (model for model in operation.response_models.values() if model)


def kinds(base: type[FmlxError] = FmlxError) -> Iterator[type[FmlxError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


def reported() -> set[tuple[str, int, str, str]]:
    """Every code with its status, its type, and that in Anthropic's form; an engine's by its contract."""
    found = {(kind.code, kind.status, kind.type) for kind in kinds() if kind.code and reaches(kind)}
    contract = re.findall(r"\b([45]\d\d) ([a-z]+_[a-z_]+)", messages.__doc__ or "")
    found |= {(code, int(status), type_of(int(status))) for status, code in contract}
    found |= {(code, status, type_of(status)) for code, status in BESIDE.items()}
    return {(code, status, type_, error_type(status)) for code, status, type_ in found}


def type_of(status: int) -> str:
    return "server_error" if status >= 500 else "invalid_request_error"


def reaches(kind: type[FmlxError]) -> bool:
    internal = kind.__module__.split(".")[0] in INTERNAL and kind.code not in REACHES
    return not internal and kind.code not in COMMANDS


def test_the_table_has_every_error_with_its_status_and_its_names() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| `(\w+)` \| `(\w+)` \| .+ \|$", ERRORS.read_text(), re.MULTILINE)
    assert {(code, int(status), type_, name) for code, status, type_, name in rows} == reported()
