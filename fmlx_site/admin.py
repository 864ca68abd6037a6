from typing import Any

from axes.models import AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fmlx_site import admin_filters  # noqa: F401 - registers them
from fmlx_site.models import Change, Profile, StoredOption

admin.site.site_header = admin.site.site_title = _("Administration of fmlx")
admin.site.index_title = _("What the database holds")
admin.site.enable_nav_sidebar = False
TO_SELECT = "Select this object for an action - {}"  # Django's own sentence, and its translations
for model in (User, Group, AccessLog, AccessFailureLog):  # the last two are not kept: AXES_DISABLE_ACCESS_LOG
    admin.site.unregister(model)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Looked at here; what changes it checks more than a single row, and writes the audit trail."""

    list_per_page = 25
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def action_checkbox(self, obj: Any) -> SafeString:
        """As Django's own, which renders a template for each row: a seventh of what a page costs."""
        named = gettext(TO_SELECT).format(obj)
        box = '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">'
        return format_html(box, ACTION_CHECKBOX_NAME, obj.pk, named)


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """Users are added and changed on the Users page."""

    list_display = ("username", "is_superuser", "is_active", "last_login", "date_joined")
    list_filter = ("is_superuser", "is_active")
    search_fields = ("username",)
    fields = ("username", "is_superuser", "is_active", "user_permissions", "last_login", "date_joined")


@admin.register(Profile)
class ProfileAdmin(ReadOnlyAdmin):
    list_display = ("user", "language", "theme", "password_was_made")
    list_filter = ("language", "theme", "password_was_made")
    search_fields = ("user__username",)
    list_select_related = ("user",)


@admin.register(Change)
class ChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "who", "what", "name", "old", "new", "source", "address")
    list_filter = ("what", "source", "at")
    search_fields = ("name", "who", "address")


@admin.register(StoredOption)
class StoredOptionAdmin(ReadOnlyAdmin):
    list_display = ("name", "value")
    search_fields = ("name",)
