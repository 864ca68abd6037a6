"""The form that makes a webhook."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from fmlx_site.widgets import Boxes
from inference.models import ApiKey
from webhooks.models import URL_LENGTH

EVENTS = (
    ("video.completed", _("a video is completed")),
    ("video.failed", _("a video failed or was cancelled")),
    ("batch.completed", _("all videos of a batch have ended")),
    ("batch.cancelled", _("a batch was cancelled, and nothing of it runs any more")),
)


class WebhookForm(forms.Form):
    key = forms.ModelChoiceField(ApiKey.objects.none(), label=_("Key"), help_text=_("It hears of this key’s jobs."))
    url = forms.CharField(
        label=_("Address"),
        max_length=URL_LENGTH,
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
        help_text=_("http or https. Loopback and the local network are allowed; redirects are not followed."),
    )
    events = forms.MultipleChoiceField(
        label=_("It hears that"),
        choices=EVENTS,
        widget=Boxes,
        initial=[name for name, _word in EVENTS],
    )

    def __init__(self, keys: QuerySet[ApiKey], data: Any = None) -> None:
        super().__init__(data)
        offered: Any = self.fields["key"]
        offered.queryset = keys.filter(revoked_at=None)
