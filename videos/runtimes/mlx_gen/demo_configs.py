"""The JSON files of the demo checkpoints: the real diffusers layouts with very small sizes."""

import json
from pathlib import Path
from typing import Any

KINDS = ("t2v", "ti2v", "i2v")
BOUNDARIES = {"t2v": 0.875, "i2v": 0.9}  # model_index.json of Wan2.2 T2V A14B and I2V A14B
MASK = 4  # channels that say which frames are given
WORDS = (
    *("a", "the", "of", "in", "on", "over", "under", "and", "with", "to", "from"),
    *("red", "blue", "green", "yellow", "white", "black", "cat", "dog", "bird", "ball", "car", "tree"),
    *("sea", "sky", "sun", "moon", "rain", "snow", "city", "street", "night", "day"),
    *("runs", "jumps", "flies", "moves", "slow", "fast", "camera", "video"),
)
SPECIAL = ("<pad>", "</s>", "<unk>")  # transformers 5 takes the unknown token to be number 2
TEXT = {
    "vocab_size": 512,
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 128,
    "num_layers": 2,
    "num_heads": 4,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
}
TRANSFORMER = {
    "num_layers": 2,
    "num_attention_heads": 4,
    "attention_head_dim": 16,
    "ffn_dim": 128,
    "text_dim": TEXT["d_model"],
    "freq_dim": 64,
    "patch_size": [1, 2, 2],
    "cross_attn_norm": True,
    "eps": 1e-6,
    "qk_norm": "rms_norm_across_heads",
    "rope_max_seq_len": 1024,
    "added_kv_proj_dim": None,
    "image_dim": None,
    "pos_embed_seq_len": None,
}
# Of the VAE only the widths may shrink: its depth is fixed by the names of its weights.
VAE: dict[str, dict[str, Any]] = {
    "t2v": {"base_dim": 8, "z_dim": 16},
    "i2v": {"base_dim": 8, "z_dim": 16},
    "ti2v": {
        "base_dim": 8,
        "decoder_base_dim": 8,
        "z_dim": 48,
        "in_channels": 12,
        "out_channels": 12,
        "patch_size": 2,
        "scale_factor_spatial": 16,
        "scale_factor_temporal": 4,
        "is_residual": True,
    },
}


def write(folder: Path, kind: str) -> None:
    """Write every JSON file of a checkpoint of `kind` but the tokenizer."""
    two, latents = kind in BOUNDARIES, VAE[kind]["z_dim"]
    channels = {"in_channels": 2 * latents + MASK if kind == "i2v" else latents, "out_channels": latents}
    for name in ("transformer", "transformer_2")[: 2 if two else 1]:
        dump(folder / name / "config.json", {"_class_name": "WanTransformer3DModel", **TRANSFORMER, **channels})
    dump(folder / "vae" / "config.json", _vae(kind))
    dump(folder / "text_encoder" / "config.json", _text())
    dump(folder / "scheduler" / "scheduler_config.json", _scheduler(3.0 if two else 5.0))
    dump(folder / "model_index.json", _index(kind, two=two))


def dump(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _vae(kind: str) -> dict[str, Any]:
    return {
        "_class_name": "AutoencoderKLWan",
        **VAE[kind],
        "dim_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "attn_scales": [],
        "temperal_downsample": [False, True, True],
    }


def _text() -> dict[str, Any]:
    return {
        **TEXT,
        "architectures": ["UMT5EncoderModel"],
        "model_type": "umt5",
        "feed_forward_proj": "gated-gelu",
        "dense_act_fn": "gelu_new",
        "is_gated_act": True,
        "layer_norm_epsilon": 1e-6,
        "dropout_rate": 0.1,
        "is_encoder_decoder": True,
        "use_cache": True,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
        "tie_word_embeddings": False,
        "scalable_attention": True,
        "dtype": "bfloat16",
    }


def _scheduler(flow_shift: float) -> dict[str, Any]:
    return {
        "_class_name": "UniPCMultistepScheduler",
        "num_train_timesteps": 1000,
        "prediction_type": "flow_prediction",
        "use_flow_sigmas": True,
        "flow_shift": flow_shift,
        "solver_order": 2,
    }


def _index(kind: str, *, two: bool) -> dict[str, Any]:
    transformer: list[str | None] = ["diffusers", "WanTransformer3DModel"]
    return {
        "_class_name": "WanImageToVideoPipeline" if kind == "i2v" else "WanPipeline",
        "_diffusers_version": "0.35.0",
        "boundary_ratio": BOUNDARIES.get(kind),
        "expand_timesteps": not two,
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "transformer": transformer,
        "transformer_2": transformer if two else [None, None],
        "vae": ["diffusers", "AutoencoderKLWan"],
    }
