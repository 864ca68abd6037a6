from django.urls import path

from inference.request_log import views

urlpatterns = [
    path("requests/", views.requests, name="requests"),
    path("requests/rows/", views.rows, name="requests-rows"),
    path("requests/<str:request_id>/", views.one, name="request"),
    path("usage/", views.usage, name="usage"),
]
