from django.urls import path

from fmlx_site.users import views

urlpatterns = [
    path("", views.users, name="users"),
    path("make/", views.make, name="user-make"),
    path("<int:pk>/", views.user, name="user"),
    path("<int:pk>/password/", views.new_password, name="user-password"),
    path("<int:pk>/close/", views.close, name="user-close"),
    path("<int:pk>/reopen/", views.reopen, name="user-reopen"),
]
