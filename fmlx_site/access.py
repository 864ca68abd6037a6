"""Who may see a page."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_required, permission_required

View = TypeVar("View", bound=Callable[..., Any])


def allowed(permission: str) -> Callable[[View], View]:
    """Log in first; then a 403 for who may not."""

    def decorate(view: View) -> View:
        return login_required(permission_required(permission, raise_exception=True)(view))

    return decorate
