"""Translations: `.po` files made into the `.mo` files that Django reads, without gettext on the machine.

Run with the project's own Python (`python -m tools.messages`): it is the one part that needs a package, polib.
"""

import os
from pathlib import Path

from tools.console import Step, command
from tools.places import MAKE, PYTHON, ROOT, digest, read_mark, write_mark

MARK = MAKE / "messages"
LANGUAGES = ("zh_Hans", "ru")


def messages() -> Step:
    return Step(
        "Messages",
        _compile,
        lambda: read_mark(MARK) == digest(*_sources()) and all(path.with_suffix(".mo").exists() for path in _sources()),
    )


def extract() -> None:
    """Gather what is to be translated into the `.po` files. Needs gettext."""
    languages = [word for language in LANGUAGES for word in ("--locale", language)]
    ignored = [word for path in ("node_modules", ".venv", ".make", "tests") for word in ("--ignore", path)]
    command([PYTHON, "manage.py", "makemessages", "--no-location", "--no-obsolete", *languages, *ignored])


def _sources() -> list[Path]:
    return sorted((ROOT / "locale").glob("*/LC_MESSAGES/*.po"))


def _compile() -> None:
    command([PYTHON, "-m", "tools.messages"])
    write_mark(MARK, digest(*_sources()))


def main() -> None:
    import polib  # noqa: PLC0415 - the rest of this file is also read before anything is installed

    for source in _sources():
        draft = source.with_suffix(f".{os.getpid()}")
        polib.pofile(str(source)).save_as_mofile(str(draft))
        draft.replace(source.with_suffix(".mo"))
        print(f"{source.parent.parent.name}: {source.name} compiled.")


if __name__ == "__main__":
    main()
