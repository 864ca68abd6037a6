"""What Prometheus reads, and who may read it."""

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from prometheus_client.parser import text_string_to_metric_families

from fmlx_site.asgi import application
from inference.models import ApiKey
from memory.ceiling import GIB, Ceiling
from memory.errors import NoRoom
from memory.ledger import Ledger
from memory.models import Lease, Node, Sample
from videos.models import VideoJob

pytestmark = pytest.mark.django_db(transaction=True)
Values = dict[str, dict[tuple[str, ...], float]]


def scene() -> str:
    """A node with one worker, one refusal and two jobs; the secret of a key."""
    node = Node.objects.create(name="here", boot_id="1", pid=1)
    ledger = Ledger(node.pk)
    ledger.set_ceiling(Ceiling(static=100 * GIB, dynamic=80 * GIB, inputs={"tier": "safe"}))
    lease = ledger.bind(ledger.reserve("engine", "chat", 50 * GIB), 4711, 1.0)
    Lease.objects.filter(pk=lease.pk).update(footprint_bytes=GIB, peak_bytes=2 * GIB)
    with pytest.raises(NoRoom):
        ledger.reserve("generator", "job", 60 * GIB)
    Sample.objects.create(node=node, footprint_bytes=5, available_bytes=7, lease_bytes=50 * GIB)
    shape = {"width": 64, "height": 64, "frames": 17, "fps": 8, "steps": 4, "seed": 1}
    for status in ("queued", "failed"):
        VideoJob.objects.create(model="m", prompt="p", status=status, error_code="worker_crashed", **shape)
    return ApiKey.make("test", User.objects.create_superuser("admin", password="a long password"))[1]


def values(text: str) -> Values:
    found: Values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels[name] for name in sorted(sample.labels))] = (
                sample.value
            )
    return found


async def test_memory_workers_and_jobs_are_told_with_their_figures(client: httpx.AsyncClient) -> None:
    await sync_to_async(scene)()
    answer = await client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    found = values(answer.text)
    assert found["fmlx_memory_ceiling_bytes"] == {("here",): 80 * GIB}
    assert found["fmlx_memory_term_bytes"][("here", "static")] == 100 * GIB
    assert ("here", "device") not in found["fmlx_memory_term_bytes"]
    assert found["fmlx_memory_leased_bytes"] == {("here",): 50 * GIB}
    assert found["fmlx_memory_events_total"][("here", "refused")] == 1
    refusal = {figure: size for (figure, *_), size in found["fmlx_memory_last_refusal_bytes"].items()}
    assert refusal == {"wanted": 60 * GIB, "leased": 50 * GIB, "ceiling": 80 * GIB}
    who = ("chat", "engine", "here")
    assert [found[f"fmlx_worker_{name}_bytes"][who] for name in ("lease", "footprint", "peak")] == [
        50 * GIB,
        GIB,
        2 * GIB,
    ]
    assert found["fmlx_jobs_known"][("queued",)] == found["fmlx_jobs_known"][("failed",)] == 1
    assert found["fmlx_jobs_failed"] == {("worker_crashed",): 1}
    assert found["fmlx_jobs_oldest_wait_seconds"][()] >= 0
    assert found["fmlx_jobs_steps"][("true", "encode")] == found["fmlx_jobs_warm_attempts"][()] == 0


async def test_before_anything_runs_there_is_nothing_and_no_error(client: httpx.AsyncClient) -> None:
    found = values((await client.get("/metrics")).text)
    assert "fmlx_memory_ceiling_bytes" not in found
    assert found["fmlx_jobs_known"][("queued",)] == 0


@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-For": "203.0.113.9"}], ids=["another machine", "a proxy"])
async def test_from_elsewhere_a_key_is_needed(transactional_db: None, headers: dict[str, str]) -> None:
    secret = await sync_to_async(scene)()
    address = ("127.0.0.1" if headers else "203.0.113.9", 1234)
    transport = httpx.ASGITransport(app=application, client=address)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as elsewhere:
        refused = await elsewhere.get("/metrics")
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        for credential in ({"Authorization": f"Bearer {secret}"}, {"X-API-Key": secret}):
            assert (await elsewhere.get("/metrics", headers=credential)).status_code == 200
