from django.urls import path

from inference import views

urlpatterns = [
    path("", views.cache, name="cache"),
    path("clear/", views.clear, name="cache-clear"),
]
