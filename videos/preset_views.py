"""The Presets page of videos, and what a video in the form would take."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from fmlx_site.access import allowed
from fmlx_site.audit import Origin
from fmlx_site.errors import FmlxError
from inference.models import ModelFolder
from memory import read
from videos import loras, pages, presets, submission
from videos.forms import PresetForm, VideoForm


@allowed("videos.view_videojob")
@require_safe
def all_presets(request: HttpRequest) -> HttpResponse:
    """Of one model: the one that is asked for, or the first."""
    folders = pages.video_folders()
    asked = request.GET.get("model", "")
    folder = next((one for one in folders if one.name == asked), None if asked else next(iter(folders), None))
    if asked and folder is None:
        raise Http404
    estimates = presets.estimates(folder) if folder else []
    return render(request, "videos/presets.html", {"folders": folders, "folder": folder, "estimates": estimates})


@allowed("videos.change_preset")
@require_http_methods(["GET", "HEAD", "POST"])
def preset(request: HttpRequest, model: str) -> HttpResponse:
    """One preset, or with no name a new one."""
    folder = _folder(model)
    name = request.GET.get("name", "")
    known = presets.all_of(folder)
    form = PresetForm(request.POST or None, initial={"name": name, **known.get(name, {})})
    if request.method == "POST" and form.is_valid():
        try:
            return _changed(request, folder, form)
        except FmlxError as error:
            form.refuse(error)
    context = {"form": form, "folder": folder, "name": name, "own": name in presets.built_in(folder, loras.all_found())}
    return render(request, "videos/preset.html", context)


@permission_required("videos.change_preset", raise_exception=True)
def _changed(request: HttpRequest, folder: ModelFolder, form: PresetForm) -> HttpResponse:
    name, values = form.cleaned_data["name"], None if "reset" in request.POST else form.values()
    presets.change(folder, name, values, Origin.of(request))
    messages.success(request, _("The preset was taken back.") if values is None else _("The preset was saved."))
    return redirect(f"{reverse('video-presets')}?{urlencode({'model': folder.name})}")


def _folder(model: str) -> ModelFolder:
    for folder in pages.video_folders():
        if folder.name == model:
            return folder
    raise Http404


@allowed("videos.view_videojob")
@require_safe
def estimate(request: HttpRequest) -> HttpResponse:
    """What the video that is in the form would take; nothing while the form is not whole."""
    folders = pages.video_folders()
    form = VideoForm(folders, {**request.GET.dict(), "prompt": "-", "token": "-"})
    found: Any = None
    if form.is_valid():
        folder = next(one for one in folders if one.name == form.cleaned_data["model"])
        try:
            found = presets.estimate(folder, submission.parse(form.body()))
        except FmlxError as error:
            found = presets.Estimate("", {}, None, refused=read(error.message))
    return render(request, "videos/_estimate.html", {"estimate": found, "count": form.cleaned_data.get("n") or 1})
