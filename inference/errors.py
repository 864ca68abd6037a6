"""What the inference part refuses, each with its place on the wire."""

import difflib

from fmlx_site.errors import NotFound


class ModelNotFound(NotFound):
    code = "model_not_found"

    def __init__(self, name: str, known: list[str]) -> None:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"The model {name!r} is not served here.{hint}", param="model")
