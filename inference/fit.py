"""Would this model fit, with room for a context of so many tokens? Answered with what a load asks for."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from inference.models import ModelFolder
from inference.room import ContextNeed, context_need

MOST_TOKENS = 100_000_000


class ContextForm(forms.Form):
    model = forms.ChoiceField(label=gettext_lazy("Model"))
    tokens = forms.IntegerField(
        label=gettext_lazy("Context, tokens"), min_value=1, max_value=MOST_TOKENS, initial=8192
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        names = _folders().order_by("name").values_list("name", flat=True).distinct()
        model: Any = self.fields["model"]
        model.choices = [(name, name) for name in names]


class ModelQuestion:
    name = "model"
    title = gettext_lazy("A chat model")

    def form(self, data: Any = None) -> forms.Form:
        return ContextForm(data)

    def wanted(self, form: forms.Form) -> Iterable[tuple[int, int]]:
        tokens = form.cleaned_data["tokens"]
        for folder in _folders().filter(name=form.cleaned_data["model"]).order_by("node__name"):
            if (folder.context_window or tokens) < tokens:
                text = _("%(model)s takes %(most)d tokens at most, by its own configuration.")
                form.add_error("tokens", text % {"model": folder.name, "most": folder.context_window})
                return
            yield folder.node_id, _need(folder).bytes(tokens)

    def hint(self, form: forms.Form, node_id: int, most: int) -> str:
        folder = _folders().get(name=form.cleaned_data["model"], node=node_id)
        tokens = min(_need(folder).tokens(most), folder.context_window or MOST_TOKENS)
        if tokens <= 0:
            return _("Not even a short context of this model would fit.")
        return _("A context of %(tokens)d tokens would fit.") % {"tokens": tokens}


def _need(folder: ModelFolder) -> ContextNeed:
    return context_need(Path(folder.path), widened=folder.node.backend == "cpu")


def _folders() -> Any:
    return ModelFolder.objects.filter(type=ModelFolder.Type.CHAT).select_related("node")
