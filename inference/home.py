"""What the Home page shows of models, and warns of."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from fmlx_site.home import PARTS, WATCHES, Concern, Part, Watch, once
from inference.models import ModelFolder

SEE = "inference.view_modelfolder"
CHAT, VIDEO = ModelFolder.Type.CHAT, ModelFolder.Type.VIDEO


def read(request: HttpRequest) -> dict[str, Any]:
    return {"counts": once(request, "models", _counts)}


def _counts() -> dict[str, int]:
    kinds = {"chat": Q(type=CHAT), "video": Q(type=VIDEO), "skipped": Q(type=ModelFolder.Type.UNSERVED)}
    return ModelFolder.objects.aggregate(
        served=Count("id", filter=~Q(type=ModelFolder.Type.UNSERVED)),
        **{kind: Count("name", filter=of, distinct=True) for kind, of in kinds.items()},
    )


def look(request: HttpRequest) -> Iterable[Concern]:
    if not once(request, "models", _counts)["served"]:
        text = _("No model was found. Put one into the models folder, or install the demo models.")
        yield Concern("warning", text, reverse("models"), "manage.py makedemo")


PARTS.append(Part("home/_models.html", 30, SEE, read, live="/ws/models/"))
WATCHES.append(Watch(SEE, look))
