from datetime import datetime
from typing import Literal

from ninja import Schema
from pydantic import AwareDatetime, Field

from inference.request_log.usage import Use


class UsageQuery(Schema):
    by: Literal["day", "hour"] = "day"
    since: AwareDatetime | None = Field(None, alias="from")
    until: AwareDatetime | None = Field(None, alias="to")
    model: str | None = None
    key: int | None = None


class UsedKey(Schema):
    id: int
    name: str
    prefix: str


class Figures(Schema):
    requests: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    seconds: float


class UsageRow(Figures):
    at: datetime
    key: UsedKey
    model: str

    @classmethod
    def of(cls, use: Use) -> "UsageRow":
        key = UsedKey(id=use.key_id, name=use.key, prefix=use.prefix)
        figures = {name: getattr(use, name) for name in Figures.model_fields}
        return cls(at=use.at, key=key, model=use.model, **figures)


class UsageList(Schema):
    """`at` is where a row's day or hour begins, in UTC."""

    object: Literal["list"] = "list"
    by: Literal["day", "hour"]
    data: list[UsageRow]
    total: Figures
