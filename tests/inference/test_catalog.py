"""What a process knows of the models holds until one changes, and then no longer."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from asgiref.sync import sync_to_async
from pytest_django import Settings

from fmlx_site.audit import Origin
from inference.catalog import Served, recent_catalog
from inference.library import decisions
from inference.models import ModelFolder, ModelSettings
from inference.shelf import store
from memory.models import Node
from tests.helpers import await_for

MakeModel = Callable[..., Awaitable[Served]]
pytestmark = pytest.mark.django_db(transaction=True)


async def default() -> str:
    return (await recent_catalog.read()).chat_model(None).name


async def test_what_is_decided_counts_for_the_next_prompt(api: httpx.AsyncClient, make_model: MakeModel) -> None:
    await make_model("b")
    assert await default() == "a"
    await sync_to_async(decisions.decide)("b", Origin(), default=True)
    assert await default() == "b"
    await ModelSettings.objects.filter(name="b").adelete()
    assert await default() == "a"


async def test_nothing_is_read_while_nothing_changed(api: httpx.AsyncClient, make_model: MakeModel) -> None:
    await make_model("b")
    known = await recent_catalog.read()
    await ModelFolder.objects.filter(name="b").aupdate(rank=5)  # by a hand in the database itself
    assert await recent_catalog.read() is known


async def test_what_a_node_finds_counts_at_once(api: httpx.AsyncClient) -> None:
    assert "a" in (await recent_catalog.read()).models
    await sync_to_async(store)((await Node.objects.aget()).pk, [])
    assert "a" not in (await recent_catalog.read()).models


async def test_of_a_shared_database_it_is_looked_at_each_second(
    api: httpx.AsyncClient, make_model: MakeModel, settings: Settings
) -> None:
    settings.FMLX = settings.FMLX.model_copy(update={"database_url": "one that other homes write as well"})
    await make_model("b")
    assert await default() == "a"
    await ModelFolder.objects.filter(name="b").aupdate(rank=5)  # another home's node

    async def chosen() -> bool:
        return await default() == "b"

    await await_for(chosen, 5, "the other home's change")
