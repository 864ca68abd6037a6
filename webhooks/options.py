"""What can be set about webhooks."""

from django.utils.translation import gettext_lazy as _

from fmlx_site.options import Group, Option
from fmlx_site.units import DAYS, SECONDS

WEBHOOKS = Group("webhooks", _("Webhooks"), _("How patiently receivers are told of what happened."), 50)

TIMEOUT_SECONDS = Option[float](
    "webhook_timeout_seconds",
    WEBHOOKS,
    _("Longest answer"),
    _("A receiver that has not answered after so long is tried again."),
    unit=SECONDS,
    least=0.1,
    most=600.0,
)
BACKOFF_SECONDS = Option[float](
    "webhook_backoff_seconds",
    WEBHOOKS,
    _("Wait before the second try"),
    _("It doubles with each further one, up to 4 hours."),
    unit=SECONDS,
    least=0.0,
    most=3600.0,
)
TRY_SECONDS = Option[float](
    "webhook_try_seconds",
    WEBHOOKS,
    _("Try for"),
    _("Then a message is given up, and can be sent again by hand."),
    unit=DAYS,
    least=0.0,
    most=366 * 86_400.0,
)
