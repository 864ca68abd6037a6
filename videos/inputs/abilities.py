"""What each pipeline can start from, and the refusal of what it cannot."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from fmlx_site.errors import InvalidRequest
from inference.models import ModelFolder


@dataclass(frozen=True, slots=True)
class Abilities:
    """`head` is how many frames a continued clip shares with the one before (HEADS in the runtime's recipe.py)."""

    picture: bool = False
    last_picture: bool = False
    text_alone: bool = True
    edit: bool = False
    head: int = 5


# As mlx-gen 0.38.0 has them, but for continuing a clip with a model that reads text only, which is the runtime's own.
OF: dict[str, Abilities] = {
    "wan2.2-t2v-a14b": Abilities(edit=True),
    "wan2.2-i2v-a14b": Abilities(picture=True, last_picture=True, text_alone=False),
    "wan2.2-ti2v-5b": Abilities(picture=True, head=1),
}


def from_pictures() -> list[str]:
    return [name for name, able in OF.items() if able.picture]


def from_text() -> list[str]:
    return [name for name, able in OF.items() if able.text_alone]


def require(folder: ModelFolder, *, picture: bool, last_picture: bool) -> None:
    """Raises InvalidRequest for a picture the model has no use for, and for the lack of one that it needs."""
    able = OF[folder.pipeline]
    if picture and not able.picture:
        raise _cannot(folder, "input_reference", _("does not start from a picture"), "picture")
    if last_picture and not able.last_picture:
        raise _cannot(folder, "last_frame", _("has no place for a last picture"), "last_picture")
    if last_picture and not picture:
        raise InvalidRequest(_("A last picture needs a first one: send input_reference as well."), param="last_frame")
    if not picture and not able.text_alone:
        raise InvalidRequest(
            _("%(model)s makes videos from a picture: send one as input_reference.") % {"model": folder.name},
            param="input_reference",
        )


def require_edit(folder: ModelFolder) -> None:
    if not OF[folder.pipeline].edit or not _encodes(folder):
        raise _cannot(folder, "video", _("cannot make an earlier video anew"), "edit")


def require_extension(folder: ModelFolder) -> None:
    if not _encodes(folder):
        raise _cannot(folder, "video", _("cannot continue an earlier video"), "head")


def _encodes(folder: ModelFolder) -> bool:
    """A demo model whose VAE has no encoder says so in its folder."""
    return bool(folder.defaults.get("encoder", True))


def _cannot(folder: ModelFolder, param: str, what: str, ability: str) -> InvalidRequest:
    pipelines = [name for name, able in OF.items() if getattr(able, ability)]
    others = ModelFolder.objects.filter(type=ModelFolder.Type.VIDEO, pipeline__in=pipelines)
    names = ", ".join(sorted({other.name for other in others if _encodes(other)})) or _("none on this server")
    said = {"model": folder.name, "what": what, "names": names}
    return InvalidRequest(_("%(model)s %(what)s. Models that can: %(names)s.") % said, param=param)
