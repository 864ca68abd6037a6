from typing import Literal

from django.http import HttpRequest
from ninja import Router, Schema

from inference.api.auth import for_prompts
from inference.api.docs import ERRORS
from inference.catalog import read_catalog
from inference.errors import RequestNotFound
from inference.models import ApiKey, Scope
from inference.pool import cancel_call

router = Router(tags=["requests"], auth=for_prompts())


class AuthorizedRequest(HttpRequest):
    auth: ApiKey


class Cancelled(Schema):
    id: str
    object: Literal["request.cancelled"] = "request.cancelled"
    cancelled: Literal[True] = True


@router.post(
    "/{request_id}/cancel", response={200: Cancelled, **ERRORS}, summary="End a request that is being answered"
)
async def cancel_request(request: AuthorizedRequest, request_id: str) -> Cancelled:
    """`request_id` is the X-Request-Id of its answer. Its stream ends with an `error` event."""
    holder = None if request.auth.may(Scope.ADMIN) else str(request.auth.pk)
    if not await cancel_call(await read_catalog(), request_id, holder):
        raise RequestNotFound(request_id)
    return Cancelled(id=request_id)
