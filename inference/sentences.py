"""What is said of engines and downloads, as sentences; those of memory are memory's own. After a colon comes why."""

from django.utils.translation import gettext_lazy as _

from memory import SENTENCES

SENTENCES.update(
    {
        "evicted_for": _("%(model)s was evicted: its memory is needed for %(whom)s."),
        "evicted_for_promised": _("%(model)s was evicted: its memory is needed for others, to whom it was promised."),
        "engine_silent": _("The engine of %(model)s was ended: it has been silent for over %(seconds)s s."),
        "engine_ended": _("The engine of %(model)s ended:"),
        "not_loaded": _("%(model)s could not be loaded:"),
        "tried_again_in": _("It is tried again in %(seconds)s s at the earliest; this is why:"),
        "model_needs": _("%(model)s needs %(wanted)s, and %(free)s of %(ceiling)s is not promised to others."),
        "unload_or_wait": _("Unload a model, or try again when others are done."),
        "ends_soon": _("Expected to end in %(seconds)s s: %(whose)s. Try again then."),
        "model_beside_pinned": _(
            "%(model)s needs %(wanted)s, and pinned models, which are not evicted, hold %(pinned)s of %(ceiling)s."
            " Unpin or unload one of them."
        ),
        "node_unreachable": _(
            "The node “%(node)s” does not answer on this machine (%(why)s). Start it with “manage.py runworkers”;"
            " a node on another machine cannot be reached yet."
        ),
        "node_suspended": _(
            "The node “%(node)s” was heard of %(seconds)s s ago for the last time; it may be suspended."
        ),
        "folder_gone": _("%(model)s is not in this node's model folders any more."),
        "process_signal": _("its process was ended by signal %(signal)s"),
        "process_status": _("its process ended with status %(status)s"),
        "silent_for": _("it has been silent for over %(seconds)s s"),
        "download_no_repository": _("There is no repository %(repository)s at %(hub)s, or HF_TOKEN may not see it."),
        "download_no_revision": _("The repository %(repository)s has no revision %(revision)s."),
        "download_gated": _(
            "%(repository)s is given only to who has accepted its conditions at %(hub)s: accept them there, and start"
            " the server with the variable HF_TOKEN set to a token of that account."
        ),
        "download_unauthorized": _(
            "%(hub)s does not let this server have %(repository)s (HTTP %(status)s): look at the variable HF_TOKEN."
        ),
        "download_refused": _("%(hub)s refuses to give %(repository)s: HTTP %(status)s."),
        "download_unreachable": _(
            "%(hub)s cannot be reached. Look at the network and at the address of the hub in the settings, then try"
            " again."
        ),
        "download_no_model": _(
            "%(repository)s has no config.json, model_index.json or weights that this server could use."
        ),
        "download_no_room": _(
            "%(need)s more is needed on the disk, besides %(kept)s that stay free, and %(free)s are free."
        ),
        "download_damaged": _("What came of %(file)s is not what %(hub)s says it has. Try again: it is fetched anew."),
        "download_disk": _("It could not be written to the disk."),
        "download_there": _("There is something at %(path)s already. Move it away to download the model."),
        "download_no_runtime": _(
            "The %(runtime)s runtime, which downloads models, is not built here; “manage.py buildworker %(runtime)s”"
            " builds it."
        ),
        "download_ended": _("The process that downloads ended without a word; its log is %(log)s. Try again."),
    }
)
