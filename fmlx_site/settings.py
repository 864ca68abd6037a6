"""Django's settings. Everything a user may change comes from `environment.py`."""

import os
import secrets
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from django.utils.translation import gettext_lazy as _

from fmlx_site.environment import read_environment
from fmlx_site.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
FMLX, FMLX_PROBLEMS = read_environment()
FMLX.home.mkdir(mode=0o700, parents=True, exist_ok=True)


def _secret_key(path: Path) -> str:
    """One key per home, made at the first start; two processes starting together agree on the first one written."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


SECRET_KEY = _secret_key(FMLX.home / "secret_key")
DEBUG = False
ALLOWED_HOSTS = FMLX.allowed_hosts.split(",")
SITE_ID = 1
ROOT_URLCONF = "fmlx_site.urls"
ASGI_APPLICATION = "fmlx_site.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    *(["daphne"] if "runserver" in sys.argv else []),  # only that uses it, and its twisted is slow to import
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "channels",
    "django_htmx",
    "ninja",
    "fmlx_site",
    "memory",
    "inference",
    "webhooks",
    "videos",
    "chat",
]

# The stock handler's stack, for pages; /v1 runs without middleware (asgi.py).
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "fmlx_site.policy.ContentPolicy",
    "axes.middleware.AxesMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _database(url: str) -> dict[str, Any]:
    config: dict[str, Any] = {**dj_database_url.parse(url or f"sqlite:///{FMLX.home / 'fmlx.sqlite3'}")}
    if config["ENGINE"] == "django.db.backends.sqlite3":
        # FULL, not NORMAL: a job that was accepted is still there after a kernel panic.
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
        # In memory, SQLite locks whole tables between threads and never waits: tests use a file as the server does.
        config["TEST"] = {"NAME": FMLX.home / "test.sqlite3"}
    else:
        config |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    return config


DATABASES = {"default": _database(FMLX.database_url)}

CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [FMLX.redis_url]},
    }
    if FMLX.redis_url
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "fmlx_site.backends.ProfileBackend"]
# Who fails to log in so often as one user from one address has to wait. The right password ends the count.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=10)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "locked_out.html"
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True  # who logged in when is not kept
AXES_VERBOSE = False

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
SESSION_COOKIE_NAME = "fmlx_session"
SESSION_COOKIE_AGE = 7 * 86_400  # then a user logs in again
CSRF_COOKIE_NAME = "fmlx_csrf"
X_FRAME_OPTIONS = "DENY"

DATA_UPLOAD_MAX_MEMORY_SIZE = None  # both handlers refuse what is larger than the option body_max_bytes (lean.py)
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024**2

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Chinese")), ("ru", _("Russian"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [
    BASE_DIR / "static",
    ("vendor/htmx", BASE_DIR / "node_modules" / "htmx.org" / "dist"),
    ("vendor/alpine", BASE_DIR / "node_modules" / "@alpinejs" / "csp" / "dist"),
    ("vendor/uplot", BASE_DIR / "node_modules" / "uplot" / "dist"),
    ("vendor/markdown-it", BASE_DIR / "node_modules" / "markdown-it" / "dist" / "browser"),
    ("vendor/dompurify", BASE_DIR / "node_modules" / "dompurify" / "dist"),
]

SILENCED_SYSTEM_CHECKS = ["staticfiles.W004"]  # fmlx.W003 says it with the command that mends it

LOGGING = logging_config(FMLX.log_level, readable=sys.stderr.isatty())
