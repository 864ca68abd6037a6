"""Would this video fit? Answered with the prediction that admits it."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from inference.models import ModelFolder
from videos.predictor import largest_size, predict


class FitForm(forms.Form):
    model = forms.ChoiceField(label=gettext_lazy("Model"))
    width = forms.IntegerField(label=gettext_lazy("Width, pixels"), min_value=16, max_value=16_384, initial=832)
    height = forms.IntegerField(label=gettext_lazy("Height, pixels"), min_value=16, max_value=16_384, initial=480)

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

    def wanted(self, form: forms.Form) -> Iterable[tuple[int, int]]:
        given = form.cleaned_data
        for folder in _folders().filter(name=given["model"]).order_by("node__name"):
            yield folder.node_id, predict(folder, given["width"], given["height"])

    def hint(self, form: forms.Form, node_id: int, most: int) -> str:
        given = form.cleaned_data
        folder = _folders().filter(name=given["model"], node=node_id).first()
        size = folder and largest_size(folder, given["width"], given["height"], most)
        return _("%(width)d × %(height)d would fit.") % {"width": size[0], "height": size[1]} if size else ""


def _folders() -> Any:
    return ModelFolder.objects.filter(type=ModelFolder.Type.VIDEO)
