import uuid

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja import Router

from inference.api.auth import cache_salt, for_prompts, needs
from inference.api.body import read_json
from inference.api.docs import ERRORS, body_of
from inference.api.schemas.cache import Cache, Cleared
from inference.api.schemas.probe import Probed, ProbeRequest, for_engine
from inference.cache import clear_cache, engine_counts, read_cache
from inference.catalog import recent_catalog
from inference.models import Scope
from inference.pool import engine_for

router = Router(tags=["cache"], auth=needs(Scope.METRICS))


@router.get("", response={200: Cache, **ERRORS}, summary="What the prefix cache holds, per model")
async def get_cache(request: HttpRequest) -> Cache:
    return Cache.of(await sync_to_async(read_cache)(), await engine_counts())


@router.delete(
    "",
    auth=needs(Scope.MODELS),
    response={200: Cleared, **ERRORS},
    summary="Remove what is on disk, of one model or of all",
)
async def delete_cache(request: HttpRequest, model: str | None = None) -> Cleared:
    return Cleared(model=model, freed_bytes=await sync_to_async(clear_cache)(model))


@router.post(
    "/probe",
    auth=for_prompts(),
    response={200: Probed, **ERRORS},
    openapi_extra=body_of(ProbeRequest),
    summary="Say which blocks of a prompt are in the prefix cache; nothing is computed",
)
async def probe(request: HttpRequest) -> Probed:
    name, asked = for_engine(await read_json(request))
    model = (await recent_catalog.read()).chat_model(name)
    async with engine_for(model) as engine:
        found = await engine.probe({**asked, **cache_salt(request), "id": f"probe-{uuid.uuid4().hex}"})
    return Probed(model=model.name, **{name: found[name] for name in Probed.model_fields if name in found})
