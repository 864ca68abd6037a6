"""What the page says of failures, with what to do, and what it proposes to ask."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Word = str | Promise

# By the code that the API has for it; what the engine said, with its figures, stands below in English.
PROBLEMS: dict[str, Word] = {
    "context_too_large_for_memory": _(
        "This conversation is too large for the memory of this machine. Start a new one, shorten it, or ask for fewer "
        "tokens."
    ),
    "context_length_exceeded": _(
        "This conversation is longer than the model can read. Start a new one, or shorten what you wrote."
    ),
    "request_too_large": _("What you wrote is longer than an engine reads at once. Shorten it, or start a new one."),
    "no_room": _("There is no memory for this answer right now, because others are being made. Try again in a moment."),
    "queue_full": _("Too many requests wait for this model. Try again in a moment."),
    "no_room_for_model": _(
        "The model does not fit into the memory that is free now. Unload another on the Memory page, or try again when "
        "its work is done."
    ),
    "never_fits": _("The model is too large for the memory of this machine. Choose a smaller one."),
    "model_not_found": _("The model is not on this server any more. Choose another, and send again."),
    "wrong_model_type": _("The model does not answer prompts. Choose another, and send again."),
    "model_load_failed": _("The model could not be loaded. Choose another, or look into its log."),
    "engine_lost": _("The model's engine ended while it answered. What it had written is kept; answer again."),
    "node_unreachable": _("The node that has this model does not answer. Start it, or choose another model."),
    "interrupted": _("The server was ended while it answered. What it had written is kept; answer again."),
    "no_chat_template": _("The model has no chat template, so it cannot hold a conversation. Choose another."),
    "template_error": _("The model's chat template refuses this conversation. Change the system prompt, or the model."),
    "still_answering": _("The answer before this one is still being made. Wait for its end, or stop it."),
}
OTHERWISE = _("The answer could not be made. Try again; below is what the server said.")

# What the demo model was taught to answer, in each language.
EXAMPLES: tuple[Word, ...] = (
    _("What is fmlx?"),
    _("What is 7 plus 5?"),
    _("Count from 3 to 9."),
    _("Opposite of hot?"),
)

# What `static/js/chat.js` says; {0} and {1} are filled in by it.
SENTENCES: dict[str, Word] = {
    "copy": _("Copy"),
    "copied": _("Copied"),
    "answering": _("The model is answering."),
    "answered": _("The answer: {0}"),
    "loading": _("Loading the model: {0} %"),
    "waiting": _("Waiting for the model…"),
    "thinking": _("Thinking…"),
    "reading": _("Reading the prompt: {0} of {1} tokens"),
    "failed": _("The page could not reach the server; what you wrote is still here. Try again."),
    "tool": _("Tool call: {0}"),
}


def problem_of(problem: dict[str, Any]) -> Word:
    return PROBLEMS.get(problem.get("code") or "", OTHERWISE)
