from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from fmlx_site import account, home_views, system_views, views
from fmlx_site.health import healthz, readyz
from fmlx_site.metrics import metrics
from inference.api import api, second_api
from inference.api.auth import needs
from inference.models import Scope
from memory.api import router as memory
from videos.api import router as videos
from videos.batch_api import router as batches
from videos.inputs.api import router as files
from videos.preset_api import lora_router as loras
from videos.preset_api import router as presets
from webhooks.api import router as webhooks

api.add_router("videos/batches", batches, auth=needs(Scope.VIDEOS))
api.add_router("videos/presets", presets, auth=needs(Scope.VIDEOS))
api.add_router("videos/loras", loras, auth=needs(Scope.VIDEOS))
api.add_router("videos", videos, auth=needs(Scope.VIDEOS))
api.add_router("files", files, auth=needs(Scope.VIDEOS))
api.add_router("webhooks", webhooks, auth=needs(Scope.VIDEOS))
api.add_router("memory", memory, auth=needs(Scope.METRICS))

urlpatterns = [
    path("", home_views.home, name="home"),
    path("home/parts/", home_views.parts, name="home-parts"),
    path("health", healthz),  # where vLLM, SGLang and llama.cpp have it, and load generators look
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("v1/", api.urls),
    path("v2/", second_api.urls),
    path("audit/", views.audit, name="audit"),
    path("cache/", include("inference.urls")),
    path("chat/", include("chat.urls")),
    path("keys/", include("inference.keys.urls")),
    path("", include("inference.request_log.urls")),
    path("memory/", include("memory.urls")),
    path("models/", include("inference.library.urls")),
    path("connect/", system_views.connect, name="connect"),
    path("logs/", system_views.logs, name="logs"),
    path("logs/of/<path:name>", system_views.logs, name="log"),
    path("logs/tail/<path:name>", system_views.log_tail, name="log-tail"),
    path("logs/download/<path:name>", system_views.log_download, name="log-download"),
    path("system/", system_views.system, name="system"),
    path("system/doctor/", system_views.doctor, name="doctor"),
    path("settings/", views.settings, name="settings"),
    path("settings/export/", views.export, name="settings-export"),
    path("settings/import/", views.import_file, name="settings-import"),
    path("settings/reset/<str:target>/", views.reset, name="settings-reset"),
    path("settings/<str:name>/", views.settings, name="settings-group"),
    path("users/", include("fmlx_site.users.urls")),
    path("videos/", include("videos.urls")),
    path("webhooks/", include("webhooks.urls")),
    path("login/", account.LogIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", account.ChangePassword.as_view(), name="password"),
    path("language/", account.language, name="language"),
    path("theme/", account.theme, name="theme"),
    # One way to log in and one to change a password, which are throttled, translated and in the audit trail.
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("admin/password_change/", RedirectView.as_view(pattern_name="password")),
    path("admin/", admin.site.urls),
]
