"""The Cache page, over the same functions as the API."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from fmlx_site.access import allowed
from fmlx_site.audit import Origin, What, record_change
from fmlx_site.errors import FmlxError
from fmlx_site.templatetags.units import size
from inference.cache import clear_cache, read_cache
from inference.pages import read_state
from memory import read

MOST_NAME = 255  # characters of a name in the audit trail


@allowed("inference.view_modelsettings")
@require_safe
def cache(request: HttpRequest) -> HttpResponse:
    try:
        return render(request, "inference/cache.html", {"state": read_state()})
    except FmlxError as error:
        return render(request, "inference/cache.html", {"problem": read(error.message)}, status=error.status)


@allowed("inference.change_modelsettings")
@require_http_methods(["GET", "HEAD", "POST"])
def clear(request: HttpRequest) -> HttpResponse:
    """`?model=` is a fingerprint; everything without it. A GET asks first."""
    model = request.POST.get("model") or request.GET.get("model") or None
    try:
        if request.method != "POST":
            return _confirm(request, model)
        names = ", ".join(held.name for held in read_cache().models if model in (None, held.model))
        freed = clear_cache(model)
        record_change(What.CACHE, names[:MOST_NAME], {"bytes": freed}, None, Origin.of(request))
        messages.success(
            request, _("The cache was cleared; %(size)s of the disk is free again.") % {"size": size(freed)}
        )
    except FmlxError as error:
        messages.error(request, read(error.message))
    return redirect("cache")


def _confirm(request: HttpRequest, model: str | None) -> HttpResponse:
    wanted = [held for held in read_cache().models if model in (None, held.model)]
    if not wanted:
        messages.warning(request, _("Nothing of it is in the cache any more."))
        return redirect("cache")
    context = {"wanted": wanted, "model": model, "bytes": sum(held.bytes for held in wanted)}
    return render(request, "inference/cache_clear.html", context)
