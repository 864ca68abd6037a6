from django.utils.translation import gettext_lazy as _

from fmlx_site.navigation import Group, Place, add

add(Place("chat", _("Chat"), Group.USE, 20, "chat.add_conversation"))
