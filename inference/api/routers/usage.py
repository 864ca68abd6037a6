from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja import Query, Router

from inference.api.auth import needs
from inference.api.errors import ErrorResponse
from inference.api.schemas.usage import Figures, UsageList, UsageQuery, UsageRow
from inference.models import ApiKey, Scope
from inference.request_log.usage import read_usage, totals

router = Router(tags=["usage"], auth=needs(None))


class AuthorizedRequest(HttpRequest):
    auth: ApiKey


@router.get(
    "",
    response={200: UsageList, 400: ErrorResponse, 401: ErrorResponse},
    summary="Requests and tokens by key, model and day; of this key, or of all for one with the scope admin",
)
async def get_usage(request: AuthorizedRequest, asked: Query[UsageQuery]) -> UsageList:
    keys = ApiKey.objects.all() if request.auth.may(Scope.ADMIN) else ApiKey.objects.filter(pk=request.auth.pk)
    keys = keys.filter(pk=asked.key) if asked.key is not None else keys
    uses = await sync_to_async(read_usage)(keys, asked.by, asked.since, asked.until, asked.model)
    return UsageList(by=asked.by, data=[UsageRow.of(use) for use in uses], total=Figures.model_validate(totals(uses)))
