"""python -m videos.runtimes.mlx_gen.demo FOLDER [--kind t2v|ti2v]: a tiny Wan2.2 checkpoint, the same bytes every time.

The weights are random: its videos are coloured noise that follows the seed, the prompt and every setting. Names and
shapes come from inverting mlx-gen's own weight mapping, so loading it exercises the loader of the real checkpoints.
"""

import argparse
import hashlib
import json
import math
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mflux.models.common.weights.mapping.weight_transforms import WeightTransforms
from mlx import nn
from mlx.utils import tree_flatten
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram

from videos.runtimes.mlx_gen import architecture, demo_configs, mlxgen, tensors
from videos.runtimes.mlx_gen.checkpoint import Checkpoint

RECIPE = 4  # raise it when the bytes change: older demo folders are then made again
MARK = "fmlx-demo.json"
SITE_SETTINGS = "fmlx.json"  # read by the site's discovery: what a request that names no size gets
DEFAULTS = {"size": "64x64", "frames": 17, "fps": 8, "steps": 4}
WEIGHTS = "diffusion_pytorch_model.safetensors"
SPACE = "\u2581"
# MLX keeps the input channels of a convolution last, torch keeps them second.
TO_TORCH = {
    WeightTransforms.transpose_conv3d_weight: (0, 4, 1, 2, 3),
    WeightTransforms.transpose_conv2d_weight: (0, 3, 1, 2),
}
Shapes = Mapping[str, tuple[int, ...]]


def make(folder: Path, kind: str = "t2v") -> bool:
    """Build the checkpoint in `folder`, which appears whole or not at all. False when it is there already.

    Raises:
        FileExistsError: `folder` holds something that this did not make.
    """
    mark = {"recipe": RECIPE, "kind": kind}
    if folder.exists() and _mark(folder) == mark:
        return False
    if folder.exists() and not _mark(folder):
        raise FileExistsError(f"{folder} is there already and is not a demo model; move it away first.")
    part = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    try:
        _fill(part, kind)
        demo_configs.dump(part / SITE_SETTINGS, {"defaults": DEFAULTS, "rank": -2})
        demo_configs.dump(part / MARK, mark)
        _swap(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True


def _mark(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / MARK).read_text())
    except (OSError, ValueError):
        return {}
    return found


def _swap(part: Path, folder: Path) -> None:
    old = part.with_name(part.name + ".old")
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _fill(folder: Path, kind: str) -> None:
    demo_configs.write(folder, kind)
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "tokenizer.json").write_text(_tokenizer().to_str(pretty=True) + "\n", encoding="utf-8")
    demo_configs.dump(folder / "tokenizer" / "tokenizer_config.json", _tokenizer_config())
    config = architecture.model_config(Checkpoint(folder))
    for component in mlxgen.components(config):
        shapes = dict(_torch_shapes(mlxgen.module(component.name, config), component.mapping_getter()))
        write(folder / component.name / WEIGHTS, shapes, single=component.name == "vae")
    write(folder / "text_encoder" / "model.safetensors", dict(_umt5_shapes()))


def _torch_shapes(module: nn.Module, mapping: list[Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The names and shapes that diffusers stores this module's parameters under."""
    shapes = {name: weight.shape for name, weight in tree_flatten(module.parameters())}
    for target in mapping:
        shape = shapes.get(target.to_pattern)
        if shape is not None:  # equal-width blocks have no shortcut
            order = TO_TORCH.get(target.transform, range(len(shape)))
            yield target.from_pattern[0], tuple(shape[axis] for axis in order)


def _umt5_shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    text = demo_configs.TEXT
    width, inner, hidden = text["d_model"], text["d_kv"] * text["num_heads"], text["d_ff"]
    yield "shared.weight", (text["vocab_size"], width)
    yield "encoder.final_layer_norm.weight", (width,)
    for block in range(text["num_layers"]):
        name = f"encoder.block.{block}.layer"
        for part in "qkv":
            yield f"{name}.0.SelfAttention.{part}.weight", (inner, width)
        yield f"{name}.0.SelfAttention.o.weight", (width, inner)
        table = (text["relative_attention_num_buckets"], text["num_heads"])
        yield f"{name}.0.SelfAttention.relative_attention_bias.weight", table
        yield f"{name}.0.layer_norm.weight", (width,)
        for part in ("wi_0", "wi_1"):
            yield f"{name}.1.DenseReluDense.{part}.weight", (hidden, width)
        yield f"{name}.1.DenseReluDense.wo.weight", (width, hidden)
        yield f"{name}.1.layer_norm.weight", (width,)


def write(path: Path, shapes: Shapes, *, single: bool = False) -> None:
    scope = f"{path.parent.name}/{path.name}"
    dtype, pack = ("F32", float32) if single else ("BF16", bfloat16)
    found = {name: (dtype, shape, pack(_values(scope, name, shape))) for name, shape in shapes.items()}
    tensors.write(path, found)


def _values(scope: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Ones for norms, zeros for biases, uniform of variance 1/fan-in for the rest; of its name alone."""
    if "norm" in name and not name.endswith("bias"):
        return np.ones(shape, np.float32)
    if name.endswith(".bias"):
        return np.zeros(shape, np.float32)
    seed = int.from_bytes(hashlib.sha256(f"{scope}:{name}".encode()).digest()[:8], "little")
    raw = np.random.PCG64(seed).random_raw(math.prod(shape)) >> np.uint64(40)  # 24 bits: exact in float32
    fan_in = 1 if name == "shared.weight" else math.prod(shape[1:])
    uniform = raw.astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)
    return (uniform * np.float32(math.sqrt(3.0 / fan_in))).reshape(shape)


def float32(values: np.ndarray) -> bytes:
    return bytes(values.astype("<f4").tobytes())


def bfloat16(values: np.ndarray) -> bytes:
    """The upper half of each float32, rounded to nearest, ties to even."""
    bits = values.astype("<f4").view("<u4")
    return bytes(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes())


def _tokenizer() -> Tokenizer:
    vocabulary = [(token, 0.0) for token in demo_configs.SPECIAL]
    vocabulary += [(SPACE, -2.0)] + [(SPACE + word, -3.0) for word in demo_configs.WORDS]
    vocabulary += [(chr(code), -6.0) for code in range(33, 127)]
    vocabulary += [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]  # any other script, byte by byte
    tokenizer = Tokenizer(Unigram(vocabulary, unk_id=2, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.add_special_tokens(list(demo_configs.SPECIAL))
    return tokenizer


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "T5Tokenizer",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "extra_ids": 0,
        "additional_special_tokens": [],
        "model_max_length": 512,
        "clean_up_tokenization_spaces": False,
        "padding_side": "right",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Build a tiny Wan2.2 checkpoint with random weights.")
    parser.add_argument("folder", type=Path, help="the checkpoint's own folder, for instance models/demo-video")
    parser.add_argument("--kind", choices=demo_configs.KINDS, default="t2v")
    options = parser.parse_args()
    mx.set_default_device(mx.cpu)
    try:
        made = make(options.folder.absolute(), options.kind)
    except FileExistsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"The demo model {'is ready' if made else 'was there already'} in {options.folder}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
