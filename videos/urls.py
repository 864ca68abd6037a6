from django.urls import path

from videos import preset_views, views

urlpatterns = [
    path("", views.videos, name="videos"),
    path("aside/", views.aside, name="videos-aside"),
    path("estimate/", preset_views.estimate, name="video-estimate"),
    path("presets/", preset_views.all_presets, name="video-presets"),
    path("presets/<str:model>/", preset_views.preset, name="video-preset"),
    path("rescan/", views.rescan, name="videos-rescan"),
    path("<str:video_id>/", views.detail, name="video"),
    path("<str:video_id>/card/", views.card, name="video-card"),
    path("<str:video_id>/body/", views.body, name="video-body"),
    path("<str:video_id>/content", views.content, name="video-content"),
    path("<str:video_id>/preview", views.preview, name="video-preview"),
    path("<str:video_id>/cancel/", views.cancel, name="video-cancel"),
    path("<str:video_id>/pause/", views.pause, name="video-pause"),
    path("<str:video_id>/resume/", views.resume, name="video-resume"),
    path("<str:video_id>/delete/", views.delete, name="video-delete"),
    path("<str:video_id>/logs/<int:attempt_id>/", views.log, name="video-log"),
]
