"""What can be set about the server itself."""

from django.utils.translation import gettext_lazy as _

from fmlx_site.options import Group, Option
from fmlx_site.units import IN_MIB, KIB

SERVER = Group("server", _("Server"), _("What holds for every request, and how much is logged."), 90)

BODY_MAX_BYTES = Option[int](
    "body_max_bytes",
    SERVER,
    _("Largest request"),
    _("A larger request body is refused with 413, before it is stored."),
    unit=IN_MIB,
    least=KIB,
    most=1024**4,
)
LOG_LEVEL = Option[str](
    "log_level",
    SERVER,
    _("Log level"),
    _("What is less important than this is not logged."),
    choices=[(name, name) for name in ("DEBUG", "INFO", "WARNING", "ERROR")],
    live=False,
)
