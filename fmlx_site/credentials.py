"""The first operator and the first API key, made once."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from django.contrib.auth.models import User
from django.db import transaction

from fmlx_site.environment import Environment
from fmlx_site.models import Profile
from inference.models import ApiKey

OPERATOR = "admin"


@dataclass(frozen=True, slots=True)
class Credentials:
    username: str
    password: str
    api_key: str


def first_start(environment: Environment) -> Credentials | None:
    """Make the operator and a key if there is no user yet; None when there is one."""
    with transaction.atomic():
        if User.objects.exists():
            return None
        password = environment.admin_password or secrets.token_urlsafe(12)
        operator = User.objects.create_superuser(OPERATOR, password=password)
        Profile.objects.create(user=operator, password_was_made=not environment.admin_password)
        _key, secret = ApiKey.make("first key", operator, environment.api_key)
        made = Credentials(OPERATOR, password, secret)
        _keep(environment.home / "credentials.json", made)
    return made


def _keep(path: Path, credentials: Credentials) -> None:
    """Written whole or not at all, readable by nobody else from its first byte."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(asdict(credentials), stream, indent=2)
    draft.rename(path)
