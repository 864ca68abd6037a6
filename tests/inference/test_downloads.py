"""Models come from a hub: whole or not at all, and where a download was it goes on."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.utils import translation
from pydantic import SecretStr
from pytest_django import Settings

from demo_models import shipped
from fmlx_site import option_store
from fmlx_site.audit import Origin
from fmlx_site.errors import Conflict
from fmlx_site.models import Change
from inference.downloads import changes, folders, keeper, rows
from inference.downloads.keeper import keep_downloading
from inference.downloads.models import Download
from inference.downloads.names import understand
from inference.downloads.wanted import is_wanted
from inference.errors import InvalidRepository, InvalidRevision
from inference.models import ModelFolder
from inference.shelf import keep_current, signature
from memory import spelled
from memory.models import Node
from tests.early import make_home
from tests.helpers import await_for
from tests.inference.hub import COMMIT, Hub, read_folder

pytestmark = pytest.mark.django_db(transaction=True)
ME = Origin()
NAME = "demo/chat-tiny"
LARGE_BYTES = 30 * 2**20  # three of the blocks that huggingface_hub writes
CODE = {
    "SHA256SUMS": b"0",
    "modeling.py": b"import os",
    "pytorch_model.bin": b"\x80\x04",
    "README.md": b"# A",
    ".gitattributes": b"*",
}


@pytest.fixture
def models(tmp_path: Path, settings: Settings) -> Path:
    """The models folder of a home of its own, with the real runtimes."""
    home = make_home(tmp_path / "home")
    settings.FMLX = settings.FMLX.model_copy(update={"home": home})
    return home / "models"


@pytest.fixture
def hub(models: Path, tmp_path: Path, transactional_db: None) -> Iterator[Hub]:
    """With the demo chat model, and files beside it that no model needs; the settings name it as the hub."""
    shipped.install("demo-chat", tmp_path / "demo-chat")
    hub = Hub(repositories={NAME: CODE | read_folder(tmp_path / "demo-chat")})
    hub.repositories["demo/large"] = {"config.json": b"{}", "model.safetensors": os.urandom(LARGE_BYTES)}
    option_store.change({"hub_endpoint": f"{hub.url}/"}, ME)
    with hub.up():
        yield hub


@pytest.fixture
def node(transactional_db: None) -> Node:
    return Node.objects.create(name="here", boot_id="1", pid=1)


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[None]:
    """The node's part is at work."""
    task = asyncio.create_task(keep_downloading(node.pk))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ask(text: str = NAME) -> Download:
    return await sync_to_async(changes.ask)(understand(text), ME)


async def until(row: Download, *states: str) -> Download:
    async def reached() -> bool:
        await row.arefresh_from_db()
        return row.state in states

    await await_for(reached, 30, f"{row} becoming {' or '.join(states)}")
    return row


async def half(hub: Hub, row: Download) -> None:
    """Some of the large file has come, and no more comes."""

    async def came() -> bool:
        await row.arefresh_from_db()
        return row.bytes_done > 2**20

    await await_for(came, 30, "the first part of the file")


def partials(models: Path) -> list[Path]:
    return list((models / ".downloading").glob("*"))


def fetchers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if _fetches(child)]


def _fetches(child: psutil.Process) -> bool:
    try:
        return "inference.downloads.fetch" in child.cmdline()
    except psutil.NoSuchProcess:  # it ended since
        return False


@pytest.mark.runtime
async def test_a_model_is_downloaded_found_and_served(hub: Hub, node: Node, models: Path) -> None:
    looking = asyncio.create_task(keep_current(node.pk, lambda: None))
    async with running(node):
        row = await until(await ask(), "completed")
        folder = await await_for(ModelFolder.objects.filter(name=NAME).afirst, 10, "the model being found")
        await await_for(lambda: not partials(models), 10, "what is left being removed")
    looking.cancel()
    assert (folder.type, folder.path) == ("chat", str(models / NAME))
    whole = {path: content for path, content in hub.repositories[NAME].items() if path not in CODE}
    assert read_folder(models / NAME) == whole
    assert row.commit == COMMIT
    assert row.bytes_done == row.bytes_total == sum(map(len, whole.values()))
    assert {path.rpartition("/")[2] for path in hub.asked} & set(CODE) == set()
    assert (await ask()).state == "completed", "it is there, and is not fetched again"


