"""What the Models page's script says. {0}, {1} are filled in by it."""

from typing import Any

from django.utils.translation import gettext_lazy as _

SENTENCES = {
    "loading": _("{0}: loading"),
    "loaded": _("{0}: loaded"),
    "unloaded": _("{0}: not loaded any more"),
}


def for_scripts() -> dict[str, Any]:
    return {"status": {}, "phase": {}, "say": SENTENCES}
