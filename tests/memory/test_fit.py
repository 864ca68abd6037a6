"""What would fit: the ledger's own answer, what would have to end first, and the largest context that would."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from fmlx_site.options import STORED
from inference.models import ModelFolder
from inference.room import context_need, need_of
from memory import gib
from memory.ceiling import GIB, Ceiling
from memory.ledger import Ledger
from memory.models import Node

pytestmark = pytest.mark.django_db
CONFIG = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 12288,
    "vocab_size": 151936,
    "max_position_embeddings": 1_000_000,
}
WEIGHTS = 8 * GIB


@pytest.fixture
def site() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin", password="a long password"))
    return client


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger(Node.objects.create(name="here", boot_id="1", pid=1).pk)
    inputs = {"backend": "metal"}
    made.set_ceiling(Ceiling(static=64 * GIB, dynamic=40 * GIB, inputs=inputs))
    return made


@pytest.fixture
def folder(ledger: Ledger, tmp_path: Path) -> Path:
    """A model of 8 GiB, of which only the header is there."""
    header = json.dumps({"w": {"dtype": "BF16", "shape": [WEIGHTS // 2], "data_offsets": [0, WEIGHTS]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    given = {"type": "chat", "context_window": 1_000_000, "path": str(tmp_path)}
    ModelFolder.objects.create(node_id=ledger.node_id, name="qwen", **given)
    return tmp_path


def ask(site: Client, tokens: int) -> str:
    asked: dict[str, Any] = {"question": "model", "model": "qwen", "tokens": tokens}
    page = site.get("/memory/fit/", asked).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\xa0", " ")


def needed(folder: Path, tokens: int) -> int:
    return context_need(folder, "metal").bytes(tokens)


def test_a_context_that_fits_now(site: Client, folder: Path) -> None:
    assert f"here: It would start now. {gib(needed(folder, 8192))} is needed, and 40.00 GiB" in ask(site, 8192)


def test_a_chosen_margin_is_part_of_what_is_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, promised = needed(folder, 8192), need_of(folder)
    monkeypatch.setattr(STORED, "now", {"memory_engine_margin_bytes": 2 * GIB})
    assert needed(folder, 8192) > usual + GIB
    more = need_of(folder)
    assert {more.least - promised.least, more.wanted - promised.wanted} == {2 * GIB - 8 * 1024**2}


def test_a_context_that_fits_when_others_have_ended(site: Client, folder: Path, ledger: Ledger) -> None:
    for holder, size in (("small", 2), ("large", 23), ("middle", 14)):
        ledger.reserve("generator", holder, size * GIB)
    told = ask(site, 8192)
    assert "here: It would wait for memory." in told
    assert "It would start after the end of middle (generator, 14.00 GiB)." in told


def test_a_context_for_which_others_must_give_memory_back(site: Client, folder: Path, ledger: Ledger) -> None:
    ledger.reserve("generator", "small", 2 * GIB)
    told = ask(site, 330_000)
    assert 40 * GIB < needed(folder, 330_000) < 64 * GIB
    assert "after the end of small (generator, 2.00 GiB). Other programs of the machine would have to give" in told


def test_a_context_that_never_fits_and_the_largest_that_would(site: Client, folder: Path) -> None:
    told = ask(site, 900_000)
    assert "here: It would be refused." in told
    most = int(re.sub(r"\D", "", re.search(r"that would fit has (\d+) tokens", told)[1]))  # type: ignore[index]
    assert needed(folder, most) <= 64 * GIB < needed(folder, most + 1)
    assert "It would start now" not in ask(site, most)  # 64 GiB is what there could be, and 40 what there is
    assert "It would be refused" not in ask(site, most)


def test_what_a_model_holds_already_is_not_asked_for_twice(site: Client, folder: Path, ledger: Ledger) -> None:
    ledger.reserve("engine", "qwen", 30 * GIB)
    assert "here: It would start now." in ask(site, 8192)


@pytest.mark.parametrize(
    ("tokens", "why"), [(2_000_000, "takes 1000000 tokens at most"), (0, "greater than or equal to 1")]
)
def test_more_than_the_model_takes_is_said_at_the_field(site: Client, folder: Path, tokens: int, why: str) -> None:
    assert why in ask(site, tokens)


def test_a_model_that_does_not_say_how_large_it_is(site: Client, folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    assert "The config.json of qwen does not say how large the model is: &#x27;hidden_size&#x27;." in ask(site, 8192)
