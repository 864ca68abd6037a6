"""The servers that other tests stand on."""

import asyncio
from pathlib import Path

import httpx
import psycopg
import pytest
import redis

from tests.helpers import await_for, free_port, wait_for
from tests.servers import running


@pytest.mark.services
def test_postgres_answers_a_query_from_an_empty_database(postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


@pytest.mark.services
def test_redis_answers_a_ping_and_is_empty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()
        assert client.dbsize() == 0


@pytest.mark.integration
def test_a_process_is_started_found_ready_and_ended(home: Path) -> None:
    (home / "hello").write_text("ready")
    command = ("python3", "-m", "http.server", "{port}", "--bind", "127.0.0.1", "--directory", str(home))
    with running(command, home=home, ready_url="/hello", exits=(-15,)) as server:
        assert httpx.get(f"{server.base_url}/hello", trust_env=False).text == "ready"
    assert server.process.returncode == -15
    assert "GET /hello" in server.output()


@pytest.mark.integration
def test_a_process_that_ends_by_itself_is_reported_with_its_output(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AssertionError, match="ended by itself with status 3"):  # noqa: SIM117
        with running(("sh", "-c", "echo no database; exit 3"), home=home):
            pytest.fail("it was never ready")
    assert "no database" in capsys.readouterr().err


def test_waiting_ends_with_what_happened_or_with_a_sentence() -> None:
    looks = iter([0, 0, 7])
    assert wait_for(lambda: next(looks)) == 7
    with pytest.raises(AssertionError, match=r"the sun rising did not happen within 0\.05 s"):
        wait_for(lambda: False, timeout=0.05, what="the sun rising")


async def test_waiting_leaves_the_event_loop_free() -> None:
    happened = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, happened.set)

    async def has_happened() -> bool:
        return happened.is_set()

    assert await await_for(has_happened)
    assert await await_for(happened.is_set)


def test_a_free_port_can_be_listened_on() -> None:
    assert 1024 < free_port() < 65536
