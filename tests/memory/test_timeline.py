"""What is kept of the past: samples, summaries and events, each with its figures and for its time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.utils import timezone

from inference.models import ApiKey
from memory import timeline
from memory.ceiling import GIB
from memory.errors import NeverFits, NoRoom
from memory.history import clipped, finest, read_history
from memory.models import Event, Lease, Node, Sample, Summary, Tally
from memory.node import LocalNode
from memory.summaries import Summarist
from memory.workers import WorkerSpec
from tests.helpers import await_for
from tests.memory.support import MIB, hear, reserve, start
from tests.memory.test_ledger import ledger

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
Spec = Callable[..., WorkerSpec]
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def row(transactional_db: None) -> Node:
    return Node.objects.create(name="here", boot_id="1", pid=1)


def tick(row: Node, second: int, **holders: int) -> None:
    """One second's rows: the machine uses 1000 more than its workers."""
    at = NOON + timedelta(seconds=second)
    for holder, held in holders.items():
        Sample.objects.create(node=row, at=at, kind="generator", holder=holder, footprint_bytes=held, lease_bytes=500)
    whole = {"lease_bytes": 500 * len(holders), "ceiling_bytes": 4000 - second, "cap_bytes": 5000}
    Sample.objects.create(node=row, at=at, footprint_bytes=1000 + sum(holders.values()), **whole)


def summaries(seconds: int) -> list[tuple[str, int, int]]:
    rows = Summary.objects.filter(seconds=seconds).order_by("at", "holder")
    return [(one.holder, one.mean_bytes, one.max_bytes) for one in rows]


def test_ten_seconds_become_a_mean_and_a_maximum_and_the_means_add_up(row: Node) -> None:
    for second in range(10):
        tick(row, second, **({"a": 100 * second} if second < 5 else {}))
    Summarist(row.pk).write(NOON + timedelta(seconds=11))
    assert summaries(10) == [("", 1100, 1400), ("a", 100, 400)]
    machine = Summary.objects.get(holder="")
    assert (machine.lease_bytes, machine.ceiling_bytes, machine.cap_bytes) == (500, 3991, 5000)


def test_a_span_that_goes_on_is_not_summarised_and_none_is_written_twice(row: Node) -> None:
    for second in range(25):
        tick(row, second, a=10)
    first = Summarist(row.pk)
    first.write(NOON + timedelta(seconds=25))
    assert len(summaries(10)) == 4
    tick(row, 25, a=10)
    for summarist in (first, Summarist(row.pk)):  # also after a restart
        summarist.write(NOON + timedelta(seconds=31))
        assert len(summaries(10)) == 6
    assert summaries(300) == []
    Summarist(row.pk).write(NOON + timedelta(seconds=300))
    assert summaries(300) == [("", 1010, 1010), ("a", 10, 10)]


def test_a_chart_is_read_from_summaries_and_goes_on_with_the_samples(row: Node) -> None:
    for second in range(25):
        tick(row, second, a=10, **({"b": 30} if second > 19 else {}))
    Summarist(row.pk).write(NOON + timedelta(seconds=25))
    Sample.objects.filter(at__lt=NOON + timedelta(seconds=15)).delete()
    history = read_history(row.pk, NOON, NOON + timedelta(seconds=30), 10)
    assert history.at == [int(NOON.timestamp()) + second for second in (0, 10, 20)]
    assert history.machine.footprint == [1010, 1010, 1040]
    assert history.ceiling == [3991, 3981, 3976]
    assert [(band.holder, band.footprint, band.lease) for band in history.workers] == [
        ("a", [10, 10, 10], [500, 500, 500]),
        ("b", [None, None, 30], [None, None, 500]),
    ]


def test_many_workers_become_bands_of_their_own_and_the_rest_together(row: Node) -> None:
    tick(row, 0, **{f"job-{number}": 100 + number for number in range(23)})
    history = read_history(row.pk, NOON, NOON + timedelta(seconds=1), 1)
    assert [(band.holder, band.merged) for band in history.workers][-2:] == [("job-9", 1), ("", 3)]
    assert len(history.workers) == 21
    assert history.workers[-1].footprint == [100 + 101 + 102]
    assert sum(band.footprint[0] or 0 for band in history.workers) == sum(range(100, 123))


@pytest.mark.parametrize(
    ("ago", "seconds"), [(300, 1), (3600, 1), (3700, 10), (36_000, 10), (48 * 3600, 60), (30 * 86400, 3600)]
)
def test_a_chart_is_as_fine_as_is_kept_and_can_be_shown(ago: int, seconds: int) -> None:
    assert finest(NOON - timedelta(seconds=ago), NOON, NOON) == seconds


def test_nothing_older_than_what_is_kept_is_asked_for() -> None:
    since, _ = clipped(NOON - timedelta(days=400), None, NOON)
    assert since == NOON - timedelta(days=30)


