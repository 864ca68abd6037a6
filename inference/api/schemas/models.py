from typing import Literal

from ninja import Schema

from inference.catalog import Served
from inference.client import Event


class Loading(Schema):
    """Bytes of weights."""

    done: int
    total: int


class Model(Schema):
    """OpenAI's model object, what it can be used for here, and whether it is in memory now."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "fmlx"
    type: str
    pipeline: str | None
    size_bytes: int
    alias: str | None
    profiles: list[str]
    context_window: int | None
    context_limit: int | None
    pinned: bool
    default: bool
    loaded: bool
    loading: Loading | None
    active_requests: int
    lease_bytes: int | None
    problem: str | None

    @classmethod
    def of(cls, model: Served, state: Event) -> "Model":
        """Made without being checked: a list of many is asked for often, and all of it is ours."""
        folder = model.folders[0]
        return cls.model_construct(
            id=model.name,
            created=int(folder.found_at.timestamp()),
            type=model.type,
            pipeline=folder.pipeline or None,
            size_bytes=folder.size_bytes,
            alias=model.settings.alias or None,
            profiles=sorted(model.settings.profiles),
            context_window=folder.context_window,
            context_limit=state.get("context_limit") or model.settings.context_limit,
            pinned=model.settings.pinned,
            default=model.settings.default,
            loaded=bool(state.get("loaded")),
            loading=state.get("loading"),
            active_requests=state.get("active_requests") or 0,
            lease_bytes=state.get("lease_bytes"),
            problem=state.get("problem"),
        )


class ModelList(Schema):
    object: Literal["list"] = "list"
    data: list[Model]


class Rescanned(Schema):
    object: Literal["models.rescan"] = "models.rescan"
    asked: bool = True
