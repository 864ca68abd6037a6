"""The Chat page, complete without JavaScript: it then asks again every two seconds while an answer is made."""

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from chat import answering, conversations, exporting, words
from chat.forms import AskForm, SayForm, TitleForm, initial, is_demo
from chat.models import Conversation
from fmlx_site.access import allowed
from fmlx_site.errors import FmlxError
from inference.catalog import Served, recent_catalog
from inference.models import ModelFolder

USE = "chat.add_conversation"
LISTED = 100


def of_owner(request: HttpRequest, conversation_id: str) -> Conversation:
    found = conversations.of(request.user).select_related("leaf").filter(pk=conversation_id)
    return get_object_or_404(found)


def chat_models() -> list[Served]:
    """The one that is used when none is named comes first, demos last."""
    models = async_to_sync(recent_catalog.read)().models.values()
    able = [model for model in models if model.type == ModelFolder.Type.CHAT]
    return sorted(able, key=lambda one: (not one.settings.default, is_demo(one), one.name))


@allowed(USE)
@require_http_methods(["GET", "HEAD", "POST"])
async def new(request: HttpRequest) -> HttpResponse:
    return await sync_to_async(page)(request, None) if request.method != "POST" else await _said(request, None)


@allowed(USE)
@require_http_methods(["GET", "HEAD", "POST"])
async def conversation(request: HttpRequest, conversation_id: str) -> HttpResponse:
    found = await sync_to_async(of_owner)(request, conversation_id)
    return await sync_to_async(page)(request, found) if request.method != "POST" else await _said(request, found)


async def _said(request: HttpRequest, found: Conversation | None) -> HttpResponse:
    models = await sync_to_async(chat_models)()
    ask, say = AskForm(request.POST, models=models), SayForm.of(request.POST)
    if not (await sync_to_async(ask.is_valid)() and say.is_valid()):
        return await sync_to_async(page)(request, found, ask, say)
    try:
        if found is None:
            answer = await sync_to_async(conversations.start)(request.user, say.cleaned_data["text"], ask.ask())
        else:
            answer = await sync_to_async(conversations.say)(found, say.cleaned_data["text"], ask.ask())
    except FmlxError as error:
        say.add_error(None, str(words.problem_of({"code": error.code})))
        return await sync_to_async(page)(request, found, ask, say)
    answering.begin(answer)
    return redirect(reverse("chat-conversation", args=[answer.conversation_id]) + "#end")


def page(
    request: HttpRequest, found: Conversation | None, ask: AskForm | None = None, say: SayForm | None = None
) -> HttpResponse:
    models = chat_models()
    if found:
        conversations.settle_lost(found)
        found = of_owner(request, found.pk)
    search = request.GET.get("q", "").strip()
    first = next(iter(models), None)
    begin = initial(found.model, found.system, found.parameters) if found else {"model": request.GET.get("model", "")}
    ask = ask or AskForm(models=models, initial=begin)
    turns = conversations.branch(found) if found else []
    context = {
        "conversation": found,
        "turns": turns,
        "answering": bool(turns and turns[-1].message.answering),
        "rows": conversations.of(request.user, search)[:LISTED],
        "search": search,
        "ask": ask,
        "say": say or SayForm(initial={"text": request.GET.get("text", "")}),
        "models": models,
        "gone": found is not None and found.model not in {model.name for model in models},
        "examples": words.EXAMPLES if first and not turns and any(is_demo(model) for model in models) else (),
        "demos": [model.name for model in models if is_demo(model)],
        "words": {"say": words.SENTENCES},
        "undo": request.session.pop("chat_deleted", None),
    }
    failed = ask.is_bound
    return render(request, "chat/chat.html", context, status=422 if failed else 200)


@allowed(USE)
@require_POST
def rename(request: HttpRequest, conversation_id: str) -> HttpResponse:
    found = of_owner(request, conversation_id)
    form = TitleForm(request.POST)
    if form.is_valid():
        Conversation.objects.filter(pk=found.pk).update(title=form.cleaned_data["title"].strip())
    else:
        messages.error(request, _("A conversation needs a title of 1 to 200 characters; the old one is kept."))
    return redirect("chat-conversation", found.pk)


@allowed(USE)
@require_POST
def delete(request: HttpRequest, conversation_id: str) -> HttpResponse:
    found = of_owner(request, conversation_id)
    conversations.delete(found)
    request.session["chat_deleted"] = {"id": found.pk, "title": found.title}
    return redirect("chat")


@allowed(USE)
@require_POST
def undo(request: HttpRequest, conversation_id: str) -> HttpResponse:
    if conversations.bring_back(conversation_id, request.user):
        return redirect("chat-conversation", conversation_id)
    messages.error(request, _("The conversation was deleted more than an hour ago and cannot be brought back."))
    return redirect("chat")


@allowed(USE)
@require_safe
def export(request: HttpRequest, conversation_id: str, form: str) -> HttpResponse:
    found = of_owner(request, conversation_id)
    if form not in exporting.FORMS:
        raise Http404
    type_, made = exporting.FORMS[form]
    headers = {"Content-Disposition": f'attachment; filename="chat-{found.pk}.{form}"'}
    return HttpResponse(made(found), content_type=f"{type_}; charset=utf-8", headers=headers)
