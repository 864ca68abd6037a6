"""What the Home page shows of models, and warns of."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Max, Q, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from fmlx_site.home import PARTS, WATCHES, Concern, Part, Watch, once
from inference.diffusers import NEEDS_PICTURE
from inference.models import ModelFolder
from inference.request_log.views import visible_requests

SEE = "inference.view_modelfolder"
RECENT = 5
CHAT, VIDEO = ModelFolder.Type.CHAT, ModelFolder.Type.VIDEO


def read(request: HttpRequest) -> dict[str, Any]:
    return {"counts": found(request)}


def found(request: HttpRequest) -> dict[str, Any]:
    """How many models there are, and the demo that makes clips of sentences: the best one of them."""
    return once(request, "models", _counts)


def _counts() -> dict[str, Any]:
    demos = ModelFolder.objects.filter(type=VIDEO, rank__lt=0).exclude(pipeline=NEEDS_PICTURE).order_by("-rank", "name")
    kinds = {"chat": Q(type=CHAT), "video": Q(type=VIDEO), "skipped": Q(type=ModelFolder.Type.UNSERVED)}
    return ModelFolder.objects.aggregate(
        served=Count("id", filter=~Q(type=ModelFolder.Type.UNSERVED)),
        **{kind: Count("name", filter=of, distinct=True) for kind, of in kinds.items()},
        demo=Max(Subquery(demos.values("name")[:1])),
    )


def recent(request: HttpRequest) -> dict[str, Any]:
    return {"requests": list(visible_requests(request.user).defer("body")[:RECENT])}


def look(request: HttpRequest) -> Iterable[Concern]:
    if not found(request)["served"]:
        text = _("No model was found. Put one into the models folder, or install the demo models.")
        yield Concern("warning", text, reverse("models"), "manage.py makedemo")


PARTS.append(Part("home/_models.html", 30, SEE, read, live="/ws/models/"))
PARTS.append(Part("home/_requests.html", 50, "", recent, live="/ws/requests/"))
WATCHES.append(Watch(SEE, look))
