"""Which parameter each endpoint honours and which it refuses, as a table for `docs/api.md` (`manage.py apidocs`).

A router declares its endpoint; what its schema reads is honoured, what its `Inert` names is refused but for the values
that ask for what happens anyway.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

NO_EFFECT = "Accepted; "  # begins the description of a field that changes nothing
BEGIN, END = "<!-- parameters -->\n", "<!-- end of parameters -->\n"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`refused`: names, each with the values that are taken all the same."""

    path: str
    honoured: frozenset[str]
    without_effect: frozenset[str]
    refused: Mapping[str, tuple[Any, ...]]

    @property
    def names(self) -> set[str]:
        return {*self.honoured, *self.without_effect, *self.refused}

    def says(self, name: str) -> str:
        if name in self.honoured:
            return "honoured"
        if name in self.without_effect:
            return "taken, no effect"
        if name not in self.refused:
            return ""
        values = [f"`{_shown(value)}`" for value in self.refused[name]]
        return f"only {' or '.join(values)}" if values else "refused"


ENDPOINTS: list[Endpoint] = []


def declare(path: str, schema: type[BaseModel], inert: Mapping[str, tuple[Any, ...]]) -> None:
    fields = {field.alias or name: field.description or "" for name, field in schema.model_fields.items()}
    idle = frozenset(name for name, description in fields.items() if description.startswith(NO_EFFECT))
    ENDPOINTS.append(Endpoint(path, frozenset(fields) - idle, idle, inert))


def table(endpoints: Iterable[Endpoint]) -> str:
    chosen = sorted(endpoints, key=lambda endpoint: endpoint.path)
    rows = [["parameter", *(f"`{endpoint.path}`" for endpoint in chosen)], ["---"] * (len(chosen) + 1)]
    names = sorted({name for endpoint in chosen for name in endpoint.names})
    rows += [[f"`{name}`", *(endpoint.says(name) for endpoint in chosen)] for name in names]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def written_into(document: str) -> str:
    """The document with the table as it is now."""
    whole = f"{BEGIN}{table(ENDPOINTS)}{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: whole, document, flags=re.DOTALL)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)
