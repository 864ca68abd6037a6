from django.utils.translation import gettext_lazy as _

from fmlx_site.navigation import Group, Place, add

add(Place("videos", _("Videos"), Group.USE, 30, "videos.view_videojob"))
