"""What a user who is no operator may be given: page by page, to see it and to do something on it."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import Permission, User
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Word = str | Promise


@dataclass(frozen=True, slots=True)
class Right:
    """A permission in words. Who has it needs `needs` too, which is to see what it is about."""

    permission: str
    word: Word
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    title: Word
    rights: tuple[Right, ...]


SEE = _("see it")
PAGES = (
    Page(_("Chat"), (Right("chat.add_conversation", _("talk to the models")),)),
    Page(
        _("Videos"),
        (
            Right("videos.view_videojob", SEE),
            Right("videos.add_videojob", _("make videos"), "videos.view_videojob"),
            Right("videos.change_videojob", _("cancel, pause and repeat them"), "videos.view_videojob"),
            Right("videos.delete_videojob", _("delete them"), "videos.view_videojob"),
            Right("videos.view_attempt", _("read their workers' logs"), "videos.view_videojob"),
        ),
    ),
    Page(
        _("Models"),
        (
            Right("inference.view_modelfolder", SEE),
            Right(
                "inference.change_modelsettings",
                _("load, unload and set them up, clear their cache"),
                "inference.view_modelfolder",
            ),
            Right("inference.change_modelfolder", _("add and remove folders"), "inference.view_modelfolder"),
        ),
    ),
    Page(_("Memory"), (Right("memory.view_lease", SEE),)),
    Page(_("Cache"), (Right("inference.view_modelsettings", SEE),)),
    Page(
        _("Keys, requests and usage"),
        (
            Right("inference.view_apikey", _("see everybody's")),
            Right("inference.add_apikey", _("make keys of their own")),
            Right("inference.change_apikey", _("change and revoke everybody's keys"), "inference.view_apikey"),
        ),
    ),
    Page(_("Logs"), (Right("fmlx_site.view_logs", SEE),)),
    Page(_("System"), (Right("memory.view_node", SEE),)),
    Page(
        _("Settings"),
        (
            Right("fmlx_site.view_storedoption", SEE),
            Right("fmlx_site.change_storedoption", _("change them"), "fmlx_site.view_storedoption"),
        ),
    ),
    Page(_("Audit"), (Right("fmlx_site.view_change", SEE),)),
)
RIGHTS = {right.permission: right for page in PAGES for right in page.rights}
# Of a viewer: all that only looks.
VIEWER = frozenset(name for name in RIGHTS if name.partition(".")[2].startswith("view_"))


def completed(names: Iterable[str]) -> set[str]:
    """With what each of them needs."""
    given = set(names)
    return given | {RIGHTS[name].needs for name in given if RIGHTS[name].needs}


def rights_of(user: User) -> set[str]:
    """Those that were given to this very user, of the ones that are given here."""
    rows = user.user_permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows} & set(RIGHTS)


def rows_of(names: Iterable[str]) -> list[Permission]:
    wanted = set(names)
    apps = {name.partition(".")[0] for name in wanted}
    found = Permission.objects.filter(content_type__app_label__in=apps).select_related("content_type")
    return [row for row in found if f"{row.content_type.app_label}.{row.codename}" in wanted]
