"""A demo model's folder, in the diffusers layout: its JSON files, its tokenizer, its weights."""

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten

from demo_models import text_encoder, tokenizer
from demo_models.layouts import Layout
from videos.runtimes.mlx_gen import architecture, demo_configs, mlxgen, tensors
from videos.runtimes.mlx_gen.checkpoint import Checkpoint
from videos.runtimes.mlx_gen.demo import TO_TORCH, WEIGHTS, bfloat16, float32

ROPE = "rope."  # tables that no checkpoint stores


class Folder:
    """A checkpoint being made. Writing the same values gives the same bytes."""

    def __init__(self, root: Path, layout: Layout) -> None:
        """Write everything but the transformer and the VAE, and know their sizes from then on."""
        self.root, self.layout = root, layout
        demo_configs.write(root, layout.kind)
        for expert in layout.experts:
            self._resize(expert.component, layout.transformer)
        self._resize("vae", layout.vae)
        _write_tokenizer(root / "tokenizer")
        found = text_encoder.weights().items()
        packed = {name: ("BF16", values.shape, bfloat16(values)) for name, values in found}
        tensors.write(root / "text_encoder" / "model.safetensors", packed)
        demo_configs.dump(root / "fmlx.json", {"defaults": layout.defaults, "rank": layout.rank})
        self.checkpoint = Checkpoint(root)
        self._config = architecture.model_config(self.checkpoint)

    def module(self, component: str) -> Any:
        """A new module of the component's sizes, with mlx-gen's random start values."""
        return mlxgen.module(component, self._config)

    def save(self, component: str, module: nn.Module) -> None:
        """Store the VAE in float32, which is what its decoder was written down in, and a transformer in bfloat16."""
        mapping = next(found.mapping_getter() for found in mlxgen.components(self._config) if found.name == component)
        names = {target.to_pattern: target for target in mapping}
        dtype, pack = ("F32", float32) if component == "vae" else ("BF16", bfloat16)
        found = {}
        for name, weight in tree_flatten(module.parameters()):
            if not name.startswith(ROPE):
                values = _torch_order(np.array(weight.astype(mx.float32)), names[name].transform)
                found[names[name].from_pattern[0]] = (dtype, values.shape, pack(values))
        tensors.write(self.root / component / WEIGHTS, found)

    def _resize(self, component: str, sizes: dict[str, Any]) -> None:
        path = self.root / component / "config.json"
        demo_configs.dump(path, json.loads(path.read_text()) | sizes)


def _torch_order(values: np.ndarray, transform: Any) -> np.ndarray:
    return values.transpose(TO_TORCH[transform]) if transform in TO_TORCH else values


def _write_tokenizer(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer.build().to_str(pretty=True) + "\n", encoding="utf-8")
    demo_configs.dump(folder / "tokenizer_config.json", tokenizer.CONFIG)
