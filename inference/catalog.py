"""The models that nodes found, as clients see them: one entry per name."""

from django.db.models import Min, QuerySet

from inference.errors import ModelNotFound
from inference.models import ModelFolder


def served_models() -> QuerySet[ModelFolder]:
    """One folder per name, though several nodes may have it."""
    served = ModelFolder.objects.exclude(type=ModelFolder.Type.UNSERVED)
    first = served.values("name").annotate(first=Min("pk")).values("first")
    return ModelFolder.objects.filter(pk__in=first).order_by("name")


async def find_model(name: str) -> ModelFolder:
    """Raises ModelNotFound, with names that are near."""
    if folder := await served_models().filter(name=name).afirst():
        return folder
    raise ModelNotFound(name, [known async for known in served_models().values_list("name", flat=True)])
