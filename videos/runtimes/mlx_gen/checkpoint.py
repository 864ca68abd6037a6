"""A Wan2.2 checkpoint on disk, in the diffusers layout: which pipeline it is, and whether it is whole.

Everything is decided from the folder's own JSON files and file sizes, before any weight is read.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from memory.protocol import WorkerFailed
from videos.runtimes.mlx_gen import tensors

T2V_A14B = "wan2.2-t2v-a14b"
I2V_A14B = "wan2.2-i2v-a14b"
TI2V_5B = "wan2.2-ti2v-5b"
PIPELINE_CLASS, FROM_PICTURES_CLASS = "WanPipeline", "WanImageToVideoPipeline"
MASK_CHANNELS = 4  # of what a model that starts from pictures is shown: whether each frame of a group is given

Json = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A diffusers folder. Reading any part of it may raise `WorkerFailed("model_invalid")`."""

    root: Path

    @cached_property
    def index(self) -> Json:
        return self._json("model_index.json")

    @cached_property
    def pipeline(self) -> str:
        """Which catalogue entry of mlx-gen the folder is an instance of.

        The A14B models route between two experts at `boundary_ratio`; TI2V 5B has one, and a timestep for each token
        (`expand_timesteps`).
        """
        found = self.index.get("_class_name")
        if found not in (PIPELINE_CLASS, FROM_PICTURES_CLASS):
            raise _invalid(
                f"{self.root / 'model_index.json'} names the pipeline {found!r}; {PIPELINE_CLASS} or "
                f"{FROM_PICTURES_CLASS} is needed."
            )
        if self.has_second_expert and self.index.get("boundary_ratio") is not None:
            return T2V_A14B if found == PIPELINE_CLASS else I2V_A14B
        if not self.has_second_expert and self.index.get("expand_timesteps"):
            return TI2V_5B
        raise _invalid(
            f"{self.root / 'model_index.json'} is neither a Wan2.2 A14B (two experts and a boundary_ratio) nor "
            "Wan2.2 TI2V 5B (one expert and expand_timesteps); other Wan models are not supported."
        )

    @property
    def has_second_expert(self) -> bool:
        return any(self.index.get("transformer_2") or ())

    @property
    def denoisers(self) -> tuple[str, ...]:
        return ("transformer", "transformer_2") if self.has_second_expert else ("transformer",)

    @property
    def components(self) -> tuple[str, ...]:
        """The folders that hold weights which the generator loads, in loading order."""
        return (*self.denoisers, "vae")

    def config(self, component: str) -> Json:
        return self._json(f"{component}/config.json")

    @property
    def scheduler(self) -> Json:
        return self._json("scheduler/scheduler_config.json")

    @cached_property
    def tokenizer(self) -> str:
        """The text of tokenizer.json."""
        if "model" not in (found := self._json("tokenizer/tokenizer.json")):
            raise _invalid(f"{self.root / 'tokenizer' / 'tokenizer.json'} does not describe a tokenizer.")
        return json.dumps(found)

    def weight_files(self, component: str) -> list[Path]:
        """The component's safetensors files, each of them there and whole."""
        folder = self.root / component
        files = sorted(path for path in folder.glob("*.safetensors") if not path.name.startswith("._"))
        for index in folder.glob("*.safetensors.index.json"):
            names = set(self._json(f"{component}/{index.name}").get("weight_map", {}).values())
            files = [self._require(folder / name) for name in sorted(names)] or files
        if not files:
            raise _invalid(f"There are no safetensors weights in {folder}.")
        for path in files:
            tensors.require_whole(path)
        return files

    def check(self) -> None:
        """Raise `WorkerFailed("model_invalid")` unless the folder is one of ours, whole, and consistent."""
        for component in (*self.components, "text_encoder"):
            self.config(component)
            self.weight_files(component)
        channels, latents = self.config("transformer").get("in_channels"), self.config("vae").get("z_dim")
        if not isinstance(channels, int) or not isinstance(latents, int) or channels != self._seen(latents):
            raise _invalid(
                f"{self.root / 'transformer' / 'config.json'} takes {channels} channels and the VAE gives {latents}; "
                f"that is not what {self.pipeline} does, so this folder is not such a checkpoint."
            )
        text, width = self.config("transformer").get("text_dim", 4096), self.config("text_encoder").get("d_model")
        if text != width:
            raise _invalid(f"The text encoder in {self.root} is {width} wide and the transformer expects {text}.")
        _ = self.tokenizer

    def _seen(self, latents: int) -> int:
        """Channels that the transformer is shown where the VAE has so many."""
        return 2 * latents + MASK_CHANNELS if self.pipeline == I2V_A14B else latents

    def _json(self, name: str) -> Json:
        path = self._require(self.root / name)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _invalid(f"{path} is not valid JSON: {error}.") from error
        if not isinstance(found, dict):
            raise _invalid(f"{path} is not a JSON object.")
        return found

    def _require(self, path: Path) -> Path:
        if not path.is_file():
            raise _invalid(f"The model folder {self.root} has no {path.relative_to(self.root)}; it is not complete.")
        return path


def _invalid(message: str) -> WorkerFailed:
    return WorkerFailed("model_invalid", message)
