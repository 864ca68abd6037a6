"""The ceiling's arithmetic in words and numbers: each term, what it is made of, and which of them decides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from memory.sentences import gib

TIERS = {
    "safe": gettext_lazy("safe"),
    "balanced": gettext_lazy("balanced"),
    "aggressive": gettext_lazy("aggressive"),
    "custom": gettext_lazy("own figures"),
}


@dataclass(frozen=True, slots=True)
class Term:
    """`bytes` is None where this machine has no such term. `decides` marks the smallest, which is the ceiling."""

    name: str
    title: str
    bytes: int | None
    sentence: str
    decides: bool


def spell_out(terms: Mapping[str, Any]) -> list[Term]:
    """From a node's `ceiling_terms`, in the language that is active. Empty before the node's first reading."""
    if "total" not in terms.get("inputs", {}):
        return []
    made = [
        ("static", _("What the machine has"), _static(terms)),
        ("dynamic", _("What there is now"), _dynamic(terms)),
        ("device", _("What the accelerator takes"), _device(terms)),
    ]
    return [Term(name, title, terms[name], sentence, _decides(terms, name)) for name, title, sentence in made]


def _decides(terms: Mapping[str, Any], name: str) -> bool:
    known = [other for other in ("static", "dynamic", "device") if terms[other] is not None]
    return bool(known) and name == min(known, key=lambda other: terms[other])


def _static(terms: Mapping[str, Any]) -> str:
    inputs = terms["inputs"]
    figures = {"total": gib(inputs["total"]), "reserve": gib(inputs["reserve"]), "tier": TIERS[inputs["tier"]]}
    others = _("%(total)s of memory, less %(reserve)s kept for the system and others (tier “%(tier)s”).")
    group = _("%(total)s is the container's limit, less %(reserve)s kept for the system and others (tier “%(tier)s”).")
    own = inputs.get("own_limit")
    limit = "" if own is None else " " + _("The hard limit of the settings is %(own)s.") % {"own": gib(own)}
    return (group if inputs.get("limit") else others) % figures + limit


def _dynamic(terms: Mapping[str, Any]) -> str:
    inputs = terms["inputs"]
    return _(
        "Workers hold %(held)s, %(free)s is free, and %(share)d %% of the %(reclaimable)s that the system"
        " could take back from its caches is counted on; rounded down to 64 MiB."
    ) % {
        "held": gib(inputs["held"]),
        "free": gib(inputs["free"]),
        "share": round(inputs["reclaimable_share"] * 100),
        "reclaimable": gib(inputs["reclaimable"]),
    }


def _device(terms: Mapping[str, Any]) -> str:
    if terms["device"] is None:
        return _("No accelerator with memory of its own was found, so there is no such limit.")
    name = terms["inputs"].get("device_name") or _("The accelerator")
    return _("%(name)s takes %(size)s at most.") % {"name": name, "size": gib(terms["device"])}
