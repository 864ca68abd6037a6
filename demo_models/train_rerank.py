"""python -m demo_models.train_rerank FOLDER: train demo-rerank, a BERT in small that compares texts, on from the
words that demo-embed knows."""

import random
import sys

import mlx.core as mx
from mlx import nn

from demo_models.texts import learning, start, thoughts
from demo_models.texts.folder import RERANK
from inference.engine.encoder.networks import Network
from inference.engine.encoder.texts import Texts

SEED, STEPS = 6, 200
STRICT = 2  # the power of the share of facts that both say: half of them is not half the same
THOUGHTS = 24  # in a batch, each compared with itself, one that differs in one thing, a part of it, and any other


def batches(texts: Texts) -> learning.Batches:
    chance = random.Random(SEED)  # noqa: S311  reproducible, not secret
    while True:
        pairs, wanted = [], []
        for one in [thoughts.draw(chance) for _ in range(THOUGHTS)]:
            for other in (one, one.near(chance), one.part(chance), thoughts.draw(chance)):
                pair = [one.say(chance), other.say(chance)]
                chance.shuffle(pair)
                pairs.append((pair[0], pair[1]))
                wanted.append(one.likeness(other) ** STRICT)
        yield *learning.arrays(texts.pairs(pairs, None, None, "input")), mx.array(wanted)


def loss(network: Network, ids: mx.array, types: mx.array, mask: mx.array, wanted: mx.array) -> mx.array:
    """How far is each score, which the first token gives, from how much the two say the same?"""
    scores = network.scores(network.states(ids, types, mask)[:, 0], (0, 0))
    return nn.losses.binary_cross_entropy(scores, wanted, with_logits=True)


if __name__ == "__main__":
    sys.exit(learning.program("demo-rerank", learning.Lesson(RERANK, SEED, STEPS, batches, loss, start.give)))
