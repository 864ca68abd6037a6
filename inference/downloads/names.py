"""What people type or paste, understood as a repository of a hub and a revision of it."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from inference.downloads.models import LONGEST_ID
from inference.errors import InvalidRepository, InvalidRevision

MAIN = "main"
PART = r"[A-Za-z0-9][A-Za-z0-9._-]*(?<![.-])"  # as the hub has them, and never a hidden folder
REPOSITORY = re.compile(rf"{PART}/{PART}(?<!\.git)")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,254}")
DOUBLED = ("--", "..")
PAGES = ("tree", "blob", "resolve")  # of a repository; the revision that they show comes next


@dataclass(frozen=True, slots=True)
class Wanted:
    repository: str
    revision: str


def understand(text: str, revision: str = "") -> Wanted:
    """An id, or the address of one of the repository's pages. `revision` comes before the one of that page.

    Raises InvalidRepository or InvalidRevision.
    """
    text = text.strip()
    if "://" in text:
        repository, shown = _of_page(unquote(urlsplit(text).path))
    else:
        repository, shown = text, ""
    revision = revision.strip() or shown or MAIN
    doubled = any(pair in repository for pair in DOUBLED)
    if not REPOSITORY.fullmatch(repository) or doubled or len(repository) > LONGEST_ID:
        raise InvalidRepository(text)
    if not REVISION.fullmatch(revision) or ".." in revision:
        raise InvalidRevision(revision)
    return Wanted(repository, revision)


def _of_page(path: str) -> tuple[str, str]:
    """`/owner/name/tree/REVISION/…` → `owner/name` and the revision."""
    owner, name, page, shown = (*path.strip("/").split("/"), "", "", "", "")[:4]
    if page not in ("", *PAGES):
        return path, ""  # of a data set, for example
    return f"{owner}/{name}", shown
