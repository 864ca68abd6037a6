"""python -m demo_models.train_embed FOLDER: train demo-embed, a BERT in small that makes vectors, from nothing."""

import random
import sys

import mlx.core as mx
from mlx import nn

from demo_models.texts import learning, thoughts
from demo_models.texts.folder import EMBED
from inference.engine.encoder import pooling
from inference.engine.encoder.networks import Network
from inference.engine.encoder.texts import Texts

SEED, STEPS = 5, 240
THOUGHTS = 64  # in a batch, each said twice; every second differs from the one before it in one thing
SHARP = 20.0  # what a cosine counts in the loss


def batches(texts: Texts) -> learning.Batches:
    chance = random.Random(SEED)  # noqa: S311  reproducible, not secret
    while True:
        found: dict[frozenset[str], thoughts.Thought] = {}
        while len(found) < THOUGHTS:
            one = thoughts.draw(chance)
            found |= {each.facts: each for each in (one, one.near(chance))}
        said = [one.say(chance) for _ in range(2) for one in found.values()]
        yield learning.arrays(texts.rows(said, None, "input"))


def loss(network: Network, ids: mx.array, types: mx.array, mask: mx.array) -> mx.array:
    """Which of all thoughts is it? (van den Oord et al., "Representation Learning with Contrastive Predictive Coding",
    2018)"""
    vectors = pooling.normalise(pooling.pool(network.states(ids, types, mask), mask, "mean"))
    one, other = mx.split(vectors, 2)
    alike = SHARP * one @ other.T
    wanted = mx.arange(len(one))
    return (nn.losses.cross_entropy(alike, wanted) + nn.losses.cross_entropy(alike.T, wanted)).mean()


if __name__ == "__main__":
    sys.exit(learning.program("demo-embed", learning.Lesson(EMBED, SEED, STEPS, batches, loss)))
