"""The form of a user."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fmlx_site.users.changes import Role, role_of
from fmlx_site.users.rights import PAGES, RIGHTS, Word, rights_of
from fmlx_site.widgets import Radios

ROLES = (
    (Role.OPERATOR, gettext_lazy("Operator: sees and does everything, here and in the administration")),
    (Role.VIEWER, gettext_lazy("Viewer: sees every page, and changes nothing")),
    (Role.CHOSEN, gettext_lazy("What is chosen below")),
)


class UserForm(forms.Form):
    """Of a new user, or of `user`, whose name stays."""

    error_css_class = "invalid"

    username = forms.CharField(label=gettext_lazy("Name"), max_length=150, validators=[UnicodeUsernameValidator()])
    role = forms.ChoiceField(label=gettext_lazy("May"), choices=ROLES, widget=Radios)
    rights = forms.MultipleChoiceField(
        label=gettext_lazy("Rights"),
        required=False,
        choices=[(name, right.word) for name, right in RIGHTS.items()],
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, data: Any = None, user: User | None = None) -> None:
        begin = {"role": role_of(user), "rights": rights_of(user)} if user else {"role": Role.VIEWER}
        super().__init__(data, initial=begin)
        if user:
            del self.fields["username"]

    def clean_username(self) -> str:
        name = User.normalize_username(str(self.cleaned_data["username"]))
        if User.objects.filter(username__iexact=name).exists():
            raise ValidationError(_("There is a user of this name already."))
        return name

    def pages(self) -> Iterator[tuple[Word, list[Any]]]:
        """Each page with the boxes of its rights."""
        boxes = dict(zip(RIGHTS, self["rights"], strict=True))
        for page in PAGES:
            yield page.title, [boxes[right.permission] for right in page.rights]
