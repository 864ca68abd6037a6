"""The form that asks for a download."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from inference.downloads.names import Wanted, understand
from inference.errors import InvalidRepository, InvalidRevision

LONGEST = 500  # a pasted address


class DownloadForm(forms.Form):
    """`wanted` is what was understood."""

    error_css_class = "invalid"
    wanted: Wanted

    repository = forms.CharField(
        label=_("Model at the hub"),
        help_text=_("Its id, owner/name, or the address of its page."),
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"placeholder": "owner/name", "autocapitalize": "none", "spellcheck": "false"}),
    )
    revision = forms.CharField(
        label=_("Revision"), help_text=_("A branch, a tag or a commit; empty: main."), max_length=255, required=False
    )

    def clean(self) -> None:
        if self.errors:
            return
        try:
            self.wanted = understand(self.cleaned_data["repository"], self.cleaned_data["revision"])
        except (InvalidRepository, InvalidRevision) as error:
            raise ValidationError({error.param or "repository": error.message}) from error
