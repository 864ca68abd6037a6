"""From a checkpoint's own configs to mlx-gen's ModelConfig.

mlx-gen builds its modules from the catalogue entry, not from the folder; a copy of the entry with the folder's sizes
lets the same classes load a checkpoint of any size.
"""

import copy
from typing import Any

from mflux.models.common.config.model_config import ModelConfig

from memory.protocol import WorkerFailed
from videos.runtimes.mlx_gen.checkpoint import Checkpoint

TRANSFORMER_KEYS = (
    "patch_size",
    "num_attention_heads",
    "attention_head_dim",
    "in_channels",
    "out_channels",
    "text_dim",
    "freq_dim",
    "ffn_dim",
    "num_layers",
    "cross_attn_norm",
    "eps",
    "added_kv_proj_dim",
    "rope_max_seq_len",
)
# diffusers' name on the left, the parameter of mlx-gen's Wan2_2_VAE on the right.
VAE_KEYS = {
    "base_dim": "base_dim",
    "decoder_base_dim": "decoder_base_dim",
    "z_dim": "z_dim",
    "dim_mult": "dim_mult",
    "num_res_blocks": "num_res_blocks",
    "attn_scales": "attn_scales",
    "temperal_downsample": "temporal_downsample",
    "in_channels": "in_channels",
    "out_channels": "out_channels",
    "patch_size": "patch_size",
    "scale_factor_spatial": "scale_factor_spatial",
    "scale_factor_temporal": "scale_factor_temporal",
    "is_residual": "is_residual",
    "latents_mean": "latents_mean",
    "latents_std": "latents_std",
}
TEXT_KEYS = ("d_model", "d_ff", "num_layers", "num_heads", "vocab_size")


def model_config(checkpoint: Checkpoint) -> Any:
    """A deep copy of the catalogue's `ModelConfig` with the sizes that the checkpoint's configs give.

    Raises:
        WorkerFailed: `model_invalid`, when the experts differ or the folder is not one of ours.
    """
    config = copy.deepcopy(ModelConfig.from_name(checkpoint.pipeline))
    overrides = config.transformer_overrides
    overrides |= _transformer(checkpoint)
    overrides["vae_config"] = _present(overrides["vae_config"], checkpoint.config("vae"), VAE_KEYS)
    overrides["boundary_ratio"] = checkpoint.index.get("boundary_ratio")
    overrides["flow_shift"] = checkpoint.scheduler.get("flow_shift") or overrides["flow_shift"]
    text = checkpoint.config("text_encoder")
    config.text_encoder_overrides |= {key: text[key] for key in TEXT_KEYS if key in text}
    return config


def _transformer(checkpoint: Checkpoint) -> dict[str, Any]:
    sizes = _sizes(checkpoint, "transformer")
    if checkpoint.has_second_expert and _sizes(checkpoint, "transformer_2") != sizes:
        raise WorkerFailed("model_invalid", f"The two experts in {checkpoint.root} do not have the same shape.")
    return sizes


def _sizes(checkpoint: Checkpoint, component: str) -> dict[str, Any]:
    config = checkpoint.config(component)
    return {key: config[key] for key in TRANSFORMER_KEYS if key in config}


def _present(base: dict[str, Any], found: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return base | {ours: found[theirs] for theirs, ours in names.items() if theirs in found}
