"""What one forward over a batch may take beside the weights, in bytes. No MLX here.

A layer's arrays are given back when the next one begins, so a forward costs what one layer does.
"""

from dataclasses import dataclass

SCORES = 3  # scores, scaled and masked scores, and their softmax, at one time: attention is not fused in these networks
MASKS = 2  # of one row, whole and windowed
STATES = 20  # hidden states at one time: queries, keys and values as made and as turned, the input, what is added
INNER = 4  # states inside the MLP, the gate's included
WIDTH = 4  # float32: what is computed on CPU, and more than what is computed elsewhere


@dataclass(frozen=True, slots=True)
class Bounds:
    """`hidden`: of a state, or of all heads together where that is more. Checked against real peaks by
    `tests/inference/engine/test_encoder.py`.
    """

    hidden: int
    intermediate: int
    heads: int
    vocab: int = 0  # words that a score is made of, for one token of a row

    def forward(self, rows: int, length: int) -> int:
        square = (SCORES * self.heads + MASKS) * length * length
        line = (STATES * self.hidden + INNER * self.intermediate) * length
        return WIDTH * rows * (square + line + self.vocab)

    def rows(self, length: int, room: int) -> int:
        """How many rows of so many tokens fit into `room` bytes; 0 if not even one does."""
        return max(0, room) // self.forward(1, length)
