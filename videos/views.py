"""Pages over the same functions as the API. Plain forms and links; htmx and the socket only make them quicker."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from fmlx_site.access import allowed
from fmlx_site.audit import Origin, What, record_change
from fmlx_site.errors import FmlxError
from fmlx_site.models import Change
from inference.catalog import recent_catalog
from inference.models import ModelFolder
from inference.shelf import rescan_everywhere
from videos import deletion, jobs, live, pages, pausing, submission, words
from videos.api import serve_preview, serve_variant
from videos.errors import AlreadyFinished, IdempotencyConflict, NoPreview
from videos.forms import VideoForm, again, new_token
from videos.models import VideoJob

LOG_TAIL_BYTES = 64 * 1024
CHOSEN = (ModelFolder.Type.VIDEO, ModelFolder.Type.UPSCALE)  # types of models that the form lets choose


@allowed("videos.view_videojob")
@require_http_methods(["GET", "HEAD", "POST"])
def videos(request: HttpRequest) -> HttpResponse:
    """The list, and the form that adds to it."""
    models = async_to_sync(recent_catalog.read)().models.values()
    folders = [folder for model in models for folder in model.folders if folder.type in CHOSEN]
    if request.method == "POST":
        return _create(request, folders)
    given = {name: request.GET[name] for name in ("model", "prompt") if name in request.GET}
    if wanted := request.GET.get("again"):
        earlier = VideoJob.objects.filter(pk=wanted).first()
        given = (again(earlier) if earlier else {}) | given
    return _list(request, VideoForm(folders, initial=given or None))


@permission_required("videos.add_videojob", raise_exception=True)
def _create(request: HttpRequest, folders: list[Any]) -> HttpResponse:
    form = VideoForm(folders, request.POST, files=request.FILES)
    status = HTTPStatus.BAD_REQUEST
    if form.is_valid():
        try:
            job = _submit(form, request.user.pk)
        except FmlxError as error:
            form.refuse(error)
            status = HTTPStatus(error.status)
        else:
            if not Change.objects.filter(what=What.VIDEO, name=job.pk).exists():  # no second press of the button
                _note(request, job.pk, None, {"model": job.model, **_facts(job)})
            return _accepted(request, job, folders)
    if _is_htmx(request):  # 200, as the answer is a form and htmx asked for one
        return render(request, "videos/_form.html", {"form": form})
    return _list(request, form, status=status)


def _submit(form: VideoForm, user_id: int | None) -> VideoJob:
    """The form's token makes a second press of the button find the first press's job."""
    body = form.body()
    request = submission.parse(body)
    send = async_to_sync(submission.submit)
    try:
        return send(request, body, user_id=user_id, idempotency_key=form.cleaned_data["token"])
    except IdempotencyConflict:  # the page was kept, and something else was typed into it
        return send(request, body, user_id=user_id, idempotency_key=new_token())


def _accepted(request: HttpRequest, job: VideoJob, folders: list[Any]) -> HttpResponse:
    if not _is_htmx(request):
        messages.success(request, _("The video is in the queue."))
        return redirect("videos")
    form = VideoForm(folders, initial={"model": job.model})
    return render(request, "videos/_form.html", {"form": form, "accepted": job})


def _is_htmx(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False))


def _list(request: HttpRequest, form: VideoForm, status: int = HTTPStatus.OK) -> HttpResponse:
    number = request.GET.get("page", "1")
    context = {
        "form": form,
        "page": pages.Page.read(int(number) if number.isascii() and number.isdigit() and int(number) else 1),
        "words": words.for_scripts(),
        **_aside(),
    }
    return render(request, "videos/list.html", context, status=status)


def _aside() -> dict[str, Any]:
    shown = {"folders": pages.some_folders(), "shown_folders": pages.SHOWN_FOLDERS}
    return {"nodes": pages.promised_memory(), **shown}


@allowed("videos.view_videojob")
@require_safe
def aside(request: HttpRequest) -> HttpResponse:
    """Memory and models, for a page that is open while they change."""
    return render(request, "videos/_aside.html", _aside())


@allowed("inference.change_modelfolder")
@require_POST
def rescan(request: HttpRequest) -> HttpResponse:
    async_to_sync(rescan_everywhere)()
    messages.info(request, _("Every node is looking at its model folders now; what it finds shows here in a moment."))
    return redirect("videos")


def _job(video_id: str) -> Any:
    return get_object_or_404(pages.with_files(VideoJob.objects.all()), pk=video_id)


@allowed("videos.view_videojob")
@require_safe
def card(request: HttpRequest, video_id: str) -> HttpResponse:
    """One job of the list, for a page that is open while it changes."""
    job = _job(video_id)
    return render(request, "videos/_job.html", {"job": job, "position": jobs.queue_position(job)})


@allowed("videos.view_videojob")
@require_safe
def detail(request: HttpRequest, video_id: str) -> HttpResponse:
    return render(request, "videos/detail.html", {**_detail(video_id), "words": words.for_scripts()})


@allowed("videos.view_videojob")
@require_safe
def body(request: HttpRequest, video_id: str) -> HttpResponse:
    return render(request, "videos/_body.html", _detail(video_id))


def _detail(video_id: str) -> dict[str, Any]:
    job = _job(video_id)
    return {
        "job": job,
        "position": jobs.queue_position(job),
        "attempts": job.attempts.select_related("node"),
        "history": job.history.all(),
        "made": job.made.all(),
    }


@require_safe
@allowed("videos.view_videojob")
async def content(request: HttpRequest, video_id: str) -> HttpResponseBase:
    """The file, with Range, for the player; or the picture that it started from."""
    job = await VideoJob.objects.filter(pk=video_id).afirst()
    if job is None:
        raise Http404
    try:
        return await serve_variant(request, job, request.GET.get("variant", "video"))
    except FmlxError as error:
        return HttpResponse(error.message, status=error.status, content_type="text/plain; charset=utf-8")


@require_safe
@allowed("videos.view_videojob")
async def preview(request: HttpRequest, video_id: str) -> HttpResponseBase:
    """The clip as it forms. That it ended before a page asked is no error, and nothing that a console is to tell of."""
    job = await VideoJob.objects.filter(pk=video_id).afirst()
    try:
        return await serve_preview(request, job) if job else HttpResponse(status=HTTPStatus.NOT_FOUND)
    except NoPreview:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


@allowed("videos.change_videojob")
@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest, video_id: str) -> HttpResponse:
    job = _job(video_id)
    if request.method != "POST":
        return _confirm(request, job, "cancel")
    gone = _("The video had ended already, so there was nothing to cancel.")
    return _move(request, job, jobs.cancel, _("The video was cancelled."), gone)


@allowed("videos.change_videojob")
@require_POST
def pause(request: HttpRequest, video_id: str) -> HttpResponse:
    gone = _("The video had ended already, so there was nothing to pause.")
    return _move(request, _job(video_id), pausing.pause, _("The video is paused. What was computed is kept."), gone)


@allowed("videos.change_videojob")
@require_POST
def resume(request: HttpRequest, video_id: str) -> HttpResponse:
    gone = _("The video had ended already, so there was nothing to resume.")
    return _move(request, _job(video_id), pausing.resume, _("The video is back in the queue."), gone)


def _move(
    request: HttpRequest, job: VideoJob, move: Callable[[VideoJob], VideoJob], text: str, gone: str
) -> HttpResponse:
    note, old = messages.SUCCESS, _facts(job)
    try:
        with transaction.atomic():
            moved = move(job)
            if (new := _facts(moved)) != old:
                _note(request, job.pk, old, new)
        async_to_sync(_moved)(moved)
    except AlreadyFinished:
        note, text = messages.WARNING, gone
    return _done(request, note, text, "video", video_id=job.pk)


def _facts(job: VideoJob) -> dict[str, Any]:
    return {"state": "paused" if job.paused else job.error_code or job.status}


def _note(request: HttpRequest, video_id: str, old: Any, new: Any) -> None:
    record_change(What.VIDEO, video_id, old, new, Origin.of(request))


async def _moved(job: VideoJob) -> None:
    await live.job_changed(job)
    await live.wake_nodes()


@allowed("videos.delete_videojob")
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, video_id: str) -> HttpResponse:
    job = _job(video_id)
    if request.method != "POST":
        return _confirm(request, job, "delete")
    old = {"model": job.model, **_facts(job)}
    async_to_sync(deletion.delete)(job)
    _note(request, video_id, old, None)
    return _done(request, messages.SUCCESS, _("The video was deleted."), "videos")


def _done(request: HttpRequest, note: int, text: str, page: str, **names: str) -> HttpResponse:
    """An open page hears of it from the socket; a plain form goes on to a page that says it."""
    if _is_htmx(request):
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    messages.add_message(request, note, text)
    return HttpResponseRedirect(reverse(page, kwargs=names))


def _confirm(request: HttpRequest, job: VideoJob, action: str) -> HttpResponse:
    template = "videos/_confirm.html" if _is_htmx(request) else "videos/confirm.html"
    return render(request, template, {"job": job, "action": action})


@allowed("videos.view_attempt")
@require_GET
def log(request: HttpRequest, video_id: str, attempt_id: int) -> HttpResponse:
    """The end of a worker's log."""
    attempt = get_object_or_404(_job(video_id).attempts, pk=attempt_id)
    path = settings.FMLX.logs / "workers" / attempt.log
    if not attempt.log or not path.is_file():
        raise Http404
    return HttpResponse(pages.tail(path, LOG_TAIL_BYTES), content_type="text/plain; charset=utf-8")
