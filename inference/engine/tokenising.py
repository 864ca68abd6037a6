"""A prompt as tokens and tokens as text, for who asks about nothing else. On the intake's threads."""

from collections.abc import Mapping
from typing import Any

from inference.engine.messages import Json, Refusal
from inference.engine.templates import Templates

MOST_IDS = 1_000_000  # 7 bytes each on a line of 64 MiB (memory/protocol.py), spellings beside them
MOST_CHARACTERS = 4_000_000  # 12 bytes each at most on that line


def tokenised(templates: Templates, message: Mapping[str, Any]) -> Json:
    """`count` and `context_limit`; `ids` and `strings` if they were asked for, or `text` of the given `tokens`.

    Raises:
        Refusal: 400, as for a prompt that is to be answered; but it may be longer than the context.
    """
    if "tokens" in message:
        text = templates.text(message["tokens"])
        if len(text) > MOST_CHARACTERS:
            raise Refusal(400, "invalid_value", f"This is over {MOST_CHARACTERS:,} characters.", param="tokens")
        return {"count": len(message["tokens"]), "context_limit": templates.context_limit, "text": text}
    ids = templates.prompt(message, templates.wish(message)).tokens
    found: Json = {"count": len(ids), "context_limit": templates.context_limit}
    if message.get("ids") is True:
        if len(ids) > MOST_IDS:
            text = f"The prompt has {len(ids):,} tokens; at most {MOST_IDS:,} are listed at once."
            raise Refusal(400, "invalid_value", text, param="prompt")
        found["ids"] = ids
    if message.get("strings") is True:
        found["strings"] = templates.strings(ids)
    return found
