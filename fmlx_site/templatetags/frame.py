"""What every page has around its content."""

from typing import Any

from django import template

from fmlx_site.models import Profile
from fmlx_site.navigation import Section, sections

register = template.Library()


@register.simple_tag(takes_context=True)
def navigation(context: template.Context) -> list[Section]:
    request: Any = context.get("request")
    user = getattr(request, "user", None)  # a page of the API's handler has none
    return sections(request) if user is not None and user.is_authenticated else []


@register.simple_tag(takes_context=True)
def theme(context: template.Context) -> str:
    """Light or dark, as this browser was told; empty: as the system has it."""
    request: Any = context.get("request")
    chosen = request.COOKIES.get("fmlx_theme", "") if request is not None else ""
    return chosen if chosen in Profile.Theme.values else ""
