"""A chat model in this process, its weights widened to float32 as the engine does it on a CPU."""

from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
from mlx_lm import batch_generate, load

from demo_models.chat import trials
from demo_models.chat.conversation import Conversation, Json

THOUGHT_ENDS = "</think>\n\n"
BATCH = 32


@dataclass(frozen=True, slots=True)
class Prompt:
    messages: list[Json]
    tools: tuple[Json, ...] = ()
    thinking: bool = False

    @classmethod
    def of(cls, conversation: Conversation, *, thinking: bool) -> "Prompt":
        return cls(conversation.messages(), conversation.tools, thinking)


class Speaker:
    def __init__(self, folder: Path) -> None:
        self._model, self._tokenizer = load(str(folder))
        self._model.set_dtype(mx.float32)

    def answers(self, prompts: list[Prompt]) -> list[str]:
        """The likeliest ones, in order, with the thoughts if there are any."""
        encoded = [self._encode(prompt) for prompt in prompts]
        order = sorted(range(len(encoded)), key=lambda number: len(encoded[number]))
        found = [""] * len(encoded)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            asked = [encoded[number] for number in chosen]
            made = batch_generate(self._model, self._tokenizer, asked, max_tokens=trials.TOKENS)
            for number, text in zip(chosen, made.texts, strict=True):
                found[number] = text
        return found

    def _encode(self, prompt: Prompt) -> list[int]:
        return list(
            self._tokenizer.apply_chat_template(
                prompt.messages,
                tools=list(prompt.tools) or None,
                add_generation_prompt=True,
                enable_thinking=prompt.thinking,
            )
        )
