"""Why a job waits, what happened to it and why it failed, as sentences; those of memory are memory's own."""

from django.utils.translation import gettext_lazy as _

from memory import SENTENCES

SENTENCES.update(
    {
        "clip_needs": _("A %(size)s clip needs %(wanted)s and %(most)s is the most this machine can promise."),
        "size_fits": _("%(size)s would fit."),
        "no_size_fits": _("No size of this model would fit."),
        "runtime_not_built": _(
            "The %(runtime)s runtime is not built on this node; run 'manage.py buildworker %(runtime)s' there."
        ),
        "no_such_model": _("No running node has this model; it starts when the model's folder is back."),
        "attempt": _("Attempt %(number)s."),
        "tried_again": _("It is tried again."),
        "last_attempt": _("It was attempt %(number)s, the last one allowed."),
        "cancelled": _("The job was cancelled."),
        "stopped_before": _("The server was stopped before the job began."),
        "stopped_while": _("The server was stopped while the job ran."),
        "restarted_while": _("The server was restarted while the job ran."),
        "memory_needed": _("Others took memory that was promised to the job; it goes on when there is room again."),
        "paused_waits": _("It was paused, and goes on when it is resumed."),
        "was_denoising": _("It was denoising, step %(step)s of %(total)s; what was computed is kept."),
        "was_decoding": _("It was decoding, slice %(step)s of %(total)s; the latents that were computed are kept."),
        "prompt_waits": _("A chat model makes its prompt fuller first."),
        "prompt_extended": _("A chat model made the prompt fuller; what was asked is kept."),
        "went_on": _("%(done)s of %(total)s denoise steps were done before."),
        "raw_is_kept": _("The video was not made larger and is kept as it is."),
        "no_such_upscaler": _("The node that made the video has no model %(model)s to make it larger with."),
        "no_room_to_upscale": _("No room came free to make it larger in."),
        "node_failed": _("The node failed while it looked after the job; its log says why."),
        "node_silent": _("The node that ran the job has not been heard of."),
        "ended_by_signal": _("The worker ended with signal %(signal)s before it finished."),
        "ended_with_status": _("The worker ended with status %(status)s before it finished."),
    }
)
