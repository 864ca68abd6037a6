from django.utils.translation import gettext_lazy as _

from fmlx_site.navigation import Group, Place, add

add(Place("webhooks", _("Webhooks"), Group.MANAGE, 15))