def test_everything_is_kept_for_its_time_and_no_longer(row: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    ages = {None: 61, 10: 48 * 60 + 1, 300: 30 * 24 * 60 + 1}  # minutes
    for seconds, minutes in ages.items():
        for late in (0, 2):
            at = now - timedelta(minutes=minutes - late)
            if seconds is None:
                Sample.objects.create(node=row, at=at, footprint_bytes=1)
            else:
                Summary.objects.create(node=row, at=at, seconds=seconds, mean_bytes=1, max_bytes=1)
    for days in (31, 29, 2, 1):
        Event.objects.create(node=row, at=now - timedelta(days=days), what="released")
    monkeypatch.setattr(timeline, "MOST_EVENTS", 2)
    timeline.purge(row.pk)
    assert [Sample.objects.count(), Summary.objects.count(), Event.objects.count()] == [1, 2, 2]
    assert min(Event.objects.values_list("at", flat=True)) > now - timedelta(days=3)


def told() -> list[tuple[str, str, int | None]]:
    return [(event.what, event.holder, event.bytes) for event in Event.objects.order_by("id")]


def test_every_step_of_a_lease_is_an_event_with_its_size(transactional_db: None) -> None:
    books = ledger(100)
    lease = books.reserve("engine", "chat", 30)
    books.bind(lease, 4711, 1.0)
    books.resize(lease, 50)
    books.release(lease)
    books.release(lease)
    steps = [("reserved", 30), ("bound", 30), ("resized", 50), ("released", 30)]
    assert told() == [(what, "chat", size) for what, size in steps]
    assert Event.objects.get(what="resized").figures == {"before": 30}
    assert {event.lease for event in Event.objects.all()} == {lease.pk}


def test_a_wait_is_one_event_whose_figures_are_the_last(transactional_db: None) -> None:
    books = ledger(100 * GIB)
    other = books.reserve("engine", "chat", 60 * GIB)
    for size in (50 * GIB, 50 * GIB, 45 * GIB):
        with pytest.raises(NoRoom) as refusal:
            books.reserve("generator", "job", size)
    event = Event.objects.get(what="refused")
    assert (event.message, event.bytes) == (refusal.value.message, 45 * GIB)
    assert event.figures == {"code": "no_room_for_lease", "wanted": 45 * GIB, "leased": 60 * GIB, "ceiling": 100 * GIB}
    books.release(other)
    books.release(books.reserve("generator", "job", 45 * GIB))
    with pytest.raises(NeverFits):
        books.reserve("generator", "job", 101 * GIB)
    assert Event.objects.filter(what="refused").count() == Tally.objects.get(what="refused").count == 2


async def test_a_worker_that_was_ended_is_an_event_with_the_verdicts_figures(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), size=64 * MIB, do="grow", bytes=400 * MIB)
    ended = await worker.wait()
    event = await Event.objects.aget(what="killed")
    assert ended.verdict is not None
    assert event.message == ended.verdict.message
    assert event.figures["code"] == "memory_lease_exceeded"
    assert (event.figures["lease"], event.bytes or 0) > (0, 320 * MIB)
    assert [what async for what in Event.objects.order_by("id").values_list("what", flat=True)][-2:] == [
        "killed",
        "released",
    ]


@pytest.fixture
async def api(client: httpx.AsyncClient) -> httpx.AsyncClient:
    def make() -> str:
        return ApiKey.make("test", User.objects.create_superuser("admin", password="a long password"))[1]

    client.headers["Authorization"] = f"Bearer {await sync_to_async(make)()}"
    return client


async def test_the_api_says_what_each_worker_was_promised_holds_and_held_at_most(
    node: LocalNode, spec: Spec, api: httpx.AsyncClient
) -> None:
    worker = await start(node, spec(), size=512 * MIB, do="grow", bytes=100 * MIB)
    await hear(worker, "event")
    await await_for(lambda: Lease.objects.filter(footprint_bytes__gt=100 * MIB).aexists(), what="a reading")
    said = (await api.get("/v1/memory")).json()
    (lease,) = said["leases"]
    assert (lease["holder"], lease["bytes"], lease["node"]) == ("job", 512 * MIB, "test-node")
    assert 100 * MIB < lease["footprint_bytes"] <= lease["peak_bytes"] < 512 * MIB
    assert lease["since"].startswith(f"{timezone.now():%Y-%m-%dT%H}")
    assert said["machines"]["test-node"]["used_bytes"] > 0
    assert [term["name"] for term in said["ceiling"]["explained"]] == ["static", "dynamic", "device"]
    assert sum(term["decides"] for term in said["ceiling"]["explained"]) == 1
    samples = (await api.get("/v1/memory/samples", params={"resolution": 1})).json()
    (band,) = samples["workers"]
    assert (band["holder"], band["lease"][-1]) == ("job", 512 * MIB)
    assert len(samples["at"]) == len(samples["ceiling"]) == len(band["footprint"])
    events = (await api.get("/v1/memory/events", params={"limit": 2})).json()
    assert [event["what"] for event in events["data"]] == ["bound", "reserved"]
    assert events["has_more"]


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        ("samples?node=nowhere", 404, "node"),
        ("samples?from=2026-11-21T12:00:00Z&to=2026-11-21T11:00:00Z", 400, "from"),
        ("samples?from=yesterday", 400, "from"),
        ("samples?resolution=7", 400, "resolution"),
        ("events?what=nonsense", 400, "what"),
        ("events?limit=5000", 400, "limit"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_by_name(
    api: httpx.AsyncClient, query: str, status: int, param: str
) -> None:
    await Node.objects.acreate(name="here", boot_id="1", pid=1)
    answer = await api.get(f"/v1/memory/{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_before_the_first_node_there_is_nothing_to_show(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/memory")).json() == {
        "ceiling": {"bytes": 0, "terms": {}, "explained": []},
        "leases": [],
        "nodes": {},
        "machines": {},
    }
    assert (await api.get("/v1/memory/samples")).status_code == 404
    assert (await api.get("/v1/memory/events")).json() == {"data": [], "has_more": False}


async def test_a_caller_that_has_no_key_is_told_nothing(client: httpx.AsyncClient) -> None:
    for path in ("", "/samples", "/events"):
        assert (await client.get(f"/v1/memory{path}")).status_code == 401


async def test_who_reserves_through_the_node_is_on_the_timeline(node: LocalNode) -> None:
    await reserve(node, size=MIB)
    assert await Event.objects.filter(what="reserved", holder="job", bytes=MIB).aexists()
    assert await Event.objects.filter(what="node_started").aexists()
