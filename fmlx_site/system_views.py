"""The System, Logs and Connect pages."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from fmlx_site import log_files, machine
from fmlx_site.access import allowed
from fmlx_site.doctor import examine
from inference.diffusers import NEEDS_PICTURE
from inference.models import ModelFolder, ModelSettings
from memory.models import Node

SEE_LOGS = "fmlx_site.view_logs"
SEE_SYSTEM = "memory.view_node"


@allowed(SEE_SYSTEM)
@require_safe
def system(request: HttpRequest) -> HttpResponse:
    nodes = list(Node.objects.order_by("name"))
    context = {"nodes": nodes, "versions": machine.versions(), "optimisations": list(machine.optimisations(nodes))}
    return render(request, "system/system.html", context)


@allowed(SEE_SYSTEM)
@require_safe
def doctor(request: HttpRequest) -> HttpResponse:
    """Every runtime is started once, so this takes some seconds."""
    findings = list(examine(settings.FMLX))
    context = {"findings": findings, "wrong": sum(not finding.ok for finding in findings)}
    partial = bool(getattr(request, "htmx", False))
    return render(request, "system/_doctor.html" if partial else "system/doctor.html", context)


@allowed(SEE_LOGS)
@require_safe
def logs(request: HttpRequest, name: str = "") -> HttpResponse:
    """Which logs there are, and the end of one, filtered."""
    files = log_files.log_files()
    name = name or (files[0].name if files else "")
    context: dict[str, Any] = {"files": files, "name": name, "search": request.GET.get("q", "")}
    if name:
        piece = log_files.read(_found(name))
        context |= {"lines": list(log_files.matching(piece.text, context["search"])), "end": piece.end}
    return render(request, "system/logs.html", context)


@allowed(SEE_LOGS)
@require_safe
def log_tail(request: HttpRequest, name: str) -> HttpResponse:
    """What was written after `?from=` bytes, for a page that is open."""
    begin = request.GET.get("from", "")
    piece = log_files.read(_found(name), int(begin) if begin.isascii() and begin.isdigit() else None)
    lines = list(log_files.matching(piece.text, request.GET.get("q", "")))
    return JsonResponse({"lines": lines, "end": piece.end})


@allowed(SEE_LOGS)
@require_safe
def log_download(request: HttpRequest, name: str) -> HttpResponseBase:
    path = _found(name)
    return FileResponse(path.open("rb"), as_attachment=True, filename=path.name, content_type="text/plain")


def _found(name: str) -> Any:
    path = log_files.find(name)
    if path is None:
        raise Http404
    return path


@login_required
@require_safe
def connect(request: HttpRequest) -> HttpResponse:
    """How programs reach this server, with its real address and models."""
    chat = ModelFolder.objects.filter(type=ModelFolder.Type.CHAT).order_by("-rank", "name")
    video = (
        ModelFolder.objects.filter(type=ModelFolder.Type.VIDEO)
        .exclude(pipeline=NEEDS_PICTURE)
        .order_by("-rank", "name")
    )
    default = ModelSettings.objects.filter(default=True).values_list("name", flat=True).first()
    context = {
        "base": request.build_absolute_uri("/v1"),
        "root": request.build_absolute_uri("/").rstrip("/"),
        "chat": default or chat.values_list("name", flat=True).first() or "MODEL",
        "video": video.values_list("name", flat=True).first() or "MODEL",
    }
    return render(request, "system/connect.html", context)
