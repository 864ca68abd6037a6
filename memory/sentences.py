"""What is written down for people: in English, and as names and figures, to be read in the reader's language later.

Each app adds its sentences to `SENTENCES`. Figures that are sizes, in bytes, are named in `SIZES`.
"""

from typing import Any, Self

from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

Part = dict[str, Any]  # {"say": name, figure: value…}, or {"say": TEXT, "text": …} for what was said in plain words
TEXT = "text"
SIZES = frozenset(
    {"wanted", "most", "free", "ceiling", "held", "lease", "tolerance", "pinned", "kept"}
    | {"leased", "missing", "coming", "need"}
)
MOST_DIGITS = 6  # of a GiB: a kibibyte
SENTENCES: dict[str, str | Promise] = {
    "no_room": _("%(wanted)s is needed, and %(free)s of the %(ceiling)s ceiling is not promised to others."),
    "never_fits": _("%(wanted)s is needed, and this machine can promise %(ceiling)s at most."),
    "room_pinned": _(
        "%(wanted)s is needed, and pinned models hold %(pinned)s of the %(ceiling)s there is: unpin or unload one"
        " of them."
    ),
    "kept_for": _("Of the rest %(kept)s is kept for %(who)s, which was overtaken %(times)s times."),
    "held_by": _("Held by %(who)s."),
    "over_lease": _(
        "The worker holds %(held)s, and its lease is %(lease)s with %(tolerance)s of tolerance: it was killed."
    ),
    "unreadable": _(
        "The memory of the worker could not be read %(times)s times in a row (%(why)s), so it cannot be kept inside its"
        " lease: it was ended."
    ),
    "over_time": _("The worker ran longer than the %(seconds)s s it was given: it was ended."),
    "silent": _(
        "The worker gave no sign of life for %(seconds)s s, and is heard every second when it is well: it was ended."
    ),
    "stalled": _("The worker reported no progress for %(seconds)s s, and %(limit)s s is the limit: it was ended."),
    "ceiling_is": _("The ceiling is %(ceiling)s."),
    "promised_too_much": _("%(leased)s is promised, %(missing)s more than there is; %(coming)s is given back."),
    "gate_shrunk": _(
        "The gate of %(holder)s gave smaller chunks %(times)s times; at last %(need)s would have been held, and its"
        " lease is %(lease)s."
    ),
    "gate_waited": _(
        "The gate of %(holder)s had work wait %(times)s times; at last %(need)s would have been held, and its lease is"
        " %(lease)s."
    ),
    "gate_refused": _(
        "The gate of %(holder)s refused work %(times)s times; at last %(need)s would have been held, and its lease is"
        " %(lease)s."
    ),
    "protocol": _("The worker said what the node does not understand. %(why)s"),
}


class Sentence(str):
    """English text, and in `parts` what it was made of."""

    parts: list[Part]

    @classmethod
    def of(cls, parts: list[Part]) -> Self:
        with translation.override("en"):
            made = cls(spelled(parts))
        made.parts = parts
        return made


def say(name: str, **figures: Any) -> Sentence:
    """The sentence of that name with these figures."""
    return Sentence.of([{"say": name, **figures}])


def join(*texts: str) -> Sentence:
    """One after another."""
    return Sentence.of([part for text in texts for part in parts_of(text)])


def read(text: str) -> str:
    """What was said, in the language that is active; what was said in plain words as it is."""
    return spelled(parts_of(text))


def parts_of(text: str) -> list[Part]:
    if isinstance(text, Sentence):
        return text.parts
    return [{"say": TEXT, "text": text}] if text else []


def spell(parts: list[Part]) -> list[tuple[str, Part]]:
    """Each part in the language that is active; one whose name is no sentence's is a text itself."""
    return [(_spell(part), part) for part in parts]


def spelled(parts: list[Part]) -> str:
    return " ".join(text for text, _part in spell(parts))


def _spell(part: Part) -> str:
    if part["say"] == TEXT:
        return str(part["text"])
    return str(SENTENCES.get(part["say"]) or gettext(part["say"])) % (part | _sizes(part))


def _sizes(part: Part) -> dict[str, str]:
    """As text, with the digits it takes to tell them apart: “1.16 GiB is more than 1.16 GiB” explains nothing."""
    sizes = {name: value for name, value in part.items() if name in SIZES}
    for digits in range(2, MOST_DIGITS + 1):
        told = {name: gib(size, digits) for name, size in sizes.items()}
        if len(set(told.values())) == len(set(sizes.values())):
            break
    return told


def gib(size: int, digits: int = 2) -> str:
    return f"{size / 1024**3:.{digits}f} GiB"
