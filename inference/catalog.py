"""The models that nodes found, as clients see them: one entry per name, with what the operator decided about it."""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import Min, QuerySet

from fmlx_site.errors import InvalidRequest
from fmlx_site.stamps import MODELS, look_seconds
from inference.errors import ModelNotFound, WrongModelType
from inference.models import ApiKey, ModelFolder, ModelSettings
from inference.options import FALLBACK_MODEL, sampling_defaults
from inference.request_log.visit import current_key

ENGINES = (ModelFolder.Type.CHAT, ModelFolder.Type.EMBEDDING, ModelFolder.Type.RERANK)  # types that are loaded


def served_models() -> QuerySet[ModelFolder]:
    """One folder per name, though several nodes may have it."""
    served = ModelFolder.objects.exclude(type=ModelFolder.Type.UNSERVED)
    first = served.values("name").annotate(first=Min("pk")).values("first")
    return ModelFolder.objects.filter(pk__in=first).order_by("name")


@dataclass(frozen=True, slots=True)
class Served:
    """A model: the folders that hold it, one per node, and its settings."""

    name: str
    folders: tuple[ModelFolder, ...]
    settings: ModelSettings
    profile: str = ""  # that was asked for with its name

    @property
    def sampling(self) -> dict[str, Any]:
        """What holds for a request that does not say: of its profile, else its own, else the server's."""
        named = self.settings.profiles.get(self.profile or self.settings.profile, {})
        return {**sampling_defaults(), **self.settings.sampling, **named}

    @property
    def type(self) -> str:
        return self.settings.type or self.folders[0].type

    def folder_on(self, node_id: int) -> ModelFolder | None:
        return next((folder for folder in self.folders if folder.node_id == node_id), None)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every model at one moment."""

    models: Mapping[str, Served]
    read_at: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, folders: Iterable[ModelFolder], settings: Iterable[ModelSettings]) -> "Catalog":
        decided = {row.name: row for row in settings}
        by_name: dict[str, list[ModelFolder]] = {}
        for folder in folders:
            if folder.type or (folder.name in decided and decided[folder.name].type):
                by_name.setdefault(folder.name, []).append(folder)
        undecided = ModelSettings()
        return cls({name: Served(name, tuple(by_name[name]), decided.get(name, undecided)) for name in by_name})

    def find(self, name: str) -> Served:
        """By name, by alias, or by either in another case; with `:profile` behind it, with that profile.

        Raises:
            ModelNotFound: with names that are near.
        """
        base, _, profile = name.rpartition(":")
        found = self._called(name)
        if found is None and (other := self._called(base)) and profile in other.settings.profiles:
            found = replace(other, profile=profile)
        if found is None:
            raise ModelNotFound(name, list(self.models))
        return found

    def _called(self, name: str) -> Served | None:
        if model := self.models.get(name):
            return model
        for fold in (str, str.casefold):
            for model in self.models.values():
                if fold(name) in (fold(model.name), fold(model.settings.alias) or None):
                    return model
        return None

    def _find_or_fall_back(self, name: str, type_: str) -> Served:
        try:
            return self.find(name)
        except ModelNotFound:
            with suppress(ModelNotFound):
                if (name := FALLBACK_MODEL.value) and (other := self.find(name)).type == type_:
                    return other
            raise

    def seen_by(self, key: ApiKey | None) -> "Catalog":
        """For a key with a list of models, the others are not there."""
        if key is None or not key.allowed_models:
            return self
        seen = {name: model for name, model in self.models.items() if key.sees(name, model.settings.alias)}
        return Catalog(seen, self.read_at)

    def chat_model(self, name: str | None) -> Served:
        """As `model_for`."""
        return self.model_for(ModelFolder.Type.CHAT, name)

    def engine_model(self, name: str) -> Served:
        """A model that an engine can serve. Raises ModelNotFound, WrongModelType."""
        model = self.find(name)
        if model.type not in ENGINES:
            raise WrongModelType(model.name, model.type)
        return model

    def model_for(self, type_: str, name: str | None, *also: str) -> Served:
        """The one named, if it is of the type or one of `also`; else the default, else the first of the highest rank: a
        real model before a demo.

        Raises:
            ModelNotFound, WrongModelType: of the one named.
            InvalidRequest: none is named and there is none.
        """
        if name is not None:
            model = self._find_or_fall_back(name, type_)
            if model.type not in (type_, *also):
                raise WrongModelType(model.name, model.type)
            return model
        able = [model for model in self.models.values() if model.type == type_]
        if not able:
            text = f"No {type_} model was found on this server; add one to its model folder."
            raise InvalidRequest(text, param="model")
        best = max(able, key=lambda model: model.folders[0].rank)
        return next((model for model in able if model.settings.default), best)


def _read() -> Catalog:
    folders = ModelFolder.objects.defer("skipped_said").prefetch_related("node").order_by("name", "pk")
    return Catalog.of(folders, ModelSettings.objects.all())


async def read_catalog() -> Catalog:
    """As the key sees it that this is read for, if it is for one."""
    return (await sync_to_async(_read)()).seen_by(current_key())


async def find_model(name: str) -> ModelFolder:
    """Raises ModelNotFound, with names that are near."""
    return (await read_catalog()).find(name).folders[0]


class RecentCatalog:
    """The catalog for prompts, read anew when a model or what was decided about it changed."""

    def __init__(self) -> None:
        self._latest: Catalog | None = None
        self._stamp = (0, 0)

    async def read(self) -> Catalog:
        latest, stamp = self._latest, MODELS.seen()
        if latest is None or stamp != self._stamp or time.monotonic() - latest.read_at > look_seconds():
            latest = await sync_to_async(_read)()
            self._latest, self._stamp = latest, stamp
        return latest.seen_by(current_key())

    def forget(self) -> None:
        self._latest = None


recent_catalog = RecentCatalog()
