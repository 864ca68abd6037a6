"""Who may see a page."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_required, permission_required, user_passes_test
from django.core.exceptions import PermissionDenied

View = TypeVar("View", bound=Callable[..., Any])


def allowed(permission: str) -> Callable[[View], View]:
    """Log in first; then a 403 for who may not."""

    def decorate(view: View) -> View:
        return login_required(permission_required(permission, raise_exception=True)(view))

    return decorate


def operators_only(view: View) -> View:
    """Log in first; then a 403 for who is no operator."""
    return login_required(user_passes_test(_is_operator)(view))


def _is_operator(user: Any) -> bool:
    if not user.is_superuser:
        raise PermissionDenied
    return True
