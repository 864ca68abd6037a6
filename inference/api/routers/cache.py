from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja import Router

from inference.api.docs import ERRORS
from inference.api.schemas.cache import Cache, Cleared
from inference.cache import clear_cache, engine_counts, read_cache

router = Router(tags=["cache"])


@router.get("", response={200: Cache, **ERRORS}, summary="What the prefix cache holds, per model")
async def get_cache(request: HttpRequest) -> Cache:
    return Cache.of(await sync_to_async(read_cache)(), await engine_counts())


@router.delete("", response={200: Cleared, **ERRORS}, summary="Remove what is on disk, of one model or of all")
async def delete_cache(request: HttpRequest, model: str | None = None) -> Cleared:
    return Cleared(model=model, freed_bytes=await sync_to_async(clear_cache)(model))
