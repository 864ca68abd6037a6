"""How many bytes a forward, a join or a step can take at most, from the model's dimensions. No MLX here.

The terms are what mlx-lm 0.32.2 allocates, and the constants were fitted to peaks (mlx 0.32.4, CPU, float32, models of
2 to 10 layers, November 2026); `benchmarks/gate_bound.py` measures them again. Of what a forward makes and lets go, one
layer's counts; of what it keeps, all layers'.
"""

from dataclasses import dataclass

from inference.engine.dimensions import Dimensions

KV_STEP = 256  # mlx_lm.models.cache.KVCache.step: a cache grows by so many tokens
SCORE_BYTES = 4  # attention scores and recurrent states are float32
FUSED_HEAD_DIMS = {"metal": frozenset({64, 80, 128})}  # mlx/backend/metal/scaled_dot_product_attention.cpp
MASK_BYTES = 2  # one mask for all heads, and what it is made of
RECURRENT_COPIES = 5  # of what a recurrent layer makes of a token, by a kernel that keeps its state to itself
STEPWISE = frozenset({"cpu", "cuda"})  # mlx-lm has no such kernel there: a state for every token of a chunk,
STEPWISE_COPIES = 2.5  # and so many of the rest
LOGIT_COPIES = 2  # those of the step under way and of the next
ACTIVATIONS = 1.8  # layers' worth of activations at once; 1 while a cache is copied, since it is read before
LEAST_BYTES = 64 * 1024  # what a forward takes whatever its size: buffers are rounded up, four pages of them here
SLACK = 1.06  # MLX frees behind the computation, at another moment each time: some peaks differ by half and more


