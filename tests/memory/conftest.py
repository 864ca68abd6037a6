from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pytest_django import Settings

from memory.node import LocalNode
from memory.workers import WorkerSpec
from tests.memory.support import simple_spec


@pytest.fixture
def home(tmp_path: Path, settings: Settings) -> Path:
    """A home of its own: locks, logs, and what marks this node's workers."""
    settings.FMLX = settings.FMLX.model_copy(update={"home": tmp_path / "home"})
    return tmp_path / "home"


@pytest.fixture
async def node(home: Path, transactional_db: None) -> AsyncIterator[LocalNode]:
    async with LocalNode.open("test-node") as node:
        yield node


@pytest.fixture
def spec(home: Path) -> Callable[..., WorkerSpec]:
    def make(*arguments: str, **fields: object) -> WorkerSpec:
        return simple_spec(home, *arguments, **fields)

    return make
