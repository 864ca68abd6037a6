from django.urls import path

from webhooks import views

urlpatterns = [
    path("", views.webhooks, name="webhooks"),
    path("<str:pk>/", views.webhook, name="webhook"),
    path("<str:pk>/test/", views.test, name="webhook-test"),
    path("<str:pk>/secret/", views.renew_secret, name="webhook-secret"),
    path("<str:pk>/remove/", views.remove, name="webhook-remove"),
    path("<str:pk>/replay/<str:event_id>/", views.replay, name="webhook-replay"),
]
