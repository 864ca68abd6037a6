"""The modules of a checkpoint: loaded when a step needs them, and dropped when another needs their room."""

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mflux.models.common.config.model_config import ModelConfig
from mflux.models.wan.model.wan_vae import Wan2_2_VAE
from mlx import nn
from mlx.utils import tree_flatten

from memory.protocol import WorkerFailed
from videos.runtimes.mlx_gen import architecture, keys, limits, mlxgen, readahead, weights
from videos.runtimes.mlx_gen.checkpoint import Checkpoint
from videos.runtimes.mlx_gen.loras import Loras
from videos.runtimes.mlx_gen.phases import Phases


class Decoder(Wan2_2_VAE):  # type: ignore[misc]
    """The VAE, reporting every latent slice when its frames have been taken."""

    on_slice: Callable[[int, int], None]

    def iter_decode_normalized_latent_slices(self, latents: mx.array, **options: Any) -> Iterator[mx.array]:
        total = latents.shape[2]
        self.on_slice(0, total)
        for done, decoded in enumerate(super().iter_decode_normalized_latent_slices(latents, **options), start=1):
            yield decoded
            self.on_slice(done, total)


@dataclass(slots=True)
class Loaded:
    """A module, bytes of its weight files, and the fingerprint of the files. Weights are read at their first use."""

    module: Any
    bytes: int
    fingerprint: str
    loras: str
    applied: list[dict[str, Any]]
    used: bool = False


class Components:
    """Of one checkpoint at a time; what fits together stays from one job to the next."""

    def __init__(self) -> None:
        self._held: dict[str, Loaded] = {}  # the longest unused first
        self._room = 0

    def begin(self, checkpoint: Checkpoint, phases: Phases, loras: Loras, *, low_ram: bool) -> None:
        """Get ready for a job. Modules of files or with LoRAs that are not the same any more are dropped.

        Raises:
            WorkerFailed: `model_invalid`, for a checkpoint that cannot be loaded.
        """
        ModelConfig.precision = limits.precision()
        os.environ["MFLUX_NO_WEIGHT_PREFETCH"] = "1"  # ours can be interrupted
        checkpoint.check()
        self._checkpoint, self._phases = checkpoint, phases
        self.config = architecture.model_config(checkpoint)
        self._definitions = {one.name: one for one in mlxgen.components(self.config)}
        self.fingerprints: Mapping[str, str] = {
            name: keys.fingerprint(checkpoint.weight_files(name), checkpoint.config(name))
            for name in (*self._definitions, "text_encoder")
        }
        self.loras = loras
        self._lora_prints = {name: loras.print_of(name) for name in self._definitions}
        sizes = {name: _size(checkpoint, name) + loras.bytes_of(name) for name in self.fingerprints}
        self._room = max(sizes.values()) if low_ram else sum(sizes.values())
        for name in [name for name, one in self._held.items() if not self._same(name, one)]:
            self.drop(name)

    def _same(self, name: str, one: Loaded) -> bool:
        return (one.fingerprint, one.loras) == (self.fingerprints.get(name), self._lora_prints.get(name))

    def latents_depend_on(self, name: str) -> str:
        """An expert's fingerprint, with that of what was applied to it."""
        return self.fingerprints[name] + self._lora_prints[name]

    def load(self, names: Iterable[str]) -> int:
        """Prepare modules that a job will use, reporting each. Returns how many were there from an earlier job."""
        names = list(names)
        there = sum(name in self._held for name in names)
        self._phases.begin("loading", len(names))
        for done, name in enumerate(names, start=1):
            if name in self._held:
                self.loras.are_in(name, self._held[name].applied)
            else:
                readahead.warm(self._checkpoint.weight_files(name), self._phases.checkpoint)
                self._held[name] = self._load(name)
                drop_freed()
            self._phases.step(done)
        return there

    def use(self, name: str) -> Any:
        """A module whose weights may now be read; what there is no room for beside it is dropped."""
        if name not in self._held:
            self._held[name] = self._load(name)
        one = self._held.pop(name)
        self._held[name] = one
        one.used = True
        for other in [other for other, its in self._held.items() if its.used and other != name]:
            if sum(its.bytes for its in self._held.values() if its.used) > self._room:
                self.drop(other)
        return one.module

    def make_room(self) -> None:
        """Drop what was used, unless the text encoder's weights fit beside it: they are read block by block."""
        text = _size(self._checkpoint, "text_encoder")
        for name in [name for name, one in self._held.items() if one.used]:
            if text + sum(one.bytes for one in self._held.values() if one.used) > self._room:
                self.drop(name)

    def drop(self, name: str) -> None:
        del self._held[name]
        drop_freed()

    def _load(self, name: str) -> Loaded:
        component, root = self._definitions[name], self._checkpoint.root
        try:
            module = self._module(component)
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            raise WorkerFailed("model_invalid", f"mlx-gen cannot load {root / name}: {error}") from error
        applied = self.loras.apply(name, module)
        size = _size(self._checkpoint, name) + self.loras.bytes_of(name)
        return Loaded(module, size, self.fingerprints[name], self._lora_prints.get(name, ""), applied)

    def _module(self, component: Any) -> nn.Module:
        module = mlxgen.module(component.name, self.config, Decoder)
        read = mlxgen.read_weights(self._checkpoint.root, component)
        blank = dict(tree_flatten(module.parameters()))
        mlxgen.apply_weights(read, module, component)
        applied, loaded = (
            dict(tree_flatten(found)) for found in (module.parameters(), read.components[component.name])
        )
        weights.require_complete(self._checkpoint.root / component.name, blank, applied, loaded)
        if component.name == "vae":
            module.on_slice = self._on_slice
        return module

    def _on_slice(self, done: int, total: int) -> None:
        if done == 0:
            self._phases.begin("decoding", total)
        else:
            self._phases.step(done)


def _size(checkpoint: Checkpoint, name: str) -> int:
    return sum(path.stat().st_size for path in checkpoint.weight_files(name))


def drop_freed() -> None:
    gc.collect()
    mx.synchronize()
    mx.clear_cache()
