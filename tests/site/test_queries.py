"""No page asks the database more than eight things, however much there is, besides for the session and its user."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fmlx_site.models import Change
from fmlx_site.options import groups
from inference.models import ApiKey, Download, ModelFolder, RequestLog, UsageHour
from memory.models import Event, Lease, Node
from videos.models import VideoJob

pytestmark = pytest.mark.django_db(transaction=True)
GIB = 2**30
MANY = 60
MOST_QUERIES, OF_THE_SESSION = 8, 2
PAGES = (
    *("/", "/chat/", "/videos/", "/videos/?page=2", "/videos/presets/", "/videos/video_0/", "/videos/video_1/"),
    *("/models/", "/models/of/m0/", "/memory/", "/cache/", "/requests/", "/requests/req_1/", "/usage/", "/keys/"),
    *("/keys/make/", "/keys/1/", "/webhooks/", "/users/", "/users/make/", "/users/1/", "/audit/", "/logs/", "/system/"),
    *("/connect/", "/password/", *(f"/settings/{group.name}/" for group in groups())),
    *("/admin/", "/admin/videos/videojob/", "/admin/inference/requestlog/", "/admin/inference/modelfolder/"),
    "/models/downloads/",
    "/admin/inference/download/",
    *("/admin/fmlx_site/change/", "/admin/memory/lease/"),
)


@pytest.fixture
def site(transactional_db: None) -> Client:
    user = User.objects.create_superuser("admin", password="a long password", pk=1)
    key, _secret = ApiKey.make("first", user, pk=1)
    node = Node.objects.create(name="here", boot_id="1", pid=1, ceiling_bytes=8 * GIB, largest_bytes=16 * GIB)
    shape = {"width": 64, "height": 64, "frames": 5, "fps": 16, "steps": 2, "seed": 1, "key": key, "node": node}
    now = timezone.now()
    for number in range(MANY):
        state = "queued" if number % 2 else "completed"
        VideoJob.objects.create(id=f"video_{number}", model="demo", prompt="a red ball", status=state, **shape)
        kinds = {"type": "chat"} if number % 2 else {"type": "video", "pipeline": "wan2.2-t2v-a14b"}
        ModelFolder.objects.create(node=node, name=f"m{number}", path=f"/models/{number}", **kinds)
        Download.objects.create(repository=f"a/m{number}", user=user, node=node, state="failed")
        Lease.objects.create(node=node, kind="engine", holder=f"m{number}", bytes=GIB // 100)
        Event.objects.create(node=node, what="killed", holder="m1")
        asked = {"request_id": f"req_{number}", "endpoint": "POST /v1/videos", "status": 200, "seconds": 1.0}
        RequestLog.objects.create(at=now, key=key, **asked)
        UsageHour.objects.create(hour=now - timedelta(hours=number), key=key, model="m1", requests=1)
        Change.objects.create(user=user, who="admin", what="model", name="m1", source="page")
    client = Client()
    client.force_login(user)
    return client


def test_no_page_asks_more_than_eight_things(site: Client) -> None:
    above = []
    for page in PAGES:
        with CaptureQueriesContext(connection) as asked:
            assert site.get(page).status_code == 200, page
        if len(asked) > MOST_QUERIES + OF_THE_SESSION:
            above.append((page, [query["sql"][:100] for query in asked]))
    assert not above, above
