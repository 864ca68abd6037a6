"""What the scripts of the Requests and Usage pages say."""

from typing import Any

from django.utils.translation import gettext_lazy as _

SENTENCES = {
    "time": _("When"),
    "requests": _("Requests"),
    "prompt": _("Tokens in"),
    "completion": _("Tokens out"),
    "pause": _("Pause"),
    "resume": _("Go on"),
}


def for_scripts() -> dict[str, Any]:
    return {"say": SENTENCES, "status": {}, "phase": {}}
