"""What can be set about language models on this server; a model's own settings come first."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fmlx_site.options import Group, Option, Values
from fmlx_site.units import COUNT, DAYS, GIB, IN_GB, IN_MIB, MIB, MINUTES, NUMBER, SECONDS

CHAT = Group("chat", _("Chat models"), _("How long a model stays in memory, and a prompt waits for it."), 20)

IDLE_SECONDS = Option[float](
    "engine_idle_seconds",
    CHAT,
    _("Unload after"),
    _("A model that nobody used for so long is unloaded; 0 keeps it until its memory is needed."),
    unit=MINUTES,
    least=0.0,
    most=30 * 86_400.0,
)
PATIENCE_SECONDS = Option[float](
    "engine_patience_seconds",
    CHAT,
    _("Patience of a prompt"),
    _("A prompt that does not fit now is refused with 503 after so long. For models loaded from now on."),
    unit=SECONDS,
    least=0.0,
    most=3600.0,
)

WORK_BYTES = Option[int](
    "engine_work_bytes",
    CHAT,
    _("Room to work"),
    _("Promised to a model besides its weights when it is loaded; more is asked for with use."),
    unit=IN_MIB,
    least=16 * MIB,
    most=1024 * GIB,
)
FALLBACK_MODEL = Option[str](
    "fallback_model",
    CHAT,
    _("In place of unknown models"),
    _("The model that answers requests which name one that is not here. Empty: they are refused with 404."),
)

CACHE = Group("cache", _("Cache"), _("What is kept of prompts, so that the next one that begins alike is quicker."), 25)

CACHE_BYTES = Option[int](
    "cache_bytes",
    CACHE,
    _("On disk at most"),
    _("Never more than a tenth of what is free besides it. 0 keeps prompts in memory only. From the next load on."),
    unit=IN_GB,
    least=0,
    most=2**50,
)

SAMPLING = Group(
    "sampling",
    _("Sampling"),
    _("How answers are drawn where neither the request nor the model's own settings say."),
    28,
)

TEMPERATURE = Option[float | None](
    "sampling_temperature",
    SAMPLING,
    _("Temperature"),
    _("0 always takes the likeliest token; more is more surprising. Empty: 1."),
    unit=NUMBER,
    least=0,
    most=2,
    whole=False,
)
TOP_P = Option[float | None](
    "sampling_top_p",
    SAMPLING,
    _("Top p"),
    _("Only the likeliest tokens that together have this probability. Empty: all."),
    unit=NUMBER,
    least=0,
    most=1,
    whole=False,
)
TOP_K = Option[int | None](
    "sampling_top_k",
    SAMPLING,
    _("Top k"),
    _("Only so many of the likeliest tokens. Empty: all."),
    unit=COUNT,
    least=0,
    most=2**31 - 1,
    whole=True,
)
MIN_P = Option[float | None](
    "sampling_min_p",
    SAMPLING,
    _("Min p"),
    _("Only tokens with this share of the likeliest one's probability. Empty: all."),
    unit=NUMBER,
    least=0,
    most=1,
    whole=False,
)
REPETITION_PENALTY = Option[float | None](
    "sampling_repetition_penalty",
    SAMPLING,
    _("Repetition penalty"),
    _("Above 1, what was said already becomes less likely. Empty: 1."),
    unit=NUMBER,
    least=0.01,
    most=10,
    whole=False,
)
MAX_TOKENS = Option[int | None](
    "sampling_max_tokens",
    SAMPLING,
    _("Longest answer, tokens"),
    _("Empty: as far as the context reaches."),
    unit=COUNT,
    least=1,
    most=2**31 - 1,
    whole=True,
)
DEFAULT_SAMPLING: dict[str, Option[Any]] = {
    "temperature": TEMPERATURE,
    "top_p": TOP_P,
    "top_k": TOP_K,
    "min_p": MIN_P,
    "repetition_penalty": REPETITION_PENALTY,
    "max_tokens": MAX_TOKENS,
}


def sampling_defaults() -> dict[str, Any]:
    """What holds for a request that does not say and a model that has nothing of its own, as in a body."""
    return {name: option.value for name, option in DEFAULT_SAMPLING.items() if option.value is not None}


def _check_hub(values: Values) -> Iterator[tuple[str, str]]:
    if not is_address(values["hub_endpoint"]):
        yield "hub_endpoint", gettext("Give a whole address that begins with https:// or http://.")


def is_address(text: str) -> bool:
    """Of a server, with no name or password in it."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
        )
    except ValueError:
        return False


HUB = Group("hub", _("Hub"), _("Where models are downloaded from, and how."), 26, _check_hub)

HUB_ENDPOINT = Option[str](
    "hub_endpoint",
    HUB,
    _("Address of the hub"),
    _("Hugging Face, or a mirror of it. The token, which only the variable HF_TOKEN sets, is sent there."),
)
HUB_DISABLE_XET = Option[bool](
    "hub_disable_xet",
    HUB,
    _("Without Xet"),
    _("Plain HTTP is often slower, and goes on in the middle of a file after a break. For downloads from now on."),
)

PRIVACY = Group("requests", _("Requests"), _("What is kept of the requests to the API, and who may ask."), 40)

ANONYMOUS = Option[str](
    "anonymous_access",
    PRIVACY,
    _("Without a key"),
    _("Programs of this very machine may ask without an API key. Who comes over a network always needs one."),
    choices=[("off", _("refused")), ("loopback", _("from this machine"))],
    weaker=lambda values: values["anonymous_access"] != "off",
)
KEEP_BODIES = Option[str](
    "log_bodies",
    PRIVACY,
    _("Prompts in the request log"),
    _("What was sent, prompts included, is kept with each request; else only its figures."),
    default="off",
    choices=[("off", _("not kept")), ("on", _("kept"))],
    weaker=lambda values: values["log_bodies"] != "off",
)
LOG_KEEP_SECONDS = Option[float](
    "log_keep_seconds",
    PRIVACY,
    _("Keep requests for"),
    _("Older ones are removed from the request log."),
    default=30 * 86_400.0,
    unit=DAYS,
    least=3600.0,
    most=3650 * 86_400.0,
)
LOG_KEEP_COUNT = Option[int](
    "log_keep_count",
    PRIVACY,
    _("Keep so many requests"),
    _("The oldest beyond this are removed from the request log."),
    default=100_000,
    unit=COUNT,
    least=100,
    most=100_000_000,
)
USAGE_KEEP_SECONDS = Option[float](
    "usage_keep_seconds",
    PRIVACY,
    _("Keep sums of usage for"),
    _("Requests and tokens by key, model and hour; they are small, and outlive the requests."),
    default=400 * 86_400.0,
    unit=DAYS,
    least=86_400.0,
    most=3650 * 86_400.0,
)
RESPONSES_KEEP_SECONDS = Option[float](
    "responses_keep_seconds",
    PRIVACY,
    _("Keep responses for"),
    _("What /v1/responses stored, prompts included, is removed after so long."),
    default=30 * 86_400.0,
    unit=DAYS,
    least=3600.0,
    most=3650 * 86_400.0,
)
RESPONSES_KEEP_COUNT = Option[int](
    "responses_keep_count",
    PRIVACY,
    _("Keep so many responses"),
    _("The oldest beyond this are removed; no conversation can go on from one that was."),
    default=10_000,
    unit=COUNT,
    least=10,
    most=10_000_000,
)
