"""The pages that the navigation leads to. Each app declares its own in its `places.py`, which is found by itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Group(Enum):
    """In the order they are shown in."""

    USE = _("Use")
    WATCH = _("Watch")
    MANAGE = _("Manage")


@dataclass(frozen=True, slots=True)
class Place:
    """A page by its URL's name; what lies below its path belongs to it. Without a permission all users see it.

    `order` is its place within its group: leave gaps, so that others find room between two.
    """

    name: str
    title: str | Promise
    group: Group
    order: int
    permission: str = ""
    staff: bool = False

    def is_for(self, user: Any) -> bool:
        return (user.is_staff or not self.staff) and (not self.permission or user.has_perm(self.permission))


@dataclass(frozen=True, slots=True)
class Link:
    title: str | Promise
    url: str
    current: str = ""  # as `aria-current` has it: the page itself, or one below it


@dataclass(frozen=True, slots=True)
class Section:
    """A group and what a user may see of it. `key` is for element ids."""

    key: str
    title: str | Promise
    links: list[Link]


PLACES: dict[str, Place] = {}


def add(*places: Place) -> None:
    PLACES.update({place.name: place for place in places})


def sections(request: HttpRequest) -> list[Section]:
    """What the navigation shows to who asks; groups without a page are left out."""
    seen = sorted((place for place in PLACES.values() if place.is_for(request.user)), key=lambda one: one.order)
    urls = {place.name: reverse(place.name) for place in seen}
    here = _current(request.path, urls.values())
    made = []
    for group in Group:
        links = [_link(place, urls[place.name], here, request.path) for place in seen if place.group is group]
        if links:
            made.append(Section(group.name.lower(), group.value, links))
    return made


def _link(place: Place, url: str, here: str, path: str) -> Link:
    return Link(place.title, url, "" if url != here else "page" if url == path else "true")


def _current(path: str, urls: Iterable[str]) -> str:
    within = [url for url in urls if path == url or (url != "/" and path.startswith(url))]
    return max(within, key=len, default="")
