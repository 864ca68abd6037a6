"""The demo models' UMT5: written down, not trained.

Queries and keys are zero, so attention follows the relative position bias alone, and each head looks at one
neighbour. Every token's state is its own meaning and its neighbours': enough to tell a blue ball from a blue
background.
Wordings of one meaning lie close together, in whatever language, which is why few prompts teach all three.
"""

import numpy as np

from demo_models import tokenizer
from videos.runtimes.mlx_gen.demo_configs import TEXT

SEED = 7
SPREAD = 0.25  # how far wordings of one meaning lie apart, in standard deviations of the meanings
SHARP = 16.0  # e^16: all other positions together weigh less than a thousandth of the one a head looks at


def weights() -> dict[str, np.ndarray]:
    """diffusers' names; all float32."""
    rng = np.random.default_rng(SEED)
    width, inner, hidden = TEXT["d_model"], TEXT["d_kv"] * TEXT["num_heads"], TEXT["d_ff"]
    found = {"shared.weight": _embeddings(rng), "encoder.final_layer_norm.weight": np.ones(width)}
    for block in range(TEXT["num_layers"]):
        attention, feed = f"encoder.block.{block}.layer.0", f"encoder.block.{block}.layer.1"
        found |= {
            f"{attention}.layer_norm.weight": np.ones(width),
            f"{attention}.SelfAttention.q.weight": np.zeros((inner, width)),
            f"{attention}.SelfAttention.k.weight": np.zeros((inner, width)),
            f"{attention}.SelfAttention.v.weight": _random(rng, inner, width),
            f"{attention}.SelfAttention.o.weight": _random(rng, width, inner, 0.6),
            f"{attention}.SelfAttention.relative_attention_bias.weight": _neighbours(),
            f"{feed}.layer_norm.weight": np.ones(width),
            f"{feed}.DenseReluDense.wi_0.weight": _random(rng, hidden, width),
            f"{feed}.DenseReluDense.wi_1.weight": _random(rng, hidden, width),
            f"{feed}.DenseReluDense.wo.weight": _random(rng, width, hidden, 0.5),
        }
    return {name: np.asarray(values, np.float32) for name, values in found.items()}


def _embeddings(rng: np.random.Generator) -> np.ndarray:
    words = tokenizer.vocabulary()
    meanings = {meaning: rng.standard_normal(TEXT["d_model"]) for meaning in dict.fromkeys(words.values())}
    table = rng.standard_normal((TEXT["vocab_size"], TEXT["d_model"]))
    for number, meaning in enumerate(words.values(), start=len(tokenizer.SPECIAL)):
        table[number] = meanings[meaning] + SPREAD * table[number]
    return table


def _neighbours() -> np.ndarray:
    """Heads 0 to 3 look at the token after, the token before, and the ones two away."""
    forward = TEXT["relative_attention_num_buckets"] // 2
    bias = np.zeros((TEXT["relative_attention_num_buckets"], TEXT["num_heads"]))
    for head, bucket in enumerate((forward + 1, 1, forward + 2, 2)):
        bias[bucket, head] = SHARP
    return bias


def _random(rng: np.random.Generator, rows: int, columns: int, gain: float = 1.0) -> np.ndarray:
    return rng.standard_normal((rows, columns)) * gain / np.sqrt(columns)
