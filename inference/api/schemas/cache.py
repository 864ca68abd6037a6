"""`/v1/cache`: what the prefix cache holds on this machine's disk, and what running engines did with it."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from ninja import Schema
from pydantic import Field

from inference.cache import OnDisk, used_at
from inference.engine.cache.index import Held


class CachedModel(Schema):
    """Blocks on disk of one model. Bytes are those of the files."""

    id: Annotated[str, Field(description="Fingerprint of weights, tokenizer, adapter, dtype and format.")]
    name: str
    entries: int
    bytes: int
    last_used_at: datetime

    @classmethod
    def of(cls, held: Held) -> Self:
        return cls(id=held.model, name=held.name, entries=held.entries, bytes=held.bytes, last_used_at=used_at(held))


class Cache(Schema):
    """`limit_bytes` is the smaller of `quota_bytes` and a tenth of what the disk has free besides the cache."""

    object: Literal["cache"] = "cache"
    entries: int
    bytes: int
    quota_bytes: int
    limit_bytes: int
    free_bytes: int
    models: list[CachedModel]
    engines: Annotated[dict[str, Any], Field(description="Counts of loaded models since each was loaded, by model.")]

    @classmethod
    def of(cls, disk: OnDisk, engines: dict[str, Any]) -> Self:
        return cls(
            entries=disk.entries,
            bytes=disk.bytes,
            quota_bytes=disk.setting,
            limit_bytes=disk.limit,
            free_bytes=disk.free,
            models=[CachedModel.of(held) for held in disk.models],
            engines=engines,
        )


class Cleared(Schema):
    object: Literal["cache.cleared"] = "cache.cleared"
    model: str | None
    freed_bytes: int
