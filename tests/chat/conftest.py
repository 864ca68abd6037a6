from collections.abc import AsyncIterator

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient

from chat import answering
from tests.helpers import await_for
from tests.inference.conftest import (  # noqa: F401 - the same node, pool and engine
    home,
    make_model,
    node,
    pool,
    scripted,
)


@pytest.fixture
async def site(pool, make_model) -> AsyncIterator[AsyncClient]:  # noqa: F811
    """Logged in, on a server with one chat model. It leaves no answer behind."""
    owner = await sync_to_async(User.objects.create_superuser)("admin", password="a long password")
    client = AsyncClient()
    await client.aforce_login(owner)
    await make_model("a")
    yield client
    for made in list(answering._running.values()):
        assert made.task
        made.task.cancel()
    await await_for(lambda: not answering._running)
