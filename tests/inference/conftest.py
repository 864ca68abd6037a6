import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from pytest_django import Settings

from inference.catalog import Served, read_catalog
from inference.models import ApiKey, ModelFolder, ModelSettings
from inference.pool import Pool, here
from memory.inprocess import InProcessLauncher
from memory.node import LocalNode
from tests.inference.scripted import Scripted

MIB = 1024**2
CEILING_BYTES = 3072 * MIB


@pytest.fixture
def home(tmp_path: Path, settings: Settings) -> Path:
    """A home of its own, on a machine that can promise 3 GiB."""
    reserve = psutil.virtual_memory().total - CEILING_BYTES
    own = {"home": tmp_path / "home", "memory_tier": "custom", "memory_reserve_bytes": reserve}
    settings.FMLX = settings.FMLX.model_copy(update=own)
    return tmp_path / "home"


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
async def node(home: Path, scripted: Scripted, transactional_db: None) -> AsyncIterator[LocalNode]:
    async with LocalNode.open("here", InProcessLauncher(scripted.work)) as node:
        yield node


@pytest.fixture
async def pool(node: LocalNode) -> AsyncIterator[Pool]:
    pool = Pool(node)
    with here(pool):
        yield pool


@pytest.fixture
def make_model(node: LocalNode, tmp_path: Path) -> Callable[..., Any]:
    """A chat model whose folder says that it has so many bytes of float32 weights."""

    async def make(name: str, size: int = MIB, type_: str = "chat", **decided: Any) -> Served:
        path = tmp_path / "models" / name
        path.mkdir(parents=True)
        header = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
        (path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        await ModelFolder.objects.acreate(node=node.row, name=name, path=str(path), type=type_, size_bytes=size)
        if decided:
            await sync_to_async(ModelSettings.objects.create)(name=name, **decided)
        return (await read_catalog()).find(name)

    return make


@pytest.fixture
async def api(client: httpx.AsyncClient, pool: Pool, make_model: Callable[..., Any]) -> httpx.AsyncClient:
    """A client with a key, of a server that has the chat model "a" and the video model "film"."""
    owner = await sync_to_async(User.objects.create_superuser)("admin", password="a long password")
    _, secret = await sync_to_async(ApiKey.make)("test", owner)
    client.headers["Authorization"] = f"Bearer {secret}"
    await make_model("a")
    await make_model("film", type_="video")
    return client