@pytest.mark.runtime
@pytest.mark.parametrize("how", ["its process is killed", "its node stops"])
async def test_a_download_that_is_broken_off_goes_on_where_it_was(hub: Hub, node: Node, models: Path, how: str) -> None:
    hub.holds["model.safetensors"] = LARGE_BYTES * 3 // 4
    async with running(node):
        row = await ask("demo/large")
        await half(hub, row)
        if how == "its process is killed":
            fetchers()[0].send_signal(signal.SIGKILL)
            assert (await until(row, "failed")).error_code == "download_ended"
            hub.let_go.set()
            await ask("demo/large")
            await until(row, "completed")
    if how == "its node stops":
        assert fetchers() == []
        assert (await until(row, "queued")).node_id == node.pk
        hub.let_go.set()
        async with running(node):
            await until(row, "completed")
    assert read_folder(models / "demo" / "large") == hub.repositories["demo/large"]
    _first, second = hub.sent["model.safetensors"]
    assert second <= LARGE_BYTES - 10 * 2**20, "what was on the disk is not fetched again"


@pytest.mark.runtime
async def test_what_came_of_another_commit_is_not_gone_on_with(hub: Hub, node: Node, models: Path) -> None:
    row = await ask("demo/large")
    partial = folders.partial_of(row)
    (partial / "model").mkdir(parents=True)
    (partial / "commit").write_text("an older one")
    (partial / "model" / "model.safetensors").write_bytes(bytes(LARGE_BYTES))
    async with running(node):
        await until(row, "completed")
    assert read_folder(models / "demo" / "large") == hub.repositories["demo/large"]


@pytest.mark.runtime
@pytest.mark.parametrize("end", [changes.cancel, changes.remove])
async def test_a_download_that_is_cancelled_leaves_nothing(hub: Hub, node: Node, models: Path, end) -> None:
    hub.holds["model.safetensors"] = LARGE_BYTES * 3 // 4
    async with running(node):
        row = await ask("demo/large")
        await half(hub, row)
        await sync_to_async(end)(row, ME)
        await await_for(lambda: not partials(models) and not fetchers(), 10, "its files and its process being gone")
        hub.let_go.set()
        await until(await ask(), "completed")  # and the next one has its turn
    assert not (models / "demo" / "large").exists()


@pytest.mark.runtime
@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((404, "RepoNotFound"), "There is no repository demo/chat-tiny at http://127.0.0.1"),
        ((403, "GatedRepo"), "only to who has accepted its conditions"),
        ((401, "InvalidToken"), "(HTTP 401): look at the variable HF_TOKEN"),
        ((500, ""), "then try again. HTTP 500"),
    ],
)
async def test_what_the_hub_refuses_is_said_in_a_sentence(hub: Hub, node: Node, refusal, said: str) -> None:
    hub.refusal = refusal
    async with running(node):
        row = await until(await ask(), "failed")
    assert said in row.error_message
    with translation.override("ru"):
        assert spelled(row.error_said) not in ("", row.error_message)


@pytest.mark.runtime
async def test_a_revision_that_is_not_there_and_one_that_is(hub: Hub, node: Node, models: Path) -> None:
    async with running(node):
        missing = await until(await ask(f"{hub.url}/{NAME}/tree/next"), "failed")
        there = await until(await ask(f"{hub.url}/{NAME}/blob/{COMMIT}/config.json"), "completed")
    assert missing.error_message == f"The repository {NAME} has no revision next."
    assert there.revision == COMMIT


@pytest.mark.runtime
async def test_where_no_hub_answers_it_fails_at_once(hub: Hub, node: Node) -> None:
    await sync_to_async(option_store.change)({"hub_endpoint": "http://127.0.0.1:9"}, ME)
    async with running(node):
        row = await until(await ask(), "failed")
    assert "http://127.0.0.1:9 cannot be reached" in row.error_message


