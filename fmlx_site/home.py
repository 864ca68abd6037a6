"""The Home page's parts and what it warns of. Each app declares its own in its `home.py`, which is found by itself."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

Text = str | Promise
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """A section of the page: a template, and what it is rendered with."""

    template: str
    order: int
    permission: str
    read: Callable[[HttpRequest], dict[str, Any]]
    live: str = ""  # the path of a socket whose events change it


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that a person should know. `url` leads to where it is mended or explained."""

    level: Literal["bad", "warning"]
    text: Text
    url: str = ""
    command: str = ""  # what mends it, to be typed on the server


@dataclass(frozen=True, slots=True)
class Watch:
    """Looks for concerns; for who has the permission."""

    permission: str
    look: Callable[[HttpRequest], Iterable[Concern]]


PARTS: list[Part] = []
WATCHES: list[Watch] = []


def parts(request: HttpRequest) -> list[tuple[str, dict[str, Any]]]:
    """Template and context of each part that who asks may see."""
    seen = [part for part in PARTS if _may(request, part.permission)]
    return [(part.template, part.read(request)) for part in sorted(seen, key=lambda part: part.order)]


def sockets(request: HttpRequest) -> list[str]:
    return sorted({part.live for part in PARTS if part.live and _may(request, part.permission)})


def concerns(request: HttpRequest) -> list[Concern]:
    """The worst first."""
    found = [one for watch in WATCHES if _may(request, watch.permission) for one in watch.look(request)]
    return sorted(found, key=lambda one: one.level != "bad")


def once(request: HttpRequest, name: str, read: Callable[[], T]) -> T:
    """What a part and a watch both ask for is read once for a page."""
    kept: dict[str, Any] = request.__dict__.setdefault("_home", {})
    if name not in kept:
        kept[name] = read()
    return cast("T", kept[name])


def _may(request: HttpRequest, permission: str) -> bool:
    return not permission or request.user.has_perm(permission)


def _made_password(request: HttpRequest) -> Iterable[Concern]:
    profile = getattr(request.user, "profile", None)
    if profile and profile.password_was_made:
        yield Concern("warning", _("Your password is still the one that the server made."), reverse("password"))


WATCHES.append(Watch("", _made_password))
