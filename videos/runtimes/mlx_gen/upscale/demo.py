"""python -m videos.runtimes.mlx_gen.upscale.demo FOLDER: a tiny SeedVR2 checkpoint with random weights.

Names and shapes come from inverting mlx-gen's own weight mapping, so loading it exercises the loader of the real ones.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_flatten

from videos.runtimes.mlx_gen import demo
from videos.runtimes.mlx_gen.upscale import seedvr2

SIZES: dict[str, Any] = {"vid_dim": 32, "heads": 1, "num_layers": 3, "mm_layers": 2}
WIDTHS = (32, 32, 32, 32)  # group norms of 32 groups allow no less
BLOCK = re.compile(r"blocks\.(\d+)\.(?:attn|mlp|ada)\.")


def make(folder: Path, family: str = "seedvr2-3b") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    components = seedvr2.components(family)
    for module, component in (
        (seedvr2.denoiser(family, SIZES), components["transformer"]),
        (seedvr2.vae({"block_out_channels": WIDTHS}), components["vae"]),
    ):
        demo.write(folder / component.weight_files[0], dict(_stored(module, component)))


def _stored(module: nn.Module, component: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The names and shapes that a checkpoint has. Later blocks share their weights between video and text."""
    shapes = {name: weight.shape for name, weight in tree_flatten(module.parameters())}
    for stored, name, transform in seedvr2.stored_names(component):
        if name not in shapes or not _has(stored):
            continue
        order = demo.TO_TORCH.get(transform, range(len(shapes[name])))
        yield stored, tuple(shapes[name][axis] for axis in order)


def _has(stored: str) -> bool:
    """Whether a block of that number has its weights under this name: as one, or for video and text apart."""
    block = BLOCK.match(stored)
    if block is None or not any(f".{part}." in stored for part in ("vid", "txt", "all")):
        return True
    return (".all." in stored) == (int(block[1]) >= int(SIZES["mm_layers"]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Build a tiny SeedVR2 checkpoint with random weights.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", choices=sorted(seedvr2.FAMILIES), default="seedvr2-3b")
    options = parser.parse_args()
    mx.set_default_device(mx.cpu)
    make(options.folder.absolute(), options.family)
    return 0


if __name__ == "__main__":
    sys.exit(main())
