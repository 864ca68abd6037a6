"""What this node's worker environments can do, kept on its row for the pages and for `doctor`."""

import asyncio
from dataclasses import asdict

from django.conf import settings

from memory.environments import PROBES, is_built, probe, runtime_python
from memory.models import Node

LOOK_SECONDS = 5.0


async def keep_runtimes_known(node_id: int) -> None:
    """Probe each environment at start and whenever it was built or removed; until cancelled."""
    known: dict[str, bool] = {}
    while True:
        built = {name: await asyncio.to_thread(is_built, settings.FMLX.home, name) for name in PROBES}
        if built != known:
            await Node.objects.filter(pk=node_id).aupdate(runtimes={name: await _probed(name) for name in PROBES})
            known = built
        await asyncio.sleep(LOOK_SECONDS)


async def _probed(name: str) -> dict[str, object]:
    return asdict(await asyncio.to_thread(probe, runtime_python(settings.FMLX.home, name), name))
