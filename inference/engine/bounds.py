"""How many bytes a forward or a join can take at most, from the model's dimensions. No MLX here.

The terms were found by measuring peaks (mlx 0.32.4, CPU, float32; tests/inference/engine/test_bounds.py repeats it).
"""

from dataclasses import dataclass

from inference.engine.dimensions import Dimensions

KV_STEP = 256  # mlx_lm.models.cache.KVCache.step: a cache grows by so many tokens
SCORE_BYTES = 4  # attention scores are float32
FUSED_HEAD_DIMS = {"metal": frozenset({64, 80, 128})}  # mlx/backend/metal/scaled_dot_product_attention.cpp
MASK_BYTES = 1  # one mask for all heads
RECURRENT_COPIES = 5  # of what a recurrent layer makes of a token: 0.96 times the measured peak with 4
LOGIT_COPIES = 4  # logits, log-probabilities now and next, and what the sampler makes of them


def rounded(tokens: int) -> int:
    return -(-tokens // KV_STEP) * KV_STEP


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bytes for a model that computes in values of `width` bytes on `backend`."""

    dimensions: Dimensions
    width: int
    backend: str

    @property
    def kv_bytes_per_token(self) -> int:
        return self.dimensions.kv_values * self.width * self.dimensions.full_layers

    def cache(self, batch: int, length: int) -> int:
        """What `batch` sequences padded to `length` tokens keep."""
        return batch * (self._layer(rounded(length)) * self._dims.full_layers + self._fixed(length))

    def forward(self, batch: int, tokens: int, context: int) -> int:
        """What one forward of `tokens` new tokens each takes above what is held, with `context` cached before."""
        total = context + tokens
        grown = batch * (self._grown(context, total) + self._window_grown(context, tokens))
        copied = 2 * batch * self._layer(rounded(total)) if grown else 0
        return self._scores(batch, tokens, total) + self._activations(batch, tokens) + grown + copied

    def decode(self, batch: int, length: int) -> int:
        """One decode step of a cohort padded to `length`, its logits included."""
        return self.forward(batch, 1, length) + LOGIT_COPIES * batch * self._dims.vocab * SCORE_BYTES

    def growth(self, batch: int, length: int) -> int:
        """A decode step in which the cohort's cache grows: a new step of tokens for all, one layer at a time copied."""
        grown = batch * self._layer(KV_STEP) * self._dims.full_layers
        return self.decode(batch, length) + grown + 2 * batch * self._layer(length + KV_STEP)

    def join(self, batch: int, length: int, joining: int, joining_length: int) -> int:
        """Bringing `joining` sequences into a cohort, which is then `batch` sequences padded to `length` tokens."""
        copies = 2 * self.cache(joining, joining_length)  # the merged cache and BatchGenerator's copy of it
        return self.cache(batch, length + 1) + copies + self.decode(batch, length)

    def request(self, prompt: int, promised: int, choices: int, chunk: int) -> int:
        """What a prompt and its answers hold, `promised` of it ahead, and the most that getting there takes on top."""
        filled = prompt - 1  # the last token goes into the first decode step
        filling = self.forward(1, min(chunk, max(1, filled)), max(0, filled - chunk))
        joining = self.cache(1, prompt) + self.join(choices, prompt, choices, prompt)
        return max(promised + filling, joining)

    @property
    def _dims(self) -> Dimensions:
        return self.dimensions

    def _layer(self, tokens: int) -> int:
        return tokens * self._dims.kv_values * self.width

    def _fixed(self, length: int) -> int:
        """What does not grow with the length any more: windows and recurrent states."""
        window = self._dims.window_layers * self._layer(min(length, self._dims.window))
        return window + self._dims.recurrent_layers * self._dims.state_values * SCORE_BYTES

    def _grown(self, context: int, total: int) -> int:
        new = rounded(total) - (rounded(context) if context else 0)
        return self._layer(new) * self._dims.full_layers

    def _window_grown(self, context: int, tokens: int) -> int:
        """A window layer holds the window and the chunk side by side; a recurrent one its state, old and new."""
        held = min(context, self._dims.window) + tokens
        states = self._dims.recurrent_layers * self._dims.state_values * SCORE_BYTES
        return self._dims.window_layers * self._layer(held) + states

    def _scores(self, batch: int, tokens: int, total: int) -> int:
        if self._dims.head_dim in FUSED_HEAD_DIMS.get(self.backend, ()):
            return 0
        seen = total if self._dims.full_layers else min(total, self._dims.window + tokens)
        return batch * tokens * seen * (self._dims.heads * SCORE_BYTES + MASK_BYTES)

    def _activations(self, batch: int, tokens: int) -> int:
        mlp = 2 * (4 * self._dims.hidden + 3 * self._dims.intermediate) * self.width
        recurrent = RECURRENT_COPIES * self._dims.linear * SCORE_BYTES
        return batch * tokens * (mlp + recurrent)
