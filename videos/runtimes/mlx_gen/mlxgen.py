"""Every private name of mlx-gen that this runtime uses, in one place.

They belong to mlx-gen 0.38.0, hence the exact pin; the tiny checkpoints of the test suite run all of them.
"""
# ruff: noqa: SLF001

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
from mflux.models.common.config.model_config import ModelConfig
from mflux.models.common.lora.mapping.lora_loader import LoRALoader
from mflux.models.common.weights.loading.loaded_weights import LoadedWeights, MetaData
from mflux.models.common.weights.loading.weight_applier import WeightApplier
from mflux.models.common.weights.loading.weight_loader import WeightLoader
from mflux.models.wan import Wan2_2_TI2V
from mflux.models.wan.model.wan_transformer import WanTransformer
from mflux.models.wan.model.wan_vae import Wan2_2_VAE
from mflux.models.wan.wan_initializer import WanInitializer
from mflux.models.wan.weights import WanWeightDefinition
from mflux.models.wan.weights.wan_lora_mapping import WanLoRAMapping
from mflux.utils.video_util import VideoUtil
from PIL.Image import Image


def components(config: Any) -> list[Any]:
    """The ComponentDefinitions of a Wan ModelConfig: transformer, transformer_2 where there is one, vae."""
    return list(WanWeightDefinition.for_config(config).get_components())


def module(name: str, config: Any, vae_class: type = Wan2_2_VAE) -> Any:
    """A component's module with the sizes of `config`, its weights still random (and not computed)."""
    if name == "vae":
        return vae_class(**WanInitializer._vae_kwargs(config))
    return WanTransformer(**WanInitializer._transformer_kwargs(config))


def read_weights(root: Path, component: Any) -> LoadedWeights:
    """A component's weights under mlx-gen's names, lazy.

    Raises:
        ValueError: they are quantised in a way this version does not read.
    """
    weights, level, version = WeightLoader._load_component(root, component)
    WanInitializer._normalize_runtime_sensitive_q8_paths(
        component_name=component.name, component_weights=weights, q_level=level
    )
    WanInitializer._validate_component_quantization_layout(component.name, weights, level)
    return LoadedWeights(components={component.name: weights}, meta_data=MetaData(level, version))


def apply_weights(weights: LoadedWeights, into: Any, component: Any) -> None:
    WeightApplier.apply_and_quantize_single(
        weights=weights,
        model=into,
        component=component,
        quantize_arg=None,
        quantization_predicate=WanWeightDefinition.quantization_predicate,
    )


def apply_lora(module: Any, path: Path, strength: float) -> tuple[list[str], list[str]]:
    """Wrap the linear layers that a LoRA file is for. Returns its keys that fit and those that do not.

    Raises:
        ValueError: it cannot be read, or a layer has another shape.
    """
    try:
        read = {LoRALoader._normalize_state_dict_key(key): value for key, value in mx.load(str(path)).items()}
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    found = {key: value.astype(ModelConfig.precision) for key, value in read.items()}
    found = LoRALoader._normalize_peft_adapter_infix(found)
    mapping = LoRALoader._build_pattern_mappings(WanLoRAMapping.get_mapping())
    high, low = mx.random.state[0].tolist()
    _, matched = LoRALoader._apply_lora_with_mapping(module, found, strength, mapping, role=None)
    mx.random.seed(high << 32 | low)  # as it was: a LoRALinear begins with random numbers
    return sorted(matched), sorted(found.keys() - matched)


def encode_video(vae: Any, groups: Iterable[mx.array], *, clear_cache: bool) -> mx.array:
    """`Wan2_2_VAE.encode_normalized` with the frames as they come: the first alone, then four at a time."""
    cache, found = vae._new_feature_cache(), []
    for group in groups:
        encoded = vae.encoder(vae.patchify(group, patch_size=vae.patch_size), feat_cache=cache, feat_idx=[0])
        if clear_cache:
            vae._materialize_feature_cache(encoded, cache)
            mx.synchronize()
            mx.clear_cache()
        else:
            mx.eval(encoded)
        found.append(encoded)
    latents = vae.quant_conv(mx.concatenate(found, axis=2))[:, : vae.z_dim]
    mean, std = (mx.array(values).reshape(1, vae.z_dim, 1, 1, 1) for values in (vae.latents_mean, vae.latents_std))
    return (latents - mean) / std


def condition_mask(vae: Any, frames: int, shape: tuple[int, ...], *, head: int, last: bool) -> Any:
    """[1, 4, T, h, w]: 1 where a frame of each group of four is given. `shape` is that of the latents."""
    return Wan2_2_TI2V._packed_condition_mask(
        SimpleNamespace(vae=vae),
        batch_size=1,
        num_frames=frames,
        latent_height=shape[3],
        latent_width=shape[4],
        head_frame_count=head,
        last_frame_conditioned=last,
    )


def keep_outside(solver: Any, latents: Any, *, change: Any, source: Any, noise: Any) -> Any:
    """The state after a step, with `source` at this step's noise where `change` is 0; the solver's past as well."""
    return Wan2_2_TI2V._composite_masked_video_state(
        scheduler=solver, latents=latents, video_mask=change, source_latents=source, noise=noise
    )


def clean_prompt(text: str) -> str:
    """Wan's own cleaning: ftfy, HTML entities, white space."""
    return str(Wan2_2_TI2V._prompt_clean(text))


def frame_batches(slices: Iterable[Any], total: int) -> Iterable[list[Image]]:
    """Pictures of decoded latent slices, a few at a time. Raises TensorHealthError for values that are not finite."""
    batches: Iterable[list[Image]] = VideoUtil.decoded_latent_slices_to_frame_batches(slices, total_frames=total)
    return batches
