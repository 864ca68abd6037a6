"""What a client may ask of the sampler, checked before anything reaches MLX. No MLX here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inference.engine.messages import Refusal

MAX_STOPS = 16
MAX_STOP_CHARACTERS = 1024
MAX_CHOICES = 16
MAX_TOP_LOGPROBS = 20  # OpenAI's limit
MAX_SALT_CHARACTERS = 256
MAX_BIAS = 100.0  # OpenAI's limit: enough to force or to ban a token
SEED_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Parameters:
    """`max_tokens` None means up to the context; `top_k` 0 means all tokens."""

    stream: bool = False
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    n: int = 1
    best_of: int = 0  # so many are made, and the `n` likeliest of them given; 0: just those
    logprobs: bool = False
    top_logprobs: int = 0
    cache: bool = True
    cache_salt: str = ""
    probe: bool = False  # only asks what of the prompt is cached

    @property
    def width(self) -> int:
        """Choices that are made."""
        return max(self.n, self.best_of)

    @property
    def scored(self) -> bool:
        """The likelihood of every token is needed."""
        return self.logprobs or self.best_of > self.n


def parse(message: Mapping[str, Any], defaults: Mapping[str, Any], vocab_size: int) -> Parameters:
    """The parameters of a request; `defaults` are the model's own, for what the client left out.

    Raises:
        Refusal: 400 invalid_value, naming the parameter.
    """
    given = {**defaults, **{name: value for name, value in message.items() if value is not None}}
    chosen = Parameters(
        stream=_flag(given, "stream"),
        max_tokens=_whole(given, "max_tokens", 1, 2**31) if "max_tokens" in given else None,
        temperature=_number(given, "temperature", 0, 2, 1.0),
        top_p=_number(given, "top_p", 0, 1, 1.0),
        top_k=max(0, _whole(given, "top_k", -1, 2**31, 0)),
        min_p=_number(given, "min_p", 0, 1, 0.0),
        repetition_penalty=_positive(given, "repetition_penalty", 10),
        presence_penalty=_number(given, "presence_penalty", -2, 2, 0.0),
        frequency_penalty=_number(given, "frequency_penalty", -2, 2, 0.0),
        logit_bias=_biases(given.get("logit_bias", {}), vocab_size),
        seed=_whole(given, "seed", -(2**63), SEED_MASK) & SEED_MASK if "seed" in given else None,
        stop=_stops(given.get("stop", ())),
        ignore_eos=_flag(given, "ignore_eos"),
        n=_whole(given, "n", 1, MAX_CHOICES, 1),
        best_of=_whole(given, "best_of", 1, MAX_CHOICES) if "best_of" in given else 0,
        logprobs=_flag(given, "logprobs"),
        top_logprobs=_whole(given, "top_logprobs", 0, MAX_TOP_LOGPROBS, 0),
        cache=_flag(given, "cache", default=True),
        probe=_flag(given, "probe"),
        cache_salt=_text(given, "cache_salt", MAX_SALT_CHARACTERS),
    )
    if chosen.best_of and (chosen.best_of < chosen.n or (chosen.stream and chosen.best_of > chosen.n)):
        raise invalid("best_of", "'best_of' must be at least 'n', and equal to it in a stream.")
    return chosen


def invalid(name: str, message: str) -> Refusal:
    return Refusal(400, "invalid_value", message, param=name)


def _flag(given: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise invalid(name, f"'{name}' must be true or false; it is {_shown(value)}.")
    return value


def _number(given: Mapping[str, Any], name: str, low: float, high: float, default: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise invalid(name, f"'{name}' must be a number from {low:g} to {high:g}; it is {_shown(value)}.")
    return float(value)


def _positive(given: Mapping[str, Any], name: str, high: float) -> float:
    value = _number(given, name, 0, high, 1.0)
    if value == 0:
        raise invalid(name, f"'{name}' must be above 0; 1 leaves the probabilities as they are.")
    return value


def _whole(given: Mapping[str, Any], name: str, low: int, high: int, default: int = 0) -> int:
    value: Any = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise invalid(name, f"'{name}' must be a whole number from {low} to {high}; it is {_shown(value)}.")
    return int(value)


def _text(given: Mapping[str, Any], name: str, longest: int) -> str:
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > longest:
        raise invalid(name, f"'{name}' must be a text of at most {longest} characters; it is {_shown(value)}.")
    return value


def _stops(value: Any) -> tuple[str, ...]:
    stops = (value,) if isinstance(value, str) else value
    if not isinstance(stops, list | tuple) or not all(isinstance(stop, str) for stop in stops):
        raise invalid("stop", f"'stop' must be a text or a list of texts; it is {_shown(value)}.")
    if len(stops) > MAX_STOPS or any(not 0 < len(stop) <= MAX_STOP_CHARACTERS for stop in stops):
        raise invalid("stop", f"'stop' takes up to {MAX_STOPS} texts of 1 to {MAX_STOP_CHARACTERS} characters each.")
    return tuple(stops)


def _biases(value: Any, vocab_size: int) -> dict[int, float]:
    if not isinstance(value, dict):
        raise invalid("logit_bias", f"'logit_bias' must be an object of token ids; it is {_shown(value)}.")
    return {_token_id(key, vocab_size): _bias(key, bias) for key, bias in value.items()}


def _token_id(key: Any, vocab_size: int) -> int:
    text = str(key)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(vocab_size)) and int(text) < vocab_size):
        raise invalid(
            "logit_bias", f"'logit_bias' names token {_shown(key)}; this model's tokens are 0 to {vocab_size - 1}."
        )
    return int(text)


def _bias(key: Any, bias: Any) -> float:
    if isinstance(bias, bool) or not isinstance(bias, int | float) or not math.isfinite(bias) or abs(bias) > MAX_BIAS:
        raise invalid("logit_bias", f"'logit_bias' of token {key} must be a number from -100 to 100.")
    return float(bias)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - what reads well in a sentence
