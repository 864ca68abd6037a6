"""What is said of engines, as sentences; those of memory are memory's own. After a colon comes why."""

from django.utils.translation import gettext_lazy as _

from memory import SENTENCES

SENTENCES.update(
    {
        "evicted_for": _("%(model)s was evicted: its memory is needed for %(whom)s."),
        "evicted_for_promised": _("%(model)s was evicted: its memory is needed for others, to whom it was promised."),
        "engine_silent": _("The engine of %(model)s was ended: it has been silent for over %(seconds)s s."),
        "engine_ended": _("The engine of %(model)s ended:"),
        "not_loaded": _("%(model)s could not be loaded:"),
        "folder_gone": _("%(model)s is not in this node's model folders any more."),
        "process_signal": _("its process was ended by signal %(signal)s"),
        "process_status": _("its process ended with status %(status)s"),
        "silent_for": _("it has been silent for over %(seconds)s s"),
    }
)
