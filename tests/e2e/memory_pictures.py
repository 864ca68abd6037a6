"""`python -m tests.e2e.memory_pictures docs/memory`: the Memory page with nothing to do, at work, and refusing.

With widths after the folder (`360 2560`) the pictures are as wide as that, and of the whole page; `crowded` is made
besides: 20 workers and a month of figures, which are written into the database and not lived.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.conftest import ALLOWED, PASSWORD, chromium, log_in
from tests.early import make_home
from tests.servers import MANAGE, Server, manage, running

KEY = "fmlx-key-of-the-pictures"
FIRST = {"FMLX_ADMIN_PASSWORD": PASSWORD, "FMLX_API_KEY": KEY}
LONG = {"model": "demo-video-5b", "prompt": "a red ball", "size": "128x128", "frames": 81, "steps": 100}
CROWD = """
import random
from datetime import timedelta
from django.utils import timezone
from memory.ledger import Ledger
from memory.ceiling import compute_ceiling
from memory.machine import Machine
from memory.models import Event, Lease, Node, Sample, Summary
GIB = 2**30
node = Node.objects.create(name='studio', boot_id='1', pid=1)
ledger = Ledger(node.pk)
machine = Machine(total=192 * GIB, free=90 * GIB, reclaimable=30 * GIB)
metal = {'device': 144 * GIB, 'device_name': 'Apple M3 Ultra'}
ledger.set_ceiling(compute_ceiling(machine, tier='balanced', reserve=0, held=50 * GIB, **metal))
names = [('engine', f'mlx-community/Qwen3-{n}B-Instruct-2507-4bit') for n in range(1, 15)]
names += [('generator', f'video_{n:024d}') for n in range(6)]
leases = [ledger.reserve(kind, name, (2 + n % 7) * GIB) for n, (kind, name) in enumerate(names)]
for number, lease in enumerate(leases):
    for size in range(number % 5):
        lease = ledger.resize(lease, lease.bytes + GIB // 4)
    Lease.objects.filter(pk=lease.pk).update(footprint_bytes=lease.bytes * 3 // 4, peak_bytes=lease.bytes * 7 // 8)
now = timezone.now()
whole = {'ceiling_bytes': 140 * GIB, 'cap_bytes': 144 * GIB, 'lease_bytes': sum(one.bytes for one in leases)}
for back in range(0, 300, 2):
    at = now - timedelta(seconds=back)
    rows = [Sample(node=node, at=at, kind=one.kind, holder=one.holder, lease_bytes=one.bytes,
        footprint_bytes=int(one.bytes * random.uniform(0.6, 0.8))) for one in leases]
    Sample.objects.bulk_create([*rows, Sample(node=node, at=at, footprint_bytes=120 * GIB, **whole)])
for back in range(0, 30 * 24):
    at = now - timedelta(hours=back)
    rows = [Summary(node=node, seconds=300, at=at, kind=one.kind, holder=one.holder, lease_bytes=one.bytes,
        mean_bytes=int(one.bytes * random.uniform(0.1, 0.8)), max_bytes=one.bytes) for one in leases]
    whole_row = Summary(node=node, seconds=300, at=at, mean_bytes=100 * GIB, max_bytes=120 * GIB, **whole)
    Summary.objects.bulk_create([*rows, whole_row])
for number in range(30):
    decision = 'waited' if number % 3 else 'refused'
    figures = {'model': names[number % 9][1], 'decision': decision, 'tokens': 4096 * number,
        'need_bytes': number * GIB // 8, 'lease_bytes': 4 * GIB, 'bound_bytes': number * GIB // 16,
        'times': number}
    Event.objects.create(node=node, at=now - timedelta(minutes=number), what='gate', kind='engine',
        holder=figures['model'], figures=figures, message='The chunk waits while others drain.')
"""


def main(folder: Path, widths: list[int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        home = make_home(Path(place) / "home")
        manage("migrate", "-v0", home=home)
        manage("firststart", home=home, env=FIRST)
        manage("makedemo", home=home, timeout=300)
        with running(home=home, env=ALLOWED) as server:
            for state in ("empty", "running", "refused"):
                _reach(state, server)
                _take(folder, state, server, widths)
        if widths:
            home = make_home(Path(place) / "crowded")
            manage("migrate", "-v0", home=home)
            manage("firststart", home=home, env=FIRST)
            manage("shell", "-v0", "-c", CROWD, home=home)
            with running((*MANAGE, "serve", "--site-only"), home=home, ready_url="/healthz") as server:
                _take(folder, "crowded", server, widths)


def _reach(state: str, server: Server) -> None:
    with httpx.Client(base_url=server.base_url, headers={"Authorization": f"Bearer {KEY}"}, timeout=120) as client:
        if state == "running":
            client.post("/v1/videos", json=LONG).raise_for_status()
            said = {"model": "demo-chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
            client.post("/v1/chat/completions", json=said).raise_for_status()
        elif state == "refused":
            client.post("/v1/videos", json={**LONG, "size": "8000x8000"})
            client.post("/v1/videos", json={**LONG, "size": "1280x704"})


def _take(folder: Path, state: str, server: Server, widths: list[int]) -> None:
    for width in widths or [1280]:
        with _opened(server, width) as page:
            page.goto("/memory/")
            expect(page.locator(".u-over")).to_be_visible()
            if state in ("running", "refused"):
                page.wait_for_function("document.querySelectorAll('[data-lease]').length > 1")
                page.wait_for_timeout(8000)  # some seconds of bands
            if state == "refused":
                expect(page.get_by_text("is the most this machine can promise").first).to_be_visible()
            suffix = f"-{width}" if widths else ""
            page.screenshot(path=folder / f"{state}{suffix}.png", full_page=True)
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{state} at {width} px is {overflow} px too wide"


@contextmanager
def _opened(server: Server, width: int) -> Iterator[Page]:
    with sync_playwright() as playwright, closing(playwright.chromium.launch(**chromium())) as browser:
        size = {"width": width, "height": 900}
        page = browser.new_page(base_url=server.base_url, locale="en-GB", viewport=size)  # type: ignore[arg-type]
        log_in(page)
        yield page


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(width) for width in sys.argv[2:]])
