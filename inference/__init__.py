"""Models that can be served: discovery, the pool of engines, and the API under /v1."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference.pool import engine_for as engine_for

PUBLIC = {"engine_for": "inference.pool"}


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'inference' has no attribute {name!r}")
    return getattr(importlib.import_module(PUBLIC[name]), name)
