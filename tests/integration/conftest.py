from collections.abc import Iterator
from pathlib import Path

import pytest

from memory import environments
from tests.early import ROOT
from tests.house import Client, copy_house, open_house


@pytest.fixture(scope="module")
def served(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A running server that the tests of one file share."""
    with open_house(copy_house(template, tmp_path_factory.mktemp("served") / "home")) as client:
        yield client


@pytest.fixture
def both(house: Path) -> Path:
    """A house with a chat model too."""
    environments.build(ROOT / ".make" / "test-home", "mlx-lm")
    assert (house / "models" / "demo-chat").is_dir()
    return house
