"""The table of parameters in docs/api.md says what the endpoints do, and leaves none of OpenAI's out."""

import pytest

from inference.api import api
from inference.api.parameters import ENDPOINTS, written_into
from tests.early import ROOT
from tests.openai_schema import parameters

OPENAIS = {
    "POST /v1/chat/completions": "CreateChatCompletionRequest",
    "POST /v1/completions": "CreateCompletionRequest",
    "POST /v1/embeddings": "CreateEmbeddingRequest",
}


def test_the_table_in_the_document_is_what_the_endpoints_declare() -> None:
    document = (ROOT / "docs" / "api.md").read_text()
    assert document == written_into(document), "manage.py apidocs writes it anew"


def test_an_endpoint_that_declares_its_parameters_is_there() -> None:
    paths = {f"{method} /v1{path}" for path, item in api.get_openapi_schema()["paths"].items() for method in item}
    assert {endpoint.path.lower() for endpoint in ENDPOINTS} <= {
        path.lower().replace("/v1/v1", "/v1") for path in paths
    }


@pytest.mark.parametrize("path", OPENAIS)
def test_every_parameter_of_openais_is_honoured_or_refused_by_its_name(path: str) -> None:
    (endpoint,) = [one for one in ENDPOINTS if one.path == path]
    assert parameters(OPENAIS[path]) - endpoint.names == set()
