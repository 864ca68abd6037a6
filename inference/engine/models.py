"""Loading a model from a folder, and what there is to know of it. On the thread that computes."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_flatten
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import load

from inference.engine.bounds import Bounds
from inference.engine.detokenise import Vocabulary
from inference.engine.dimensions import Dimensions, read, text_part
from inference.engine.readings import backend
from inference.engine.speech.marks import Marks
from memory.protocol import WorkerFailed

SAMPLES, SAMPLE_BYTES = 16, 64 * 1024  # of every weight file: two fine-tunes of one model differ nearly everywhere
PROGRESS_STEPS = 50
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Loaded:
    """A model ready to compute. `tokenizer` is mlx-lm's wrapper; `width` the bytes of a computed value."""

    model: nn.Module
    tokenizer: Any
    vocabulary: Vocabulary
    marks: Marks
    config: dict[str, Any]
    dimensions: Dimensions
    context_window: int
    weights_bytes: int
    parameters: int
    dtype: mx.Dtype
    fingerprint: str

    @property
    def width(self) -> int:
        return int(self.dtype.size)

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.dimensions, self.width, backend())

    @property
    def eos(self) -> frozenset[int]:
        return frozenset(self.tokenizer.eos_token_ids)

    def new_cache(self) -> list[Any]:
        return list(make_prompt_cache(self.model))


def open_model(folder: Path, lease: int, progress: Progress) -> Loaded:
    """Load the model; nothing is read from the weights before it is known that they fit the lease.

    Raises:
        WorkerFailed: model_unusable, lease_too_small.
    """
    model, tokenizer, config = _lazily(folder)
    try:
        dimensions = read(config)
    except KeyError as missing:
        raise WorkerFailed("model_unusable", f"{folder}/config.json does not say {missing}.") from missing
    if backend() == "cpu" and shutil.which("g++") is None:
        mx.disable_compile()  # MLX compiles fused CPU kernels with it and fails without
    if backend() == "cpu":  # bfloat16 and float16 are emulated there: 20 times slower, and less exact
        model.set_dtype(mx.float32)
    weights = [array for _, array in tree_flatten(model.parameters())]
    total = sum(array.nbytes for array in weights)
    if total > lease:
        raise WorkerFailed("lease_too_small", f"The weights take {total:,} bytes and the lease is {lease:,}.")
    materialise(weights, total, progress)
    marks = Marks.of(tokenizer)
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        vocabulary=Vocabulary(tokenizer._tokenizer, marks.all_tokens),  # noqa: SLF001 - the wrapper hides len()
        marks=marks,
        config=config,
        dimensions=dimensions,
        context_window=dimensions.context,
        weights_bytes=total,
        parameters=sum(array.size for array in weights),
        dtype=next((array.dtype for array in weights if mx.issubdtype(array.dtype, mx.floating)), mx.float32),
        fingerprint=fingerprint(folder),
    )


def _lazily(folder: Path) -> tuple[nn.Module, Any, dict[str, Any]]:
    if not (folder / "config.json").is_file():
        raise WorkerFailed("model_unusable", f"There is no config.json in {folder}.")
    try:
        model, tokenizer, config = load(str(folder), lazy=True, return_config=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise WorkerFailed("model_unusable", f"{folder.name} cannot be loaded: {error}") from error
    return model, tokenizer, config


def materialise(weights: list[mx.array], total: int, progress: Progress) -> None:
    done, said = 0, 0
    for array in weights:
        mx.eval(array)
        done += array.nbytes
        if done - said >= total / PROGRESS_STEPS or done == total:
            said = done
            progress(done, total)


def generation_defaults(folder: Path) -> dict[str, float]:
    """The sampling settings the model's makers advise, from generation_config.json; penalties of what was said too."""
    try:
        said = json.loads((folder / "generation_config.json").read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(said, dict) or said.get("do_sample") is False:
        return {}
    names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "frequency_penalty")
    return {name: said[name] for name in names if isinstance(said.get(name), int | float)}


def fingerprint(folder: Path) -> str:
    """Of weights, configuration and tokenizer: headers, sizes and samples of the weights, the rest whole."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors":
            _sample(path, digest)
        elif path.suffix in (".json", ".jinja", ".model", ".tiktoken", ".txt"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _sample(path: Path, digest: Any) -> None:
    size = path.stat().st_size
    digest.update(f"{path.name} {size}".encode())
    with path.open("rb") as file:
        head = file.read(8)
        digest.update(head + file.read(min(int.from_bytes(head, "little"), size)))
        for at in range(SAMPLES):
            file.seek(size * at // SAMPLES)
            digest.update(file.read(SAMPLE_BYTES))


def facts(loaded: Loaded, folder: Path, context_limit: int) -> dict[str, Any]:
    """What the node is told in `ready`."""
    tokenizer = loaded.tokenizer
    return {
        "name": folder.name,
        "type": text_part(loaded.config).get("model_type"),
        "fingerprint": loaded.fingerprint,
        "context_window": loaded.context_window,
        "context_limit": context_limit,
        "vocab_size": loaded.dimensions.vocab,
        "eos_token_ids": sorted(loaded.eos),
        "bos_token_id": tokenizer.bos_token_id,
        "chat_template": bool(tokenizer.has_chat_template),
        "tools": loaded.marks.family or None,
        "thinks": loaded.marks.think_start is not None,
        "dtype": str(loaded.dtype).removeprefix("mlx.core."),
        "parameters": loaded.parameters,
        "weights_bytes": loaded.weights_bytes,
        "kv_bytes_per_token": loaded.bounds.kv_bytes_per_token,
        "cache_kinds": sorted({type(cache).__name__ for cache in loaded.new_cache()}),
        "defaults": generation_defaults(folder),
    }
