from django.urls import path

from inference.keys import views

urlpatterns = [
    path("", views.keys, name="keys"),
    path("make/", views.make, name="key-make"),
    path("<int:pk>/", views.key, name="key"),
    path("<int:pk>/revoke/", views.revoke, name="key-revoke"),
]
