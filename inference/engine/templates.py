"""From messages to token ids: the chat template and the tokenizer. On the intake's threads, never the one computing."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from inference.engine import wish
from inference.engine.messages import Refusal
from inference.engine.parameters import invalid
from inference.engine.speech.marks import Marks
from inference.engine.speech.speech import Start
from inference.engine.turns import Turns
from inference.engine.wish import Wish


@dataclass(frozen=True, slots=True)
class Prompt:
    """`points`: how many of the tokens a later prompt may begin with too, as `turns` has it; `start`: how the answer
    begins."""

    tokens: list[int]
    points: tuple[int, ...] = ()
    start: Start = Start.TEXT
    thinks: bool = False  # a thought is to be expected


class Templates:
    """`tokenizer` is mlx-lm's wrapper of transformers' own."""

    def __init__(self, tokenizer: Any, marks: Marks, vocab_size: int, longest_token: int, context_limit: int) -> None:
        self._wrapper, self._tokenizer = tokenizer, tokenizer._tokenizer  # noqa: SLF001 - to see what it overrides
        self._marks = marks
        self._source = str(getattr(self._tokenizer, "chat_template", "") or "")
        self._vocab_size, self._longest_token, self._context_limit = vocab_size, longest_token, context_limit
        plain = type(self._tokenizer).encode is PreTrainedTokenizerBase.encode
        self._backend = getattr(self._tokenizer, "backend_tokenizer", None) if plain else None
        self._one_at_a_time = threading.Lock()  # a tokenizer that is Python promises nothing to two threads
        self._turns = Turns(self._render, lambda text: self._encode(text, "messages", special=False) if text else [])

    def prompt(self, message: Mapping[str, Any], asked: Wish) -> Prompt:
        """Raises Refusal: 400, saying what is wrong with it."""
        if message.get("kind") != "chat":
            return Prompt(self._completion(message))
        message = {**message, "tools": list(asked.shown), "template": self._options(message, asked)}
        text = self._render(message)
        tokens = self._encode(text, "messages", special=False)
        points = self._turns.points(message, text, len(tokens))
        return Prompt(tokens, points, self._start(message, text), self._thinks(asked))

    def wish(self, message: Mapping[str, Any]) -> Wish:
        """What is asked beside the messages. Raises Refusal: 400, also when the model has no such thing."""
        if message.get("kind") != "chat":
            return Wish()
        asked = wish.parse(message)
        if asked.shown and not self.knows_tools:
            what = "This model does not call tools, or writes its calls in a form that is not known here."
            raise Refusal(400, "unsupported_parameter", what, param="tools")
        if asked.wants_thought and self._marks.think_start is None:
            what = f"This model does not think before it answers; leave '{asked.place}' out."
            raise Refusal(400, "unsupported_parameter", what, param=asked.place)
        if asked.effort in wish.BUDGETS and asked.budget is None and not self.knows_effort:
            return replace(asked, budget=wish.BUDGETS[asked.effort])
        return asked

    def _options(self, message: Mapping[str, Any], asked: Wish) -> dict[str, Any]:
        """What the template is told of thinking and effort, beside what the client tells it."""
        options = message.get("template") or {}
        if not isinstance(options, dict) or RESERVED & options.keys():
            raise invalid("template", f"'template' must be an object without {', '.join(sorted(RESERVED))}.")
        own: dict[str, Any] = {}
        if asked.enabled is not None:
            own[ENABLE] = asked.enabled
        if asked.effort is not None and self.knows_effort:
            own["reasoning_effort"] = asked.effort
        return {**own, **options}

    def _thinks(self, asked: Wish) -> bool:
        """Those that can be told to think or not think unless they are told not to."""
        return asked.wants_thought or (asked.enabled is not False and ENABLE in self._source)

    @property
    def knows_effort(self) -> bool:
        return "reasoning_effort" in self._source

    @property
    def knows_tools(self) -> bool:
        return self._marks.parse is not None and ("tools" in self._source or not self._source)

    def _start(self, message: Mapping[str, Any], text: str) -> Start:
        begin, end = self._marks.think_start, self._marks.think_end
        if begin is None or end is None:
            return Start.TEXT
        if message.get("continue_final_message") is True:
            said = text.rpartition(end.text)[2]
            return Start.THINKING if begin.text in said else Start.TEXT
        if text.rstrip().endswith(begin.text):
            return Start.THINKING
        return Start.TEXT if text.rstrip().endswith(end.text) else Start.EITHER

    @property
    def context_limit(self) -> int:
        return self._context_limit

    def text(self, tokens: Any) -> str:
        """Raises Refusal for what are no tokens of this model."""
        ids = self._ids(tokens, "tokens")
        with self._one_at_a_time:
            return str(self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def strings(self, tokens: list[int]) -> list[str]:
        """Each as the tokenizer's vocabulary spells it."""
        with self._one_at_a_time:
            return [str(token) for token in self._tokenizer.convert_ids_to_tokens(tokens)]

    def _completion(self, message: Mapping[str, Any]) -> list[int]:
        kind = message.get("kind")
        if kind != "completion":
            raise invalid("kind", f"'kind' must be 'chat' or 'completion'; it is {kind!r}.")
        prompt = message.get("prompt")
        if isinstance(prompt, str):
            return self._encode(prompt, "prompt", special=message.get("add_special_tokens", True) is True)
        return self._ids(prompt)

    def _ids(self, prompt: Any, param: str = "prompt") -> list[int]:
        if not isinstance(prompt, list) or not all(type(token) is int for token in prompt):
            raise invalid(param, f"'{param}' must be a text or a list of token ids.")
        if wrong := next((token for token in prompt if not 0 <= token < self._vocab_size), None):
            raise invalid(param, f"Token id {wrong} is not of this model; its ids are 0 to {self._vocab_size - 1}.")
        return list(prompt)

    def _render(self, message: Mapping[str, Any]) -> str:
        if not self._wrapper.has_chat_template:
            raise Refusal(400, "no_chat_template", "This model has no chat template; use completions.", param="model")
        options = message["template"]
        messages = normalised(message.get("messages"))
        self._require_short_enough(sum(len(one["content"] or "") for one in messages), "messages")
        try:
            rendered = self._wrapper.apply_chat_template(
                messages,
                tools=message.get("tools") or None,
                tokenize=False,
                add_generation_prompt=message.get("add_generation_prompt", True) is True,
                continue_final_message=message.get("continue_final_message", False) is True,
                **options,
            )
        except (TemplateError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            text = f"The model's chat template does not take these messages: {error}"
            raise Refusal(400, "template_error", text, param="messages") from error
        return str(rendered)

    def _encode(self, text: str, param: str, *, special: bool) -> list[int]:
        self._require_short_enough(len(text), param)
        if self._backend is not None:  # of its methods, those for batches let other threads run meanwhile
            return list(self._backend.encode_batch_fast([text], add_special_tokens=special)[0].ids)
        with self._one_at_a_time:
            return list(self._tokenizer.encode(text, add_special_tokens=special))

    def _require_short_enough(self, characters: int, param: str) -> None:
        """Far too long a text is refused without spending seconds on finding out by how much it is."""
        least = characters // self._longest_token
        if least > self._context_limit:
            raise too_long(f"at least {least:,}", self._context_limit, param)


ENABLE = "enable_thinking"
RESERVED = frozenset(
    {"conversation", "messages", "tools", "tokenize", "add_generation_prompt", "continue_final_message", "return_dict"}
)


def too_long(prompt_tokens: int | str, limit: int, param: str) -> Refusal:
    count = f"{prompt_tokens:,}" if isinstance(prompt_tokens, int) else prompt_tokens
    return Refusal(
        400,
        "context_length_exceeded",
        f"This model's context is {limit:,} tokens, and the prompt has {count}. Shorten it so that at least one "
        "token is left for the answer.",
        param=param,
    )


def normalised(messages: Any) -> list[dict[str, Any]]:
    """Messages as chat templates expect them: contents as text, arguments of tool calls as objects."""
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "'messages' must be a list with at least one message.")
    return [_message(message, at) for at, message in enumerate(messages)]


def _message(message: Any, at: int) -> dict[str, Any]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise invalid("messages", f"messages[{at}] must be an object with a role.")
    clean = {**message, "content": _content(message.get("content"), at) or ""}
    if calls := message.get("tool_calls"):
        if not isinstance(calls, list):
            raise _no_calls(at)
        clean["tool_calls"] = [_call(call, at) for call in calls]
    return clean


def _content(content: Any, at: int) -> str | None:
    if content is None or isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    if not texts or len(texts) < len(parts):
        raise invalid("messages", f"messages[{at}].content must be a text or a list of text parts.")
    return "".join(texts)


def _call(call: Any, at: int) -> dict[str, Any]:
    if not isinstance(call, dict) or not isinstance(function := call.get("function"), dict):
        raise _no_calls(at)
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except ValueError:
            raise invalid("messages", f"messages[{at}] has a tool call whose arguments are not JSON.") from None
    return {**call, "function": {**function, "arguments": arguments}}


def _no_calls(at: int) -> Refusal:
    return invalid("messages", f"messages[{at}].tool_calls must be a list of objects with a function.")
