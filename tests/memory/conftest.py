from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings

from memory.node import LocalNode
from memory.workers import WorkerSpec
from tests.memory.support import simple_spec

# For `--hypothesis-profile=thorough`: ten minutes instead of ten seconds.
hypothesis_settings.register_profile("thorough", max_examples=500)


@pytest.fixture
def home(tmp_path: Path, settings: Settings) -> Path:
    """A home of its own: locks, logs, and what marks this node's workers."""
    settings.FMLX = settings.FMLX.model_copy(update={"home": tmp_path / "home"})
    return tmp_path / "home"


@pytest.fixture
async def database(transactional_db: None) -> AsyncIterator[None]:
    """The database, and no connection to it left open in the thread that async code reaches it through."""
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture
async def node(home: Path, database: None) -> AsyncIterator[LocalNode]:
    async with LocalNode.open("test-node") as node:
        yield node


@pytest.fixture
def spec(home: Path) -> Callable[..., WorkerSpec]:
    def make(*arguments: str, **fields: object) -> WorkerSpec:
        return simple_spec(home, *arguments, **fields)

    return make
