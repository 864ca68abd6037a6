from django.http import HttpRequest
from ninja import Router

from inference.api.errors import ErrorResponse
from inference.api.schemas.models import Model, ModelList
from inference.catalog import find_model, served_models

router = Router(tags=["models"])


@router.get("", response={200: ModelList, 401: ErrorResponse}, summary="List models")
async def list_models(request: HttpRequest) -> ModelList:
    return ModelList(data=[Model.of(folder) async for folder in served_models()])


@router.get("/{path:model}", response={200: Model, 401: ErrorResponse, 404: ErrorResponse}, summary="Get a model")
async def get_model(request: HttpRequest, model: str) -> Model:
    return Model.of(await find_model(model))
