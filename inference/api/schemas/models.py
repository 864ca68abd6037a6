from typing import Literal, Self

from ninja import Schema

from inference.models import ModelFolder


class Model(Schema):
    """OpenAI's model object, and what it can be used for here."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "fmlx"
    type: str
    pipeline: str | None
    size_bytes: int

    @classmethod
    def of(cls, folder: ModelFolder) -> Self:
        return cls(
            id=folder.name,
            created=int(folder.found_at.timestamp()),
            type=folder.type,
            pipeline=folder.pipeline or None,
            size_bytes=folder.size_bytes,
        )


class ModelList(Schema):
    object: Literal["list"] = "list"
    data: list[Model]
