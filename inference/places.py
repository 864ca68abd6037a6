from django.utils.translation import gettext_lazy as _

from fmlx_site.navigation import Group, Place, add

add(Place("keys", _("Keys"), Group.MANAGE, 10))
add(Place("requests", _("Requests"), Group.WATCH, 30))
add(Place("usage", _("Usage"), Group.WATCH, 40))
add(Place("cache", _("Cache"), Group.WATCH, 20, "inference.view_modelsettings"))
add(Place("models", _("Models"), Group.USE, 40, "inference.view_modelfolder"))
