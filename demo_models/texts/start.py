"""Start values of the reranker: the words as demo-embed knows them, and a comparison that is written down.

One head looks at the first text and one at the second, and what they find is subtracted: two texts of one meaning leave
nothing. Without the comparison, 200 steps of training tell 71 % of trials rightly instead of all.
"""

import math

import mlx.core as mx
import numpy as np

from demo_models import shipped
from demo_models.texts import vocabulary
from inference.engine.encoder.networks import Network

SEED = 6
SHARP = 8.0  # how strongly a head looks at its own text
APART = 0.05  # in each of its values: what tells a token of one text from one of the other
LOUD = 3.0  # of what is found: so that it is about as long as the first token's own state
SPECIAL = len(vocabulary.SPECIAL)
EMBEDDINGS, ATTENTION = "embeddings.", "encoder.layer.0.attention"


def give(network: Network) -> None:
    rng = np.random.default_rng(SEED)
    known = mx.load(str(shipped.WEIGHTS / "demo-embed" / "model.safetensors"))
    found = {name: value for name, value in known.items() if name.startswith(EMBEDDINGS)}
    width = known[f"{EMBEDDINGS}LayerNorm.weight"].size
    apart = rng.choice([-1.0, 1.0], width)
    words, types = (np.array(found[f"{EMBEDDINGS}{name}_embeddings.weight"]) for name in ("word", "token_type"))
    found[f"{EMBEDDINGS}token_type_embeddings.weight"] = mx.array(
        types[0] + np.outer([APART, -APART], apart), mx.float32
    )
    left_out = np.stack([apart, np.ones(width), types[0], *words[:SPECIAL]])
    rows = np.concatenate([left_out.T, rng.standard_normal((width, width // 2))], axis=1)
    half = LOUD * np.linalg.qr(rows)[0].T[len(left_out) :]  # of what a token is, but for which text it is of
    look = np.zeros((2, width // 2, width))
    look[:, 0] = np.outer([1, -1], apart) / width
    asked = np.zeros((2, width // 2))
    asked[:, 0] = SHARP * math.sqrt(width // 2)
    for name, value in {
        "self.query.bias": asked.reshape(-1),
        "self.key.weight": look.reshape(-1, width),
        "self.value.weight": np.concatenate([half, half]),
        "output.dense.weight": np.concatenate([half, -half]).T,
    }.items():
        found[f"{ATTENTION}.{name}"] = mx.array(value, mx.float32)
    network.body.load_weights(list(found.items()), strict=False)
