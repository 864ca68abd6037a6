"""What the node's `start` message sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.engine.gate import LEAST_MARGIN
from memory.protocol import WorkerFailed

MOST_CHOICES = 16  # a request's choices decode together, so there must be room for them


@dataclass(frozen=True, slots=True)
class Settings:
    """Bytes and seconds. `context_limit` None means the model's own."""

    model_dir: Path
    lease_bytes: int
    lease_grows: bool = False
    margin_bytes: int = LEAST_MARGIN  # of the lease, kept free at least
    context_limit: int | None = None
    decode_gap: float = 0.05
    max_sequences: int = 64
    max_waiting: int = 1024
    patience: float = 5.0
    cache_folder: Path | None = None  # of the prefix cache's SSD tier; None: it has none
    cache_quota: int | None = None
    hot_bytes: int | None = None  # None: a share of the lease


def read(spec: Mapping[str, Any]) -> Settings:
    """Raises WorkerFailed bad_spec."""
    given = {name: value for name, value in spec.items() if value is not None}
    try:
        cache = {name: value for name, value in given.get("cache", {}).items() if value is not None}
        return Settings(
            model_dir=Path(given["model_dir"]),
            lease_bytes=int(given["lease_bytes"]),
            lease_grows=given.get("lease_grows", False) is True,
            margin_bytes=int(given.get("margin_bytes", LEAST_MARGIN)),
            context_limit=int(given["context_limit"]) if "context_limit" in given else None,
            decode_gap=float(given.get("decode_gap_ms", 50)) / 1000,
            max_sequences=max(MOST_CHOICES, int(given.get("max_sequences", 64))),
            max_waiting=int(given.get("max_waiting", 1024)),
            patience=float(given.get("patience", 5)),
            cache_folder=Path(cache["folder"]) if "folder" in cache else None,
            cache_quota=int(cache["quota_bytes"]) if "quota_bytes" in cache else None,
            hot_bytes=int(cache["hot_bytes"]) if "hot_bytes" in cache else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WorkerFailed("bad_spec", f"The start message's spec cannot be used: {error!r}.") from error
