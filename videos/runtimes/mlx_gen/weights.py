"""Whether a module really got its weights.

mlx-gen leaves a weight that the file lacks at its random start value, and takes one of any shape: the video would be
noise, and nobody would know why.
"""

from collections.abc import Mapping
from pathlib import Path

import mlx.core as mx

from memory.protocol import WorkerFailed

COMPUTED = "rope."  # tables that no checkpoint stores
Named = Mapping[str, mx.array]


def require_complete(folder: Path, blank: Named, applied: Named, loaded: Named) -> None:
    """Compare a module's parameters before (`blank`) and after (`applied`) loading with what the files held.

    Raises:
        WorkerFailed: `model_invalid`, naming the first weight that is missing or has another shape.
    """
    for name in applied:
        if name.startswith(COMPUTED):
            continue
        if name not in loaded:
            raise WorkerFailed("model_invalid", f"The files in {folder} lack the weight {name}.")
        if name in blank and not _packed(name, loaded) and blank[name].shape != loaded[name].shape:
            raise WorkerFailed(
                "model_invalid",
                f"The weight {name} in {folder} has the shape {loaded[name].shape}; "
                f"its config.json asks for {blank[name].shape}.",
            )


def _packed(name: str, loaded: Named) -> bool:
    """A quantised weight is narrower than the module it stands for, and comes with its scales."""
    return name.removesuffix("weight") + "scales" in loaded
