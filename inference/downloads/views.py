"""Downloads on the Models page. The list of them is made anew by the server whenever one is another."""

from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fmlx_site.access import allowed
from fmlx_site.audit import Origin
from fmlx_site.errors import Conflict
from inference.downloads import changes
from inference.downloads.forms import DownloadForm
from inference.downloads.models import Download
from inference.downloads.names import Wanted
from inference.library.views import FILE, SEE, confirm, models_page


@allowed(SEE)
@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    """The list alone, for a page that is open while it changes."""
    context = {"downloads": Download.objects.all(), "may_file": request.user.has_perm(FILE)}
    return render(request, "models/_downloads.html", context)


@allowed(FILE)
@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    form = DownloadForm(request.POST)
    if not form.is_valid():
        return models_page(request, download_form=form, status=HTTPStatus.BAD_REQUEST)
    row = changes.ask(form.wanted, Origin.of(request))
    text = _("%(name)s is being downloaded.") if row.active else _("%(name)s was downloaded already.")
    messages.success(request, text % {"name": row.repository})
    return _back()


@allowed(FILE)
@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest, download_id: int) -> HttpResponse:
    """A GET asks first: what has come is lost."""
    row = get_object_or_404(Download, pk=download_id)
    if request.method != "POST":
        return confirm(request, {"action": "cancel", "download": row})
    try:
        changes.cancel(row, Origin.of(request))
    except Conflict as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("The download of %(name)s was cancelled.") % {"name": row.repository})
    return _back()


@allowed(FILE)
@require_POST
def again(request: HttpRequest, download_id: int) -> HttpResponse:
    row = get_object_or_404(Download, pk=download_id)
    changes.ask(Wanted(row.repository, row.revision), Origin.of(request))
    return _back()


@allowed(FILE)
@require_POST
def remove(request: HttpRequest, download_id: int) -> HttpResponse:
    changes.remove(get_object_or_404(Download, pk=download_id), Origin.of(request))
    return _back()


def _back() -> HttpResponse:
    return redirect(f"{reverse('models')}#downloads")
