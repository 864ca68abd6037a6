from django.urls import path

from inference.downloads import views as downloads
from inference.library import views

urlpatterns = [
    path("", views.models, name="models"),
    path("rescan/", views.rescan, name="models-rescan"),
    path("folders/", views.add_folder, name="model-folder-add"),
    path("folders/<int:place_id>/drop/", views.drop_folder, name="model-folder-drop"),
    path("downloads/", downloads.listed, name="downloads"),
    path("downloads/ask/", downloads.ask, name="download-ask"),
    path("downloads/<int:download_id>/cancel/", downloads.cancel, name="download-cancel"),
    path("downloads/<int:download_id>/again/", downloads.again, name="download-again"),
    path("downloads/<int:download_id>/remove/", downloads.remove, name="download-remove"),
    path("of/<path:name>/", views.model, name="model"),
    path("row/<path:name>/", views.row, name="model-row"),
    path("load/<path:name>/", views.load, name="model-load"),
    path("unload/<path:name>/", views.unload, name="model-unload"),
    path("profile/<path:name>/", views.profile, name="model-profile"),
    path("pin/<path:name>/", views.pin, name="model-pin"),
    path("default/<path:name>/", views.default, name="model-default"),
    path("remove/<path:name>/", views.remove, name="model-remove"),
]
