"""LoRAs: small weights that change an expert, applied when its module is loaded and gone with it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.protocol import WorkerFailed
from videos.runtimes.mlx_gen import keys, mlxgen, tensors

MOST_SAID = 10  # keys that did not match, in an error or a manifest


@dataclass(frozen=True, slots=True)
class Lora:
    """One file for one expert, which is named as its component is."""

    name: str
    expert: str
    path: Path
    strength: float

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size

    @property
    def print(self) -> list[Any]:
        """What the latents depend on: the data itself, which is small enough to hash, and the strength."""
        with self.path.open("rb") as file:
            return [hashlib.file_digest(file, "sha256").hexdigest(), self.strength]


class Loras:
    """Those of one job, checked: the files are there and whole."""

    def __init__(self, asked: Iterable[Mapping[str, Any]], denoisers: Iterable[str]) -> None:
        """Raises WorkerFailed: `lora_invalid`."""
        self._known = set(denoisers)
        self._loras = [self._one(one) for one in asked]
        self._applied: dict[str, list[dict[str, Any]]] = {}

    def _one(self, asked: Mapping[str, Any]) -> Lora:
        lora = Lora(asked["name"], asked["expert"], Path(asked["path"]), float(asked["strength"]))
        if lora.expert not in self._known:
            raise WorkerFailed("lora_invalid", f"{lora.name}: this model has no second expert to apply it to.")
        if not lora.path.is_file():
            raise WorkerFailed("lora_invalid", f"The file of the LoRA {lora.name} is not there any more.")
        tensors.require_whole(lora.path)
        return lora

    def of(self, expert: str) -> list[Lora]:
        return [lora for lora in self._loras if lora.expert == expert]

    def print_of(self, expert: str) -> str:
        """Empty when there are none."""
        found = [lora.print for lora in self.of(expert)]
        return keys.digest(found) if found else ""

    def bytes_of(self, expert: str) -> int:
        return sum(lora.bytes for lora in self.of(expert))

    @property
    def applied(self) -> list[dict[str, Any]]:
        """For the manifest."""
        return [facts for found in self._applied.values() for facts in found]

    def are_in(self, expert: str, facts: list[dict[str, Any]]) -> None:
        """Its module is still there from another job that asked for the same."""
        self._applied[expert] = facts

    def apply(self, expert: str, module: Any) -> list[dict[str, Any]]:
        """Raises WorkerFailed: `lora_invalid`, with what did not match."""
        made = self._applied[expert] = []
        for lora in self.of(expert):
            try:
                matched, unmatched = mlxgen.apply_lora(module, lora.path, lora.strength)
            except ValueError as error:
                raise WorkerFailed("lora_invalid", f"The LoRA {lora.name} does not fit {expert}: {error}") from error
            if not matched:
                raise WorkerFailed("lora_invalid", f"Nothing in the LoRA {lora.name} fits {expert}. {_said(unmatched)}")
            facts = {"matched": len(matched), "unmatched": len(unmatched), "strength": lora.strength}
            made.append({"name": lora.name, "expert": expert, **facts})
        return made


def _said(unmatched: list[str]) -> str:
    more = f" and {len(unmatched) - MOST_SAID} more" if len(unmatched) > MOST_SAID else ""
    return f"It holds {', '.join(unmatched[:MOST_SAID]) or 'nothing'}{more}."
