from django.urls import path

from memory import views

urlpatterns = [
    path("", views.memory, name="memory"),
    path("state/", views.state, name="memory-state"),
    path("samples/", views.samples, name="memory-samples"),
    path("fit/", views.fit, name="memory-fit"),
]
