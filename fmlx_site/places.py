from django.utils.translation import gettext_lazy as _

from fmlx_site.navigation import Group, Place, add

add(Place("home", _("Home"), Group.USE, 10))
add(Place("logs", _("Logs"), Group.WATCH, 60, "fmlx_site.view_logs"))
add(Place("system", _("System"), Group.WATCH, 70, "memory.view_node"))
add(Place("connect", _("Connect"), Group.MANAGE, 10))
add(Place("users", _("Users"), Group.MANAGE, 20, staff=True))
add(Place("settings", _("Settings"), Group.MANAGE, 30, "fmlx_site.view_storedoption"))
add(Place("audit", _("Audit"), Group.MANAGE, 40, "fmlx_site.view_change"))
add(Place("admin:index", _("Administration"), Group.MANAGE, 90, staff=True))
