"""What can be set about the server itself, and about its logs."""

from django.utils.translation import gettext_lazy as _

from fmlx_site.options import Group, Option
from fmlx_site.units import IN_MIB, KIB, MIB

SERVER = Group("server", _("Server"), _("What holds for every request."), 90)

BODY_MAX_BYTES = Option[int](
    "body_max_bytes",
    SERVER,
    _("Largest request"),
    _("A larger request body is refused with 413, before it is stored."),
    unit=IN_MIB,
    least=KIB,
    most=1024**4,
)

LOGGING = Group(
    "logging", _("Logging"), _("What the processes of this server write down, and how much of it stays."), 80
)

LOG_LEVEL = Option[str](
    "log_level",
    LOGGING,
    _("Log level"),
    _("What is less important than this is not logged."),
    choices=[(name, name) for name in ("DEBUG", "INFO", "WARNING", "ERROR")],
    live=False,
)
LOG_FILE_BYTES = Option[int](
    "log_file_bytes",
    LOGGING,
    _("Largest log file"),
    _("A process that has written so much goes on in a new file."),
    default=8 * MIB,
    unit=IN_MIB,
    least=64 * KIB,
    most=1024**4,
    live=False,
)
LOG_FILES = Option[int](
    "log_files",
    LOGGING,
    _("Older log files"),
    _("So many are kept of each process besides the one that it writes."),
    default=3,
    least=0,
    most=1000,
    live=False,
)