@pytest.mark.runtime
async def test_a_hub_that_is_away_in_the_middle_is_asked_again(
    hub: Hub, node: Node, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "PAUSES", (0.1,))
    hub.breaks = 1
    async with running(node):
        await until(await ask("demo/large"), "completed")
    assert read_folder(models / "demo" / "large") == hub.repositories["demo/large"]


@pytest.mark.runtime
async def test_a_database_that_is_away_for_a_moment_costs_no_download(
    hub: Hub, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = rows.report, [OperationalError("away")]

    def report(*given: Any) -> bool:
        if failures:
            raise failures.pop()
        return real(*given)

    monkeypatch.setattr(rows, "report", report)
    async with running(node):
        await until(await ask(), "completed")
    assert not failures


@pytest.mark.runtime
async def test_a_disk_without_room_is_said_with_both_figures_before_anything_comes(
    hub: Hub, node: Node, models: Path
) -> None:
    await sync_to_async(option_store.change)({"disk_floor_bytes": 2**60}, ME)
    async with running(node):
        row = await until(await ask("demo/large"), "failed")
    assert row.error_code == "download_no_room"
    assert row.error_message.startswith("0.03 GiB more is needed on the disk, besides 1073741824.00 GiB that stay free")
    assert hub.sent == {}


@pytest.mark.runtime
async def test_what_is_there_already_is_never_overwritten(hub: Hub, node: Node, models: Path) -> None:
    (models / NAME).mkdir(parents=True)
    async with running(node):
        row = await until(await ask(), "failed")
    assert row.error_code == "download_there"
    assert list((models / NAME).iterdir()) == []


@pytest.mark.runtime
async def test_a_repository_without_a_model_is_refused_before_anything_comes(hub: Hub, node: Node) -> None:
    hub.repositories["demo/code"] = CODE
    async with running(node):
        row = await until(await ask("demo/code"), "failed")
    assert row.error_code == "download_no_model"
    assert hub.sent == {}


@pytest.mark.runtime
async def test_weights_that_are_not_what_the_hub_says_are_not_kept(hub: Hub, node: Node, models: Path) -> None:
    hub.swaps["model.safetensors"] = bytes(LARGE_BYTES)
    async with running(node):
        row = await until(await ask("demo/large"), "failed")
        assert (row.error_code, "model.safetensors" in row.error_message) == ("download_damaged", True)
        hub.swaps.clear()
        await ask("demo/large")
        await until(row, "completed")
    assert read_folder(models / "demo" / "large") == hub.repositories["demo/large"]


@pytest.mark.runtime
async def test_the_token_goes_to_the_hub_and_the_user_s_own_login_does_not(
    hub: Hub, node: Node, models: Path, settings: Settings
) -> None:
    async with running(node):
        await until(await ask(), "completed")
        assert hub.tokens == {None}
        hub.tokens.clear()
        settings.FMLX = settings.FMLX.model_copy(update={"hub_token": SecretStr("hf_secret")})
        await until(await ask("demo/large"), "completed")
    assert hub.tokens == {"Bearer hf_secret"}


@pytest.mark.runtime
async def test_without_xet_the_hub_is_not_asked_for_it(hub: Hub, node: Node) -> None:
    async with running(node):
        await until(await ask(), "completed")
        assert hub.heads > 0
        hub.heads = 0
        await sync_to_async(option_store.change)({"hub_disable_xet": True}, ME)
        await until(await ask("demo/large"), "completed")
    assert hub.heads == 0


@pytest.mark.runtime
async def test_a_move_that_was_not_told_any_more_is_completed(hub: Hub, node: Node, models: Path) -> None:
    async with running(node):
        row = await until(await ask(), "completed")
    partial = folders.partial_of(row)
    partial.mkdir(parents=True, exist_ok=True)
    (partial / "commit").write_text(COMMIT)
    asked = len(hub.asked)
    await Download.objects.filter(pk=row.pk).aupdate(state="running", node=node)  # the node died right after it
    async with running(node):
        await until(row, "completed")
        await await_for(lambda: not partials(models), 10, "what is left being removed")
    assert len(hub.asked) == asked


def test_a_second_request_is_the_first_one(transactional_db: None) -> None:
    first = changes.ask(understand(NAME), ME)
    assert changes.ask(understand(f"https://huggingface.co/{NAME}"), ME).pk == first.pk
    assert changes.ask(understand(NAME, "v2"), ME).pk != first.pk
    assert Change.objects.count() == 2


def test_one_node_runs_one_and_two_never_the_same(node: Node) -> None:
    other = Node.objects.create(name="there", boot_id="1", pid=1)
    for name in ("a/first", "a/second", "a/third"):
        changes.ask(understand(name), ME)
    claimed = [rows.claim(pk) for pk in (node.pk, node.pk, other.pk)]
    assert [str(row) if row else None for row in claimed] == ["a/first@main", None, "a/second@main"]


def test_who_holds_it_no_more_can_neither_report_nor_finish(node: Node) -> None:
    row = changes.ask(understand(NAME), ME)
    held = rows.claim(node.pk)
    assert held is not None
    changes.cancel(Download.objects.get(), ME)
    assert not rows.report(held, 0, 0.0)
    assert not rows.finish(held)
    changes.ask(understand(NAME), ME)
    assert rows.claim(node.pk) is not None
    assert not rows.report(held, 0, 0.0), "another attempt is not its own"
    with pytest.raises(Conflict):
        changes.cancel(row, ME)


@pytest.mark.parametrize(
    ("text", "revision", "repository", "understood"),
    [
        ("Qwen/Qwen3-0.6B", "", "Qwen/Qwen3-0.6B", "main"),
        (" https://huggingface.co/Qwen/Qwen3-0.6B/ ", "", "Qwen/Qwen3-0.6B", "main"),
        ("https://hf-mirror.example/Qwen/Qwen3-0.6B/tree/v1", "", "Qwen/Qwen3-0.6B", "v1"),
        (
            "https://huggingface.co/Qwen/Qwen3-0.6B/blob/main/config.json?a=1",
            "refs/pr/1",
            "Qwen/Qwen3-0.6B",
            "refs/pr/1",
        ),
    ],
)
def test_an_id_or_the_address_of_a_page_is_understood(text, revision, repository, understood) -> None:
    wanted = understand(text, revision)
    assert (wanted.repository, wanted.revision) == (repository, understood)


NO_REPOSITORY = (
    *("", "qwen", "a/b/c", "../etc", "a/..", "a/.b", ".a/b", "a/b.git", "a--b/c", "a/b c", "a/" + "b" * 96),
    *("/etc/passwd", "https://huggingface.co/datasets/a/b", "https://huggingface.co/", "a/b\x00", "тест/b"),
)


@pytest.mark.parametrize("text", NO_REPOSITORY)
def test_what_is_no_repository_is_refused(text: str) -> None:
    with pytest.raises(InvalidRepository):
        understand(text)


@pytest.mark.parametrize("revision", ["../main", "a..b", "-x", "a b", "x" * 256])
def test_what_is_no_revision_is_refused(revision: str) -> None:
    with pytest.raises(InvalidRevision):
        understand(NAME, revision)


@pytest.mark.parametrize(
    "address", ["", "huggingface.co", "ftp://a", "https://", "https://me:secret@hub", "http://a:99999"]
)
def test_an_address_that_is_none_is_not_taken_for_the_hub(transactional_db: None, address: str) -> None:
    with pytest.raises(ValidationError, match="Give a whole address"):
        option_store.change({"hub_endpoint": address}, ME)


def test_what_is_on_its_way_is_no_reason_to_look_through_all_models(models: Path) -> None:
    (models / ".downloading" / "a").mkdir(parents=True)
    before = signature([models])
    (models / ".downloading" / "a" / "part").write_bytes(b"1")
    assert signature([models]) == before
    (models / "found").mkdir()
    assert signature([models]) != before


def test_files_that_run_or_lead_elsewhere_are_not_wanted() -> None:
    wanted = ["config.json", "model-00001-of-00002.safetensors", "vae/config.json", "tokenizer.model", "merges.txt"]
    refused = ["a.py", "a.bin", "a.pth", ".git/config.json", "../a.json", "/etc/a.json", "a/../../b.json", "a\\b.json"]
    assert [path for path in wanted + refused if is_wanted(path)] == wanted
