"""Names of states, phases, events and errors as pages show them. The codes are the wire's; the words are translated."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

Word = str | Promise

STATUS: dict[str, Word] = {
    "queued": pgettext_lazy("video status", "Queued"),
    "in_progress": pgettext_lazy("video status", "In progress"),
    "completed": pgettext_lazy("video status", "Completed"),
    "failed": pgettext_lazy("video status", "Failed"),
}

PHASES: dict[str, Word] = {
    "queued": _("Waiting in the queue"),
    "paused": _("Paused"),
    "loading": _("Loading the model"),
    "encoding": _("Reading the prompt"),
    "conditioning": _("Reading what it starts from"),
    "denoising": _("Denoising"),
    "decoding": _("Decoding frames"),
    "muxing": _("Writing the file"),
    "verifying": _("Checking the file"),
    "upscaling": _("Making it larger"),
    "completed": _("Completed"),
    "failed": _("Failed"),
}

# Facts of a job's history and codes of its errors.
CODES: dict[str, Word] = {
    "accepted": _("Accepted"),
    "started": _("Started"),
    "completed": _("Completed"),
    "cancelled": _("Cancelled"),
    "requeued": _("Put back in the queue"),
    "paused": _("Paused"),
    "resumed": _("Resumed"),
    "went_on": _("Went on from where it was"),
    "prompt_extended": _("The prompt was made fuller"),
    "prompt_kept": _("The prompt was left as it was asked"),
    "input_missing": _("What the video starts from is not there any more"),
    "artifact_missing": _("Something that was made before is gone, and is made again"),
    "aborted": _("The worker was asked to stop"),
    "changed_hands": _("The job was given to another worker"),
    "server_restarted": _("The server was restarted"),
    "server_stopping": _("The server was stopped"),
    "memory_needed": _("Paused by itself: others took the memory"),
    "node_lost": _("The node was lost"),
    "node_error": _("The node failed"),
    "memory_lease_exceeded": _("The worker used more memory than it was promised"),
    "too_large_for_memory": _("The video needs more memory than this machine can promise"),
    "memory_pinned": _("Pinned models leave too little memory for the video"),
    "worker_stalled": _("The worker made no progress"),
    "job_timeout": _("The video took longer than this server allows"),
    "monitor_failed": _("The worker's memory could not be read"),
    "worker_crashed": _("The worker crashed"),
    "worker_error": _("The worker failed"),
    "worker_launch_failed": _("The worker did not start"),
    "lora_invalid": _("A LoRA does not fit the model"),
    "not_upscaled": _("It was not made larger"),
    "upscale_no_room": _("There was no room to make it larger"),
    "upscale_no_model": _("The model that makes it larger is not there"),
    "model_invalid": _("The model's files do not fit"),
    "output_invalid": _("The file that was made is not a whole video"),
}

TASKS: dict[str, Word] = {
    "remix": _("Remix of"),
    "edit": _("Edit of"),
    "extension": _("Continues"),
}

STEPS: dict[str, Word] = {
    "picture": _("First picture"),
    "last_picture": _("Last picture"),
    "clip": _("Earlier video"),
    "encode": _("Prompt embeddings"),
    "condition": _("What it starts from, encoded"),
    "denoise": _("Latents"),
    "decode": _("Raw frames"),
}

# What `static/js/videos.js` says; {0}, {1} are filled in by it.
SENTENCES: dict[str, Word] = {
    "step": _("step {0} of {1}"),
    "percent": _("{0}%"),
    "left": _("about {0} left"),
    "position": _("Number {0} in the queue"),
    "finished": _("Finished: {0}"),
    "failed": _("Failed: {0}"),
    "added": _("Added: {0}"),
    "chosen": _("The chosen picture, {0}"),
    "no_preview": _("{0} cannot be shown by this browser."),
    "take_away": _("Take it away"),
}


def of(code: str) -> Word:
    """The word for a code; the code itself where there is none, which is better than nothing."""
    return CODES.get(code, code)


def for_scripts() -> dict[str, Any]:
    return {"status": STATUS, "phase": PHASES, "say": SENTENCES}
