"""The one way to make and change users, each change with its line in the audit trail. No password goes in there."""

import secrets
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from fmlx_site.audit import Origin, What, record_change
from fmlx_site.models import Profile
from fmlx_site.users.rights import VIEWER, completed, rights_of, rows_of


class Role(models.TextChoices):
    OPERATOR = "operator", _("operator")
    VIEWER = "viewer", _("viewer")
    CHOSEN = "chosen", _("chosen rights")


def role_of(user: User) -> Role:
    if user.is_superuser:
        return Role.OPERATOR
    return Role.VIEWER if rights_of(user) == VIEWER else Role.CHOSEN


def make(username: str, role: str, rights: Iterable[str], origin: Origin) -> tuple[User, str]:
    """A user and the password made for them, which is shown now and never again."""
    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        user = User.objects.create_user(username, password=password)
        Profile.objects.create(user=user, password_was_made=True)
        _give(user, role, rights)
        record_change(What.USER, username, None, _facts(user), origin)
    return user, password


def change(user: User, role: str, rights: Iterable[str], origin: Origin) -> bool:
    """Whether anything was different. Raises ValidationError: no operator would be left, or it is oneself."""
    with transaction.atomic():
        kept = _locked(user)
        old = _facts(kept)
        if kept.is_superuser and role != Role.OPERATOR:
            _must_spare(kept, origin)
        _give(kept, role, rights)
        new = _facts(kept)
        if new == old:
            return False
        record_change(What.USER, kept.username, old, new, origin)
    return True


def close(user: User, origin: Origin) -> bool:
    """They cannot log in, and their keys are refused, until the account is opened again. Raises ValidationError."""
    with transaction.atomic():
        kept = _locked(user)
        _must_spare(kept, origin)
        return _switch(kept, origin, active=False)


def reopen(user: User, origin: Origin) -> bool:
    with transaction.atomic():
        return _switch(_locked(user), origin, active=True)


def new_password(user: User, origin: Origin) -> str:
    """In the place of the old one; who is logged in with that is logged out."""
    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        kept = _locked(user)
        kept.set_password(password)
        kept.save(update_fields=["password"])
        Profile.objects.update_or_create(user=kept, defaults={"password_was_made": True})
        record_change(What.USER, kept.username, None, {"password": "made anew"}, origin)
    return password


def _give(user: User, role: str, rights: Iterable[str]) -> None:
    user.is_superuser = user.is_staff = role == Role.OPERATOR
    user.save(update_fields=["is_superuser", "is_staff"])
    given = {Role.OPERATOR: frozenset(), Role.VIEWER: VIEWER}.get(Role(role))
    user.user_permissions.set(rows_of(completed(rights) if given is None else given))


def _switch(user: User, origin: Origin, *, active: bool) -> bool:
    if user.is_active == active:
        return False
    user.is_active = active
    user.save(update_fields=["is_active"])
    record_change(What.USER, user.username, {"closed": active}, {"closed": not active}, origin)
    return True


def _locked(user: User) -> User:
    """With all operators: two who depose each other at one time would leave none."""
    list(User.objects.select_for_update().filter(is_superuser=True))
    return User.objects.select_for_update().get(pk=user.pk)


def _must_spare(user: User, origin: Origin) -> None:
    if origin.user is not None and origin.user.pk == user.pk:
        raise ValidationError(_("You cannot take your own rights away; another operator can."))
    others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
    if user.is_superuser and not others.exists():
        raise ValidationError(_("This is the last operator; without one nobody could change anything here."))


def _facts(user: User) -> dict[str, Any]:
    role = role_of(user)
    return {"role": str(role), **({"rights": sorted(rights_of(user))} if role is Role.CHOSEN else {})}
