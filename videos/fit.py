"""Would this video fit? Answered with the prediction that admits it."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fmlx_site.widgets import LongSelect
from inference.models import ModelFolder
from memory.fit import Wanted
from videos.predictor import largest_size, predict
from videos.schemas import CreateVideo
from videos.shape import Shape, shape_of


class FitForm(forms.Form):
    model = forms.ChoiceField(label=gettext_lazy("Model"), widget=LongSelect)
    width = forms.IntegerField(label=gettext_lazy("Width, pixels"), min_value=16, max_value=16_384, initial=832)
    height = forms.IntegerField(label=gettext_lazy("Height, pixels"), min_value=16, max_value=16_384, initial=480)
    frames = forms.IntegerField(label=gettext_lazy("Length, frames"), min_value=1, initial=81)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        names = _folders().order_by("name").values_list("name", flat=True).distinct()
        model: Any = self.fields["model"]
        model.choices = [(name, name) for name in names]


class VideoQuestion:
    name = "video"
    title = gettext_lazy("A video")

    def form(self, data: Any = None) -> forms.Form:
        return FitForm(data)

    def wanted(self, form: forms.Form) -> Iterable[Wanted]:
        for folder in _folders().filter(name=form.cleaned_data["model"]).order_by("node__name"):
            shape = _shape(form, folder)
            yield Wanted(folder.node_id, predict(folder, shape.width, shape.height, shape.frames))

    def hint(self, form: forms.Form, node_id: int, most: int) -> str:
        folder = _folders().get(name=form.cleaned_data["model"], node=node_id)
        shape = _shape(form, folder)
        size = largest_size(folder, shape.width, shape.height, shape.frames, most)
        return _("%(size)s would fit.") % {"size": f"{size[0]}x{size[1]}"} if size else ""


def _shape(form: forms.Form, folder: ModelFolder) -> Shape:
    """What would be made of the request. Raises InvalidRequest above a limit of this server."""
    asked = {name: form.cleaned_data[name] for name in ("width", "height", "frames")}
    return shape_of(CreateVideo(prompt="-", **asked), folder.pipeline, folder.defaults)


def _folders() -> Any:
    return ModelFolder.objects.filter(type=ModelFolder.Type.VIDEO).select_related("node")
