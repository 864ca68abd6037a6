from django.utils.translation import gettext_lazy as _

from fmlx_site.navigation import Group, Place, add

add(Place("memory", _("Memory"), Group.WATCH, 10, "memory.view_lease"))
