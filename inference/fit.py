"""Would this model fit, with room for a context of so many tokens? Answered with what a load asks for."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fmlx_site.errors import InvalidRequest
from fmlx_site.widgets import LongSelect
from inference.models import ModelFolder
from inference.pool import pool_here
from inference.resident import KIND
from inference.room import MOST_TOKENS, ContextNeed, context_need
from memory.fit import Wanted


class ContextForm(forms.Form):
    model = forms.ChoiceField(label=gettext_lazy("Model"), widget=LongSelect)
    tokens = forms.IntegerField(label=gettext_lazy("Context, tokens"), min_value=1, max_value=MOST_TOKENS, initial=8192)

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

    def wanted(self, form: forms.Form) -> Iterable[Wanted]:
        tokens = form.cleaned_data["tokens"]
        for folder in _folders().filter(name=form.cleaned_data["model"]).order_by("node__name"):
            if (folder.context_window or tokens) < tokens:
                text = _("%(model)s takes %(most)d tokens at most, by its own configuration.")
                figures = {"model": folder.name, "most": folder.context_window}
                raise InvalidRequest(text % figures, param="tokens")
            yield Wanted(folder.node_id, _need(folder).bytes(tokens), KIND, folder.name)

    def hint(self, form: forms.Form, node_id: int, most: int) -> str:
        folder = _folders().get(name=form.cleaned_data["model"], node=node_id)
        tokens = min(_need(folder).tokens(most), folder.context_window or MOST_TOKENS)
        if tokens <= 0:
            return _("Not even a short context of this model would fit.")
        return _("The longest context that would fit has %(tokens)d tokens.") % {"tokens": tokens}


def _need(folder: ModelFolder) -> ContextNeed:
    """By what its engine said of itself, if it runs in this process's node. Raises InvalidRequest."""
    pool = pool_here()
    entry = pool.entries.get(folder.name) if pool and pool.node.row.pk == folder.node_id else None
    try:
        return context_need(Path(folder.path), folder.node.backend, entry.known if entry else None)
    except (KeyError, OSError, ValueError) as error:
        text = _("The config.json of %(model)s does not say how large the model is: %(problem)s.")
        raise InvalidRequest(text % {"model": folder.name, "problem": error}, param="model") from error


def _folders() -> Any:
    return ModelFolder.objects.filter(type=ModelFolder.Type.CHAT).select_related("node")
