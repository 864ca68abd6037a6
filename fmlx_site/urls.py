from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from fmlx_site import views
from fmlx_site.health import healthz, readyz
from fmlx_site.metrics import metrics
from inference.api import api
from memory.api import router as memory
from videos.api import router as videos

api.add_router("videos", videos)
api.add_router("memory", memory)

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="videos")),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("v1/", api.urls),
    path("audit/", views.audit, name="audit"),
    path("cache/", include("inference.urls")),
    path("chat/", include("chat.urls")),
    path("memory/", include("memory.urls")),
    path("settings/", views.settings, name="settings"),
    path("settings/export/", views.export, name="settings-export"),
    path("settings/import/", views.import_file, name="settings-import"),
    path("settings/reset/<str:target>/", views.reset, name="settings-reset"),
    path("settings/<str:name>/", views.settings, name="settings-group"),
    path("videos/", include("videos.urls")),
    path("login/", LoginView.as_view(template_name="login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
]
