"""Downloads with a real server: killed in the middle, it goes on from there at its next start."""

import os
from pathlib import Path

import psutil
import pytest

from tests.helpers import wait_for
from tests.house import open_house
from tests.inference.hub import Hub, read_folder
from tests.servers import manage

pytestmark = pytest.mark.runtime
LARGE_BYTES = 30 * 2**20
NAME = "demo/large"


def fetchers(home: Path) -> list[psutil.Process]:
    """Every process that downloads into this home, whoever is its parent by now."""
    found = [one for one in psutil.process_iter(["cmdline", "environ"]) if one.info["cmdline"]]
    of_home = [one for one in found if str(home) in str(one.info["environ"])]
    return [one for one in of_home if "inference.downloads.fetch" in one.info["cmdline"]]


def test_a_server_that_is_killed_in_a_download_goes_on_with_it(both: Path) -> None:
    hub = Hub(repositories={NAME: {"config.json": b"{}", "model.safetensors": os.urandom(LARGE_BYTES)}})
    hub.holds["model.safetensors"] = LARGE_BYTES * 3 // 4
    env = {"FMLX_HUB_ENDPOINT": hub.url, "HF_TOKEN": "hf_secret"}
    with hub.up():
        with open_house(both, env) as client:
            asked = client.read("POST", "/v1/models/downloads", json={"repository": NAME})
            one = f"/v1/models/downloads/{asked['id']}"
            wait_for(lambda: client.read("GET", one)["bytes_done"] > 2**20, 30, "the first part of the file")
            assert fetchers(both)
            assert NAME not in str(client.read("GET", "/v1/models"))
            client.server.kill()
            wait_for(lambda: not fetchers(both), 10, "its process ending with it")
        hub.let_go.set()
        with open_house(both, env) as client:
            said = manage("pull", NAME, home=both, env=env)
            assert client.read("GET", one)["status"] == "completed"
            secret_shown = [path for path in both.rglob("*.log") if "hf_secret" in path.read_text(errors="replace")]
    assert f"{NAME} is downloaded" in said
    assert read_folder(both / "models" / NAME) == hub.repositories[NAME]
    assert hub.sent["model.safetensors"][-1] <= LARGE_BYTES - 10 * 2**20
    assert secret_shown == []
