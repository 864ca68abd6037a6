"""The HTTP API under /v1: OpenAI's shapes, and under /v2 what Cohere's SDK asks there.

Routers of the other apps are mounted in `fmlx_site/urls.py`.
"""

from ninja import NinjaAPI, Swagger

from inference.api.auth import needs
from inference.api.docs import Api
from inference.api.errors import register_exception_handlers
from inference.api.routers import (
    cache,
    chat,
    completions,
    downloads,
    embeddings,
    messages,
    models,
    requests,
    rerank,
    responses,
    score,
    tokens,
    usage,
)

second_api = NinjaAPI(title="fmlx", version="2", auth=needs(None), docs_url=None, openapi_url=None, urls_namespace="v2")
register_exception_handlers(second_api)
second_api.add_router("", rerank.second)

api = Api(
    beside=[second_api],
    title="fmlx",
    version="1",
    description="Private inference on promised memory. Errors are OpenAI's object: `message, type, param, code`.",
    auth=needs(None),
    docs=Swagger(settings={"persistAuthorization": True}),
    urls_namespace="v1",
)
register_exception_handlers(api)
api.add_router("cache", cache.router)
api.add_router("chat", chat.router)
api.add_router("completions", completions.router)
api.add_router("embeddings", embeddings.router)
api.add_router("messages", messages.router)
api.add_router("requests", requests.router)
api.add_router("responses", responses.router)
api.add_router("", tokens.router)
api.add_router("models/downloads", downloads.router)  # before the models, whose names may be anything
api.add_router("models", models.router)
api.add_router("", rerank.first)
api.add_router("score", score.router)
api.add_router("usage", usage.router)
