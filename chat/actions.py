"""What is done to one message of a conversation: stopped, said otherwise, answered again, gone back to."""

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import aget_object_or_404, redirect
from django.views.decorators.http import require_POST

from chat import answering, conversations, words
from chat.conversations import Ask
from chat.forms import AskForm, SayForm
from chat.models import Message
from chat.views import USE, chat_models
from fmlx_site.access import allowed
from fmlx_site.errors import FmlxError


async def _message(request: HttpRequest, conversation_id: str, message_id: str, role: str) -> Message:
    user = await request.auser()
    mine = Message.objects.select_related("conversation", "parent")
    wanted = {"conversation": conversation_id, "conversation__owner": user, "conversation__deleted_at": None}
    return await aget_object_or_404(mine, pk=message_id, role=role, **wanted)


@allowed(USE)
@require_POST
async def stop(request: HttpRequest, conversation_id: str) -> HttpResponse:
    user = await request.auser()
    wanted = {"conversation": conversation_id, "conversation__owner": user, "state": Message.State.ANSWERING}
    async for message in Message.objects.filter(**wanted):
        await answering.stop(message)
    return _back(conversation_id)


@allowed(USE)
@require_POST
async def edit(request: HttpRequest, conversation_id: str, message_id: str) -> HttpResponse:
    message = await _message(request, conversation_id, message_id, Message.Role.USER)
    form = SayForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for error in form.errors["text"]))
        return _back(conversation_id)
    try:
        ask = await sync_to_async(_asked)(request, message)
        answer = await sync_to_async(conversations.edit)(message, form.cleaned_data["text"], ask)
    except FmlxError as error:
        return _refused(request, conversation_id, error)
    answering.begin(answer)
    return _back(conversation_id)


@allowed(USE)
@require_POST
async def again(request: HttpRequest, conversation_id: str, message_id: str) -> HttpResponse:
    message = await _message(request, conversation_id, message_id, Message.Role.ASSISTANT)
    try:
        ask = await sync_to_async(_asked)(request, message)
        answer = await sync_to_async(conversations.regenerate)(message, ask)
    except FmlxError as error:
        return _refused(request, conversation_id, error)
    answering.begin(answer)
    return _back(conversation_id)


@allowed(USE)
@require_POST
async def show(request: HttpRequest, conversation_id: str, message_id: str) -> HttpResponse:
    for role in (Message.Role.USER, Message.Role.ASSISTANT):
        if await Message.objects.filter(pk=message_id, role=role).aexists():
            message = await _message(request, conversation_id, message_id, role)
            await sync_to_async(conversations.show)(message)
            return _back(conversation_id, f"m-{message_id}")
    return _back(conversation_id)


def _asked(request: HttpRequest, message: Message) -> Ask:
    """With what the page has chosen; as before where it says nothing of that, or nothing that is right."""
    form = AskForm(request.POST, models=chat_models())
    kept = message.conversation
    return form.ask() if form.is_valid() else Ask(kept.model, kept.system, kept.parameters)


def _refused(request: HttpRequest, conversation_id: str, error: FmlxError) -> HttpResponse:
    messages.error(request, str(words.problem_of({"code": error.code})))
    return _back(conversation_id)


def _back(conversation_id: str, place: str = "end") -> HttpResponse:
    there = redirect("chat-conversation", conversation_id)
    there["Location"] += f"#{place}"
    return there
