"""Logging in, and what a user's profile keeps: language, theme, and whether the password is still the made one."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse, reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import check_for_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from fmlx_site.audit import Origin, What, record_change
from fmlx_site.models import Profile

THEME_COOKIE = "fmlx_theme"
YEAR_SECONDS = 365 * 86_400


class LogIn(LoginView):
    template_name = "login.html"
    redirect_authenticated_user = True

    def form_valid(self, form: Any) -> HttpResponse:
        """What the profile has holds in this browser from now on."""
        response = super().form_valid(form)
        profile = Profile.objects.filter(user=form.get_user()).first()
        if profile and profile.language:
            _keep(response, settings.LANGUAGE_COOKIE_NAME, profile.language)
        if profile and profile.theme:
            _keep(response, THEME_COOKIE, profile.theme)
        return response

    def get_default_redirect_url(self) -> str:
        made = Profile.objects.filter(user=self.request.user.pk, password_was_made=True).exists()
        return reverse("password") if made else super().get_default_redirect_url()


class ChangePassword(PasswordChangeView):
    template_name = "password.html"
    success_url = reverse_lazy("home")

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        Profile.objects.filter(user=self.request.user.pk).update(password_was_made=False)
        record_change(What.USER, form.user.get_username(), None, {"password": "changed"}, Origin.of(self.request))
        messages.success(self.request, _("The password was changed. Other browsers have to log in again."))
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        made = Profile.objects.filter(user=self.request.user.pk, password_was_made=True).exists()
        return super().get_context_data(was_made=made, **kwargs)


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """In this browser, and in the profile of who is logged in."""
    chosen = request.POST.get("language", "")
    response = _back(request)
    if chosen in dict(settings.LANGUAGES) and check_for_language(chosen):
        _keep(response, settings.LANGUAGE_COOKIE_NAME, chosen)
        _remember(request, language=chosen)
    return response


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    chosen = request.POST.get("theme", "")
    response = _back(request)
    if chosen in Profile.Theme.values:
        _keep(response, THEME_COOKIE, chosen)
        _remember(request, theme=chosen)
    return response


def _remember(request: HttpRequest, **fields: str) -> None:
    if request.user.is_authenticated:
        Profile.objects.update_or_create(user=request.user, defaults=fields)


def _back(request: HttpRequest) -> HttpResponse:
    """To the page that asked, if it is one of ours."""
    wanted = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(wanted if ours else "/")


def _keep(response: HttpResponse, cookie: str, value: str) -> None:
    if value:
        response.set_cookie(cookie, value, max_age=YEAR_SECONDS, samesite="Lax")
    else:
        response.delete_cookie(cookie)
