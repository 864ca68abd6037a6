"""`is ready` is the last thing that a start says, and when it is said the node can be used."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fmlx_site import node, serving
from tests.house import ask
from tests.servers import MANAGE, SERVE, manage, running

pytestmark = pytest.mark.runtime
SERVED = "from inference.models import ModelFolder; print(ModelFolder.objects.filter(type='video').count())"
READY = re.compile(r"^fmlx (?:node \S+ )?is ready(?: at http://127\.0\.0\.1:\d+)?\n", re.MULTILINE)


def is_ready(home: Path) -> bool:
    """Said so, in what the process printed; nothing was asked of it."""
    return any(READY.search(log.read_text()) for log in home.parent.glob(f"{home.name}-*.log"))


@pytest.mark.parametrize("command", [SERVE, (*MANAGE, "runworkers")], ids=["serve", "runworkers"])
def test_that_it_is_ready_is_the_last_line_until_somebody_asks_for_something(
    house: Path, command: Sequence[str]
) -> None:
    with running(command, home=house, answers=partial(is_ready, house)) as server:
        assert int(ask(house, SERVED)) > 0  # this takes a second, in which a part that is late would speak
        before, after = READY.split(server.output())
    assert "Models found." in before
    assert "Queue recovered." in before
    assert after == ""


def test_a_node_that_cannot_begin_ends_and_says_why(house: Path) -> None:
    (house / "run" / "n.sock").mkdir(parents=True)  # where it would listen
    with pytest.raises(AssertionError, match=r"ended with 1:[^$]*n\.sock") as ended:
        manage("runworkers", home=house, env={"FMLX_NODE_NAME": "n"})
    assert "is ready" not in str(ended.value)


Run = Callable[[Callable[[], None]], Awaitable[None]]


async def looks(begun: Callable[[], None]) -> None:
    await asyncio.Event().wait()


async def works(begun: Callable[[], None]) -> None:
    begun()
    await asyncio.Event().wait()


def part(name: str, run: Run) -> tuple[node.Part, asyncio.Task[None]]:
    made = node.Part(name, run)
    return made, asyncio.create_task(made.keep_up())


async def test_a_folder_that_takes_long_to_look_through_does_not_keep_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "BEGIN_SECONDS", 0.05)
    slow, looking = part("models", looks)
    quick, working = part("queue", works)
    with capture_logs() as logs:
        await node._all_begun([slow, quick])
    assert [(line["log_level"], line["late"]) for line in logs] == [("warning", ["models"])]
    for task in (looking, working):
        task.cancel()


async def test_a_stop_does_not_wait_for_the_start() -> None:
    stop, left = asyncio.Event(), asyncio.Event()

    async def begins_for_ever() -> str:
        stop.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return "begun"

    assert await serving._before(stop, begins_for_ever()) is None
    assert left.is_set()
