"""`/v1/videos/presets`: named settings, with what each would take."""

from typing import Literal

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja import Router

from inference.api.errors import ErrorResponse
from inference.catalog import find_model
from inference.errors import WrongModelType
from inference.models import ApiKey, ModelFolder
from videos import loras, pages, presets
from videos.schemas import VideoLora, VideoLoraList, VideoPreset, VideoPresetList

router = Router(tags=["videos"])


class AuthorizedRequest(HttpRequest):
    auth: ApiKey


@router.get(
    "",
    response={200: VideoPresetList, 400: ErrorResponse, 401: ErrorResponse, 404: ErrorResponse},
    summary="List presets",
)
async def list_presets(request: AuthorizedRequest, model: str | None = None) -> VideoPresetList:
    """Those of a model, or of all; send one's name as `preset` when you make a video."""
    folders = await sync_to_async(pages.video_folders)()
    if model is not None:
        found = await find_model(model)
        if found.type != ModelFolder.Type.VIDEO:
            raise WrongModelType(found.name, found.type)
        folders = [folder for folder in folders if folder.name == found.name]
    visible = [folder for folder in folders if request.auth.sees(folder.name)]
    return VideoPresetList(data=await sync_to_async(lambda: [one for folder in visible for one in _shown(folder)])())


lora_router = Router(tags=["videos"])


@lora_router.get("", response={200: VideoLoraList, 401: ErrorResponse}, summary="List LoRAs")
async def list_loras(request: AuthorizedRequest) -> VideoLoraList:
    """Put them in `loras` of FMLX_HOME or of a models folder: a file, or a folder with one for each expert."""
    found = (await sync_to_async(loras.all_found)()).values()
    return VideoLoraList(data=await sync_to_async(lambda: [_lora(one) for one in found])())


def _lora(found: loras.Found) -> VideoLora:
    weights: dict[Literal["high", "low"], object] = {"high": found.high, "low": found.low}
    experts = [expert for expert, there in weights.items() if there]
    return VideoLora(name=found.name, bytes=found.bytes, experts=experts)


def _shown(folder: ModelFolder) -> list[VideoPreset]:
    return [_one(folder, estimate) for estimate in presets.estimates(folder)]


def _one(folder: ModelFolder, estimate: presets.Estimate) -> VideoPreset:
    shape = estimate.shape
    return VideoPreset(
        model=folder.name,
        name=estimate.name,
        values=estimate.values,
        size=f"{shape.width}x{shape.height}" if shape else None,
        frames=shape.frames if shape else None,
        fps=shape.fps if shape else None,
        steps=shape.steps if shape else None,
        predicted_memory_bytes=estimate.bytes,
        predicted_seconds=estimate.seconds,
        refused=estimate.refused or None,
    )
