from django.urls import path

from chat import actions, views

urlpatterns = [
    path("", views.new, name="chat"),
    path("<str:conversation_id>/", views.conversation, name="chat-conversation"),
    path("<str:conversation_id>/rename/", views.rename, name="chat-rename"),
    path("<str:conversation_id>/delete/", views.delete, name="chat-delete"),
    path("<str:conversation_id>/undo/", views.undo, name="chat-undo"),
    path("<str:conversation_id>/export.<str:form>", views.export, name="chat-export"),
    path("<str:conversation_id>/stop/", actions.stop, name="chat-stop"),
    path("<str:conversation_id>/<str:message_id>/edit/", actions.edit, name="chat-edit"),
    path("<str:conversation_id>/<str:message_id>/again/", actions.again, name="chat-again"),
    path("<str:conversation_id>/<str:message_id>/show/", actions.show, name="chat-show"),
]
