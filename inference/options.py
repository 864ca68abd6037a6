"""What can be set about language models on this server; a model's own settings come first."""

from django.utils.translation import gettext_lazy as _

from fmlx_site.options import Group, Option
from fmlx_site.units import MINUTES, SECONDS

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
