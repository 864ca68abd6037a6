from django.http import HttpRequest, HttpResponse
from ninja import Router, Status

from inference.api.auth import needs
from inference.api.docs import ERRORS
from inference.api.errors import ErrorResponse
from inference.api.schemas.models import Model, ModelList, Rescanned
from inference.catalog import Catalog, Served, read_catalog, recent_catalog
from inference.models import Scope
from inference.pool import engine_states, pool_for
from inference.shelf import rescan_everywhere

router = Router(tags=["models"])
WRITE = needs(Scope.MODELS)


@router.get("", response={200: ModelList, 401: ErrorResponse}, summary="List models")
async def list_models(request: HttpRequest) -> HttpResponse:
    catalog = await recent_catalog.read()
    states = await engine_states(catalog)
    found = [Model.of(model, states.get(name, {})) for name, model in catalog.models.items()]
    return HttpResponse(ModelList.model_construct(data=found).model_dump_json(), content_type="application/json")


@router.post(
    "/rescan",
    auth=WRITE,
    response={202: Rescanned, 401: ErrorResponse, 403: ErrorResponse},
    summary="Have every node look at its folders",
)
async def rescan_models(request: HttpRequest) -> Status[Rescanned]:
    await rescan_everywhere()
    return Status(202, Rescanned())


@router.post("/{path:model}/load", auth=WRITE, response={200: Model, **ERRORS}, summary="Have a model in memory")
async def load_model(request: HttpRequest, model: str) -> Model:
    catalog = await read_catalog()
    found = catalog.engine_model(model)
    await pool_for(found).load(found)
    return await _shown(found, catalog)


@router.post("/{path:model}/unload", auth=WRITE, response={200: Model, **ERRORS}, summary="Give a model's memory back")
async def unload_model(request: HttpRequest, model: str) -> Model:
    catalog = await read_catalog()
    found = catalog.engine_model(model)
    await pool_for(found).unload(found.name, "it was unloaded by hand")
    return await _shown(found, catalog)


@router.get("/{path:model}", response={200: Model, 401: ErrorResponse, 404: ErrorResponse}, summary="Get a model")
async def get_model(request: HttpRequest, model: str) -> Model:
    catalog = await read_catalog()
    return await _shown(catalog.find(model), catalog)


async def _shown(model: Served, catalog: Catalog) -> Model:
    return Model.of(model, (await engine_states(catalog)).get(model.name, {}))
