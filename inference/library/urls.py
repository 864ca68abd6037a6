from django.urls import path

from inference.library import views

urlpatterns = [
    path("", views.models, name="models"),
    path("rescan/", views.rescan, name="models-rescan"),
    path("folders/", views.add_folder, name="model-folder-add"),
    path("folders/<int:place_id>/drop/", views.drop_folder, name="model-folder-drop"),
    path("of/<path:name>/", views.model, name="model"),
    path("row/<path:name>/", views.row, name="model-row"),
    path("load/<path:name>/", views.load, name="model-load"),
    path("unload/<path:name>/", views.unload, name="model-unload"),
    path("profile/<path:name>/", views.profile, name="model-profile"),
    path("pin/<path:name>/", views.pin, name="model-pin"),
    path("default/<path:name>/", views.default, name="model-default"),
    path("remove/<path:name>/", views.remove, name="model-remove"),
]
