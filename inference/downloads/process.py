"""The process that fetches a download, as its node sees it."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from fmlx_site.options import OPTIONS
from inference.downloads.folders import partial_of
from inference.downloads.models import Download
from inference.options import HUB_DISABLE_XET, HUB_ENDPOINT
from memory.allowlist import worker_environment
from memory.environments import runtime_python
from memory.worker_log import WorkerLog

RUNTIME, MODULE = "mlx-lm", "inference.downloads.fetch"
PASSED_ON = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
# Xet buffers gigabytes by itself, in memory that nobody promised it (hf_xet 1.8.0: names and sizes of its settings).
BOUNDED = {
    "HF_XET_DISABLE_MEMORY_DERIVED_DOWNLOAD_BUFFERS": "1",
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_SIZE": "256mb",
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_PERFILE_SIZE": "128mb",
    "HF_XET_RECONSTRUCTION_DOWNLOAD_BUFFER_LIMIT": "512mb",
}


@dataclass(slots=True)
class Fetching:
    """What its process has said. `failed` has a code and figures; with neither it nor `done` it runs, or died."""

    commit: str = ""
    total: int = 0
    came: int = 0
    done: bool = False
    failed: dict[str, Any] = field(default_factory=dict)

    def hear(self, line: bytes) -> None:
        match json.loads(line):
            case {"event": "found", "commit": commit, "bytes": total}:
                self.commit, self.total = commit, total
            case {"event": "progress", "bytes": came}:
                self.came = came
            case {"event": "failed", "code": code, "figures": figures}:
                self.failed = {"code": code, "figures": figures}
            case {"event": "done"}:
                self.done = True


@asynccontextmanager
async def fetching(row: Download, said: Fetching) -> AsyncIterator["asyncio.Task[None]"]:
    """The process runs and `said` is kept current, until the task that is given ends; on leaving, it is gone."""
    log = await asyncio.to_thread(_open_log, row)
    try:
        process = await asyncio.create_subprocess_exec(
            *(str(runtime_python(settings.FMLX.home, RUNTIME)), "-m", MODULE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.entry,
            cwd=settings.BASE_DIR,
            env=_environment(),
            start_new_session=True,
        )
    finally:
        log.close_entry()
    following = asyncio.create_task(_follow(process, _spec(row), said))
    try:
        yield following
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(following, return_exceptions=True)
        await asyncio.to_thread(log.finish)


async def _follow(process: asyncio.subprocess.Process, spec: bytes, said: Fetching) -> None:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("The process was started without its pipes.")
    process.stdin.write(spec)  # and is left open: its end is the node's
    async for line in process.stdout:
        said.hear(line)
    await process.wait()


def _spec(row: Download) -> bytes:
    """By its input: what is in arguments and in the environment can be read by others."""
    spec = {
        "repository": row.repository,
        "revision": row.commit or row.revision,
        "endpoint": HUB_ENDPOINT.value.rstrip("/"),
        "token": settings.FMLX.hub_token.get_secret_value(),
        "folder": str(partial_of(row)),
        "keep_free": OPTIONS["disk_floor_bytes"].value,
    }
    return json.dumps(spec).encode() + b"\n"


def _environment() -> dict[str, str]:
    names = {*PASSED_ON, *map(str.lower, PASSED_ON)} & os.environ.keys()
    own = {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", **BOUNDED}
    own |= {"HF_HUB_DISABLE_XET": "1"} if HUB_DISABLE_XET.value else {}
    found = worker_environment(settings.FMLX.work, own | {name: os.environ[name] for name in names}, {})
    return {name: value for name, value in found.items() if name != "LD_PRELOAD"}


def _open_log(row: Download) -> WorkerLog:
    folder: Path = settings.FMLX.logs / "workers"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return WorkerLog.open(folder / f"download-{row.pk}.log")
