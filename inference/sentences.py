"""What is written on memory's timeline about engines, as sentences; those of memory are memory's own."""

from django.utils.translation import gettext_lazy as _

from memory import SENTENCES

SENTENCES.update(
    {
        "evicted_for": _("%(model)s was evicted: its memory is needed for %(whom)s."),
        "evicted_for_promised": _("%(model)s was evicted: its memory is needed for others, to whom it was promised."),
        "engine_silent": _("The engine of %(model)s was ended: it has been silent for over %(seconds)s s."),
    }
)