def rounded(tokens: int) -> int:
    return -(-tokens // KV_STEP) * KV_STEP


@dataclass(frozen=True, slots=True)
class Held:
    """A cache: its rows, the tokens in each, and the tokens there is memory for. `dense`: the kind for many rows."""

    rows: int
    length: int
    capacity: int
    dense: bool

    @property
    def full(self) -> bool:
        """The next token makes it grow."""
        return self.length >= self.capacity


EMPTY = Held(0, 0, 0, dense=False)


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
        return batch * (self._layer(rounded(length)) * self.dimensions.full_layers + self._fixed(length))

    def forward(self, batch: int, tokens: int, context: int) -> int:
        """What one forward of `tokens` new tokens each takes above what is held, with `context` cached before."""
        total, held = context + tokens, rounded(context)
        capacity = held if total <= held else context + rounded(tokens)
        grown = batch * self._layer(capacity - held) * self.dimensions.full_layers
        copied = batch * self._layer(capacity) if grown and context else 0
        scores = self._scores(batch, tokens, total) if self.dimensions.scored else 0
        kept = grown + batch * self._fixed_growth(context, tokens)
        return LEAST_BYTES + int(SLACK * (scores + kept + self._passing(batch * tokens, copied)))

    def bunch(self, batch: int, longest: int) -> int:
        """Whole prompts in one forward, of which each has a mask of its own."""
        masks = batch * longest * longest * MASK_BYTES if self.dimensions.window_layers else 0
        return self.forward(batch, longest, 0) + masks

    def decode(self, batch: int, length: int) -> int:
        """One decode step of a cohort padded to `length`, its logits included."""
        logits = LOGIT_COPIES * batch * self.dimensions.vocab * SCORE_BYTES
        activations, scores = batch * self._activations, self._scores(batch, 1, length + 1)
        state = batch * self.dimensions.state_values * SCORE_BYTES if self.dimensions.recurrent_layers else 0
        recurrent = 3 * state + int(STEPWISE_COPIES * batch * self.dimensions.linear * SCORE_BYTES)
        passing = scores + recurrent if self.dimensions.scored else max(scores, recurrent)
        return int(SLACK * (passing + activations + logits))

    def step(self, held: Held) -> int:
        """The next step of a cohort: if its cache is full, all of it grows, one layer at a time being copied."""
        if not held.full:
            return self.decode(held.rows, held.length)
        grown = held.rows * self._layer(KV_STEP) * self.dimensions.full_layers
        copied = held.rows * self._layer(held.length + KV_STEP) if self.dimensions.full_layers else 0
        return self.decode(held.rows, held.length) + int(SLACK * (grown + copied))

    def join(self, there: Held, new: Held, copies: int) -> int:
        """Bringing `new` into a cohort that holds `there`: its rows, or `copies` of its only one. A layer at a time is
        made anew, and the old one let go; what the newcomers held is let go with it."""
        if not there.rows and copies <= 1:
            return 0  # the cache is taken over as it is
        rows = copies or new.rows
        total, longest = there.rows + rows, max(there.length, new.length)
        if copies and not there.dense:  # mlx_lm's BatchKVCache.merge
            result = total * longest
            passing = result
        else:  # its extend: both are padded first
            size = max(there.capacity if there.dense else there.length, new.length if copies else new.capacity)
            merged = (rows * new.length if copies else 0) + (0 if there.dense else there.length)
            result = total * size
            passing = result + merged + _padded(there, size, longest) + rows * _padding(new, size, longest, copies)
        kept = result - there.rows * there.capacity - new.rows * new.capacity
        full = passing + max(0, kept) * (self.dimensions.full_layers - 1) if self.dimensions.full_layers else 0
        return int(SLACK * (self._layer(full) + total * self._fixed(longest)))

    def request(self, prompt: int, promised: int, choices: int, chunk: int) -> int:
        """What a prompt and its answers hold, `promised` of it ahead, and the most that getting there takes on top."""
        filled = prompt - 1  # the last token goes into the first decode step
        filling = self.forward(1, min(chunk, max(1, filled)), max(0, filled - chunk))
        joining = self.cache(1, prompt) + self.join(EMPTY, Held(1, prompt, rounded(prompt), dense=False), choices)
        return max(promised + filling, joining)

    @property
    def _activations(self) -> int:
        """Of a token in one layer."""
        return (4 * self.dimensions.hidden + 3 * self.dimensions.intermediate) * self.width

    def _passing(self, tokens: int, copied: int) -> int:
        """What a layer makes of its tokens and lets go: an attending one beside a copy of its cache, or a recurrent."""
        activations = tokens * self._activations
        attending = max(int(ACTIVATIONS * activations), copied + activations)
        if not self.dimensions.recurrent_layers:
            return attending
        values: float = RECURRENT_COPIES * self.dimensions.linear
        if self.backend in STEPWISE:
            values = self.dimensions.state_values + STEPWISE_COPIES * self.dimensions.linear
        return max(attending, int(tokens * values * SCORE_BYTES))

    def _layer(self, tokens: int) -> int:
        return tokens * self.dimensions.kv_values * self.width

    def _fixed(self, length: int) -> int:
        """What does not grow with the length any more: windows and recurrent states."""
        window = self.dimensions.window_layers * self._layer(min(length, self.dimensions.window))
        return window + self.dimensions.recurrent_layers * self.dimensions.state_values * SCORE_BYTES

    def _fixed_growth(self, context: int, tokens: int) -> int:
        """A window layer holds the window and the chunk side by side, and had a chunk there before if it had any; one
        of them, and one recurrent state, is there twice."""
        if not context:
            return self.dimensions.window_layers * self._layer(tokens) + self._fixed(0)
        held = self._layer(min(context, self.dimensions.window) + tokens) if self.dimensions.window_layers else 0
        return held + self._fixed(0)

    def _scores(self, batch: int, tokens: int, total: int) -> int:
        if self.dimensions.head_dim in FUSED_HEAD_DIMS.get(self.backend, ()):
            return 0
        seen = total if self.dimensions.full_layers else min(total, self.dimensions.window + tokens)
        return batch * tokens * seen * (self.dimensions.heads * SCORE_BYTES + MASK_BYTES)


def _padded(there: Held, size: int, longest: int) -> int:
    return there.rows * _padding(there, size, longest, copies=0 if there.dense else 1)


def _padding(one: Held, size: int, longest: int, copies: int) -> int:
    """Tokens of a row that is padded, or none if it has that size already. A merged one has no spare capacity."""
    capacity = one.length if copies else one.capacity
    return 0 if capacity == size and one.length == longest else size
