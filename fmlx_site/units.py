"""In what people type and read the figures that are kept in bytes, seconds and shares."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

KIB, MIB, GIB = 1024, 1024**2, 1024**3


@dataclass(frozen=True, slots=True)
class Unit:
    """`scale` of what is kept make one of what is shown: 1 GiB is 1073741824 bytes. `fine` allows parts of it."""

    label: str | Promise
    scale: float
    fine: bool = True


COUNT = Unit("", 1, fine=False)
NUMBER = Unit("", 1)
IN_KIB = Unit("KiB", KIB)
IN_MIB = Unit("MiB", MIB)
IN_GIB = Unit("GiB", GIB)
IN_GB = Unit("GB", 10**9)
PIXELS = Unit(_("pixels"), 1, fine=False)
SECONDS = Unit(_("s"), 1)
MINUTES = Unit(_("min"), 60)
DAYS = Unit(_("days"), 86_400)
PERCENT = Unit("%", 0.01)
