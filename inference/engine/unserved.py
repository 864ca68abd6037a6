"""Why a folder is not served. Without Django: an engine refuses folders as well."""

from typing import Any


class Unserved(Exception):
    """`text % figures` in English, and both apart in `parts`, to be said in other languages (`memory.sentences`)."""

    def __init__(self, text: str, **figures: Any) -> None:
        super().__init__(text % figures)
        self.parts = [{"say": text, **figures}]
