"""What can be set about language models on this server; a model's own settings come first."""

from django.utils.translation import gettext_lazy as _

from fmlx_site.options import Group, Option
from fmlx_site.units import COUNT, DAYS, MINUTES, SECONDS

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
