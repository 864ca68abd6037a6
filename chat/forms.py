"""What is sent to a model, and with what."""

import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chat.conversations import Ask
from fmlx_site.widgets import LongSelect
from inference.catalog import Served

MOST_TOKENS = 2**31 - 1
TEMPLATES = ("chat_template.jinja", "tokenizer_config.json")
THINKING = (("", _("As the model does by itself")), ("on", _("On")), ("off", _("Off")))


class AskForm(forms.Form):
    model = forms.ChoiceField(label=_("Model"), widget=LongSelect)
    system = forms.CharField(
        label=_("System prompt"),
        required=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("What the model is told before the conversation begins."),
    )
    temperature = forms.FloatField(
        label=_("Temperature"), required=False, min_value=0, max_value=2, help_text=_("0 takes the likeliest word.")
    )
    top_p = forms.FloatField(
        label=_("Top-p"),
        required=False,
        min_value=0,
        max_value=1,
        help_text=_("The share of likely words to draw from."),
    )
    max_tokens = forms.IntegerField(
        label=_("Most tokens"),
        required=False,
        min_value=1,
        max_value=MOST_TOKENS,
        help_text=_("The answer is cut there."),
    )
    seed = forms.IntegerField(
        label=_("Seed"), required=False, min_value=0, max_value=2**63 - 1, help_text=_("The same one, the same answer.")
    )
    thinking = forms.ChoiceField(label=_("Thinking"), required=False, choices=THINKING)

    def __init__(self, *args: Any, models: list[Served], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.models = models
        choices: Any = self.fields["model"]
        choices.choices = [(one.name, shown(one)) for one in models]
        for name in ("temperature", "top_p"):
            self.fields[name].widget.attrs["step"] = "0.05"
        if not any(thinks(one) for one in models):
            del self.fields["thinking"]

    def ask(self) -> Ask:
        given = self.cleaned_data
        names = ("temperature", "top_p", "max_tokens", "seed")
        parameters = {name: given[name] for name in names if given[name] is not None}
        if given.get("thinking"):
            parameters["thinking"] = given["thinking"] == "on"
        return Ask(given["model"], given["system"].strip(), parameters)


class SayForm(forms.Form):
    text = forms.CharField(
        label=_("Message"), max_length=1_000_000, widget=forms.Textarea(attrs={"rows": 1}), strip=False
    )

    @classmethod
    def of(cls, data: QueryDict) -> Self:
        """What was written, or the example that was clicked."""
        return cls({"text": data.get("example") or data.get("text", "")})

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"].replace("\r\n", "\n")
        if not text.strip():
            raise forms.ValidationError(self.fields["text"].error_messages["required"], code="required")
        return text


class TitleForm(forms.Form):
    title = forms.CharField(label=_("Title"), max_length=200)


def initial(model: str, system: str, parameters: dict[str, Any]) -> dict[str, Any]:
    thinking = {True: "on", False: "off"}.get(parameters.get("thinking"), "")  # type: ignore[arg-type]
    return {**parameters, "model": model, "system": system, "thinking": thinking}


def is_demo(model: Served) -> bool:
    return model.folders[0].rank < 0


def shown(model: Served) -> str:
    return gettext("%(name)s (demo)") % {"name": model.name} if is_demo(model) else model.name


def thinks(model: Served) -> bool:
    """Its template can be told whether to think, as far as that can be read on this machine."""
    return any(_asks(f"{folder.path}/{name}") for folder in model.folders for name in TEMPLATES)


def _asks(path: str) -> bool:
    """A `Path` would cost more than the look: there may be a thousand models."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and _says(path, found.st_mtime_ns)


@lru_cache(maxsize=256)
def _says(path: str, changed_at: int) -> bool:
    return "enable_thinking" in Path(path).read_text(errors="replace")
