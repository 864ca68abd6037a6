"""Names of kinds and events as the page shows them, and what its script says. {0}, {1} are filled in by the script."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from memory.models import Event

Word = str | Promise

IDLE = " (idle)"  # behind the name of a model whose worker waits for the next job

KINDS: dict[str, Word] = {"generator": _("generator"), "engine": _("engine")}

DECISIONS: dict[str, Word] = {
    "shrunk": _("smaller chunks"),
    "waited": _("had to wait"),
    "refused": _("refused"),
}

SENTENCES: dict[str, Word] = {
    "time": _("When"),
    "used": _("In use by everybody"),
    "leased": _("Promised"),
    "ceiling": _("Ceiling"),
    "cap": _("Hard cap"),
    "merged": _("{0} others ({1})"),
    "idle": _("idle"),
    "pause": _("Pause"),
    "resume": _("Go on"),
    "failed": _("The figures could not be fetched; they are tried again."),
}


def of_kind(kind: str) -> Word:
    return KINDS.get(kind, kind)


def of_holder(holder: str) -> str:
    return f"{holder.removesuffix(IDLE)} ({_('idle')})" if holder.endswith(IDLE) else holder


def of_decision(decision: str) -> Word:
    return DECISIONS.get(decision, decision)


def for_scripts() -> dict[str, Any]:
    return {"kind": KINDS, "what": dict(Event.What.choices), "say": SENTENCES, "status": {}, "phase": {}}
