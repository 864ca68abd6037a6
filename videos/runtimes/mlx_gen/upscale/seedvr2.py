"""mlx-gen's SeedVR2: every name of it that is used, in one place. They belong to mlx-gen 0.38.0, as in `mlxgen.py`.

Its package imports, before anything else, a command line that reads pictures' metadata with a library that is not in
this environment. Nothing of that is needed, so the package is entered without its `__init__`.
"""
# ruff: noqa: SLF001, E402

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import mflux.models

PACKAGE = "mflux.models.seedvr2"
if PACKAGE not in sys.modules:
    entered = ModuleType(PACKAGE)
    entered.__path__ = [str(Path(folder) / "seedvr2") for folder in mflux.models.__path__]
    sys.modules[PACKAGE] = entered

import mlx.core as mx
from mflux.models.common.config.model_config import ModelConfig
from mflux.models.common.schedulers.seedvr2_euler_scheduler import SeedVR2EulerScheduler
from mflux.models.common.weights.loading.weight_loader import WeightLoader
from mflux.models.common.weights.mapping.weight_mapper import WeightMapper
from mflux.models.seedvr2.latent_creator.seedvr2_latent_creator import SeedVR2LatentCreator
from mflux.models.seedvr2.model.seedvr2_text_encoder.text_embeddings import SeedVR2TextEmbeddings
from mflux.models.seedvr2.model.seedvr2_transformer.transformer import SeedVR2Transformer
from mflux.models.seedvr2.model.seedvr2_vae.vae import SeedVR2VAE
from mflux.models.seedvr2.variants.upscale.seedvr2_util import SeedVR2Util
from mflux.models.seedvr2.weights.seedvr2_weight_definition import SeedVR2WeightDefinition3B, SeedVR2WeightDefinition7B

FAMILIES = {
    "seedvr2-3b": (ModelConfig.seedvr2_3b, SeedVR2WeightDefinition3B),
    "seedvr2-7b": (ModelConfig.seedvr2_7b, SeedVR2WeightDefinition7B),
}
COLOURS = "wavelet"  # mlx-gen's own choice: the large shapes keep the colours that they had
SLICE_FRAMES = 4  # that the VAE takes at a time; mlx-gen's own


def components(family: str) -> dict[str, Any]:
    """The ComponentDefinitions of a family: transformer and vae, in this runtime's precision."""
    found = FAMILIES[family][1].get_components()
    return {one.name: replace(one, precision=ModelConfig.precision) for one in found}


def denoiser(family: str, sizes: dict[str, Any]) -> Any:
    """The module, its weights still as it makes them."""
    return SeedVR2Transformer(**{**FAMILIES[family][0]().transformer_overrides, **sizes})


def vae(sizes: dict[str, Any]) -> Any:
    """The module, its weights still as it makes them."""
    module = SeedVR2VAE(**sizes)
    module.set_causal_slicing(split_size=SLICE_FRAMES)
    return module


def load(root: Path, component: Any, into: Any) -> Any:
    """Give a module its weights. Returns them, under mlx-gen's names."""
    weights, _, _ = WeightLoader._load_component(root, component)
    into.update(weights, strict=False)
    return weights


def stored_names(component: Any) -> Iterator[tuple[str, str, Any]]:
    """The name of each weight in a file of this component, mlx-gen's own name for it, and what turns it."""
    expanded = WeightMapper._build_flat_mapping(component.mapping_getter(), component.num_blocks)
    for stored, targets in expanded.items():
        yield from ((stored, name, transform) for name, transform in targets)


def text() -> mx.array:
    """What the model was told of every clip that it was trained with, encoded; mlx-gen brings it."""
    return SeedVR2TextEmbeddings.load_positive().astype(ModelConfig.precision)


def seen(noise: mx.array, encoded: mx.array) -> mx.array:
    """What the denoiser looks at: noise, and the clip beside it."""
    condition = SeedVR2LatentCreator.create_condition(encoded).astype(ModelConfig.precision)
    return mx.concatenate([noise, condition], axis=1)


def one_step() -> Any:
    """The schedule that the model was distilled for."""
    return SeedVR2EulerScheduler(SimpleNamespace(num_inference_steps=1, num_train_steps=None, guidance=1.0))


def with_colours_of(made: mx.array, clip: mx.array) -> mx.array:
    corrected: mx.array = SeedVR2Util.apply_color_correction(made, clip, mode=COLOURS)
    return corrected


def chunks(frames: int, size: int, context: int) -> list[Any]:
    """mlx-gen's plan. The last frame is repeated to make 4n + 1, so that every chunk begins with a latent frame."""
    padded = SeedVR2Util.padded_video_frame_count(frames)
    planned: list[Any] = SeedVR2Util.plan_streamed_video_chunks(padded, size, context)
    return planned
