"""python -m inference.engine.demo --kind chat|hybrid|swa FOLDER: a tiny chat model, the same bytes every time.

The weights are random, so its answers are noise that follows the prompt, the seed and every setting; the three kinds
have the three kinds of cache there are: one that grows, one that keeps a state, one that keeps a window.
"""

import argparse
import json
import os
import shutil
import struct
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from mlx.utils import tree_flatten
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers import models as tokenizer_models

from inference.engine import demo_configs
from inference.engine.messages import Json

RECIPE = 2  # raise it when the bytes change: older demo folders are then made again
MARK = "fmlx-demo.json"
SEED = 20261121
SPREAD = 0.06  # of the random weights: logits stay finite, and tokens varied
CORPUS = Path(__file__).resolve().parent.parent.parent / "LICENSE"  # a text that does not change


def make(folder: Path, kind: str = "chat") -> bool:
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
        part.mkdir(parents=True)
        write(part, kind)
        _dump(part / MARK, mark)
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True


def _mark(folder: Path) -> Json:
    try:
        mark: Json = json.loads((folder / MARK).read_text())
    except (OSError, ValueError):
        return {}
    return mark


def write(folder: Path, kind: str, **changes: Any) -> None:
    """Write the checkpoint of a kind, with `changes` to its configuration, into a folder that is there."""
    tokenizer = _tokenizer()
    config = demo_configs.config(kind, tokenizer.get_vocab_size(), tokenizer.get_vocab()[demo_configs.END]) | changes
    tokenizer.save(str(folder / "tokenizer.json"))
    _dump(folder / "config.json", config)
    _dump(folder / "tokenizer_config.json", demo_configs.tokenizer_config(config))
    _dump(folder / "generation_config.json", {"eos_token_id": [config["eos_token_id"]], "pad_token_id": 0})
    (folder / "chat_template.jinja").write_text(demo_configs.CHAT_TEMPLATE)
    _write_weights(folder / "model.safetensors", _weights(config))


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(tokenizer_models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=demo_configs.VOCABULARY,
        special_tokens=list(demo_configs.SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([CORPUS.read_text()], trainer)
    tokenizer.add_tokens([AddedToken(marker, special=False, normalized=False) for marker in demo_configs.MARKERS])
    return tokenizer


def _weights(config: Json) -> dict[str, np.ndarray[Any, Any]]:
    module = import_module(f"mlx_lm.models.{config['model_type']}")
    model = module.Model(module.ModelArgs.from_dict(config))
    generator = np.random.default_rng(SEED)
    shapes = sorted((name, array) for name, array in tree_flatten(model.parameters()))
    return {name: _values(array, generator) for name, array in shapes}


def _values(array: Any, generator: np.random.Generator) -> np.ndarray[Any, Any]:
    """Matrices are random; norms, biases and decays stay as the architecture begins them."""
    if array.ndim < 2:  # noqa: PLR2004 - a vector
        return np.array(array, dtype=np.float32) * 0 + 1
    return (generator.standard_normal(array.shape) * SPREAD).astype(np.float32)


def _write_weights(path: Path, weights: dict[str, np.ndarray[Any, Any]]) -> None:
    """safetensors, with the tensors in the order of their names (mlx writes them in the order of a hash table)."""
    header: Json = {"__metadata__": {"format": "mlx"}}
    end = 0
    for name, values in weights.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [end, end + values.nbytes]}
        end += values.nbytes
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for values in weights.values():
            file.write(values.tobytes())


def _dump(path: Path, value: Json) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=sorted(demo_configs.KINDS), default="chat")
    chosen = parser.parse_args()
    try:
        made = make(chosen.folder, chosen.kind)
    except FileExistsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"demo-{chosen.kind} is {'made in' if made else 'there already in'} {chosen.folder}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
