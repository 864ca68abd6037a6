"""The peak footprint of one clip at several sizes and lengths, each in a worker process of its own.

What the constants of `videos/predictor.py` are taken from: run it on a machine of the class they are for, with
`python -m benchmarks.video_memory MODEL_FOLDER [WIDTHxHEIGHTxFRAMES…]` and FMLX_HOME set to a home with the runtime.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from fmlx_site.environment import Environment
from memory.launcher import spawn
from memory.workers import WorkerSpec

GIB = 1024**3
SHAPES = ("64x64x17", "160x160x17", "240x144x17", "240x144x49", "320x192x17", "320x192x49", "320x192x81")


@dataclass(frozen=True, slots=True)
class Reading:
    shape: str
    peak: int
    mlx_peak: int
    seconds: float


async def measure(python: Path, model: Path, shape: str, lease: int, folder: Path) -> Reading:
    """Make one clip of two steps (steps follow one another in the same memory) and read what its process held."""
    width, height, frames = (int(part) for part in shape.split("x"))
    spec = WorkerSpec(
        kind="generator",
        holder=shape,
        runtime="mlx-gen",
        argv=[str(python), "-m", "videos.runtimes.mlx_gen.worker"],
        cwd=folder,
        log=folder / "worker.log",
    )
    worker = await spawn(spec, lease=lease, tolerance=0, mark={})
    reaping = asyncio.create_task(worker.reap())
    asked = {"width": width, "height": height, "frames": frames, "fps": 8, "steps": 2, "seed": 1}
    where = {
        "model_dir": str(model),
        "output_dir": str(folder),
        "artifacts_dir": str(folder),
        "lease_bytes": lease,
        "prompt": "a red ball",
    }
    await worker.send("start", spec={**asked, **where})
    ends = [message async for message in worker.messages() if message["type"] in ("done", "failed")]
    await reaping
    if not ends or ends[0]["type"] != "done":
        raise SystemExit(f"{shape} failed: {ends or spec.log.read_text()}")
    manifest: dict[str, Any] = ends[0]["manifest"]
    return Reading(shape, manifest["peak_memory_bytes"], manifest["mlx_peak_bytes"], manifest["wall_seconds"])


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("shapes", nargs="*", default=SHAPES)
    parser.add_argument("--lease-gib", type=float, default=8.0, help="what the worker is told it may use")
    options = parser.parse_args()
    python = Environment().runtimes / "mlx-gen" / "bin" / "python"
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / GIB:.0f} GiB"
    print(f"{sys.platform} {machine}; lease {options.lease_gib:g} GiB")
    print(f"{'shape':>16} {'peak bytes':>14} {'of it MLX':>14} {'wall s':>8}")
    for shape in options.shapes:
        with tempfile.TemporaryDirectory() as folder:
            reading = await measure(python, options.model, shape, int(options.lease_gib * GIB), Path(folder))
        print(f"{shape:>16} {reading.peak:>14,} {reading.mlx_peak:>14,} {reading.seconds:>8.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
