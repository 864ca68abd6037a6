"""A setting that is changed on the page holds at once: in the site, and in a node that is another process."""

import json
from contextlib import closing

import pytest

from memory.ceiling import GIB
from tests.helpers import wait_for
from tests.house import SHAPE, Client
from tests.servers import MANAGE, running

pytestmark = pytest.mark.runtime


def test_a_lower_limit_is_the_ceiling_and_refuses_what_no_longer_fits(house, tmp_path):
    alone = {"command": (*MANAGE, "runworkers"), "home": house}
    with running((*MANAGE, "serve", "--site-only"), home=house, ready_url="/healthz") as site, Client(site) as client:
        operator = client.operate()
        with running(**alone, answers=lambda: client.get("/readyz").is_success) as node, closing(operator):
            wait_for(lambda: client.read("GET", "/v1/models")["data"], 30, "the node's models being listed")
            assert client.read("GET", "/v1/memory")["ceiling"]["bytes"] > GIB
            token = {"csrfmiddlewaretoken": operator.get("/settings/") and operator.cookies["fmlx_csrf"]}
            wanted = {"fmlx_settings": 1, "options": {"memory_limit_bytes": GIB, "memory_tier": "aggressive"}}
            file = {"file": ("settings.json", json.dumps(wanted))}
            page = operator.post("/settings/import/", data=token, files=file)
            assert "2 settings were changed." in page.text
            wait_for(lambda: client.read("GET", "/v1/memory")["ceiling"]["bytes"] == GIB, 10, "the ceiling being 1 GiB")
            explained = {term["name"]: term for term in client.read("GET", "/v1/memory")["ceiling"]["explained"]}
            assert "The hard limit of the settings is 1.00 GiB." in explained["static"]["sentence"]
            refused = client.post("/v1/videos", json=SHAPE)
            assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large_for_memory")
            assert "1.00 GiB is the most this machine can promise." in refused.json()["error"]["message"]
            trail = operator.get("/audit/").text
            assert "Hard limit" in trail
            assert "admin" in trail
        (first,) = said(node)
        assert (first["level"], first["memory_tier"], first["weaker"]) == ("info", "balanced", [])
        with running(**alone, answers=lambda: client.get("/readyz").is_success) as node:
            (second,) = wait_for(lambda: said(node), 20, "the node saying its settings")
            figures = (second["level"], second["weaker"], second["memory_limit_bytes"])
            assert figures == ("warning", ["memory_tier"], GIB)


def said(node):
    """The lines in which a node says what it holds memory to."""
    return [json.loads(line) for line in node.output().splitlines() if '"memory_settings"' in line]
