"""The prefix cache as the prefill sees it: begin with what is there, stop where something is to be kept, keep it.

On the thread that computes; only files are read and written by others.
"""

import time
from collections.abc import Callable
from collections.abc import Sequence as Many
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import mlx.core as mx

from inference.engine.bounds import Bounds
from inference.engine.cache.blocks import BLOCK, Chain, root_of
from inference.engine.cache.hot import Hot, HotTier
from inference.engine.cache.layers import Arrays, Filling, Layers, Unsupported
from inference.engine.cache.plan import LEAST_POINT, Plan, look_up, stops
from inference.engine.cache.restore import AHEAD, BATCH_BYTES, Gone, Restore
from inference.engine.cache.tally import Tally
from inference.engine.cache.tiers import Slow, Tiers
from inference.engine.gate import Gate
from inference.engine.messages import Json
from inference.engine.models import Loaded
from inference.engine.pace import MAX_TOKENS
from inference.engine.requests import Request, Sequence
from inference.engine.versions import versions

HOT_SHARE = 2  # one part of what the lease leaves beside the model: nobody else has it, and it is given back when asked
LEAST_STRIDE = 4  # blocks between snapshots: chunks end there, and shorter ones take longer together
LEAST_ANSWER = 32  # tokens: a shorter one is as quickly computed again as it is kept
ATTEMPTS = 3  # to bring a prefix back of which blocks turn out to be gone


class Prompt(Protocol):
    """What the cache needs of a prompt on its way into the model's own cache: `prefill.Prefill`."""

    request: Request
    tokens: list[int]
    cache: list[Any] | None
    done: int
    prefix: "Prefix | None"

    @property
    def total(self) -> int: ...


@dataclass(slots=True, eq=False)
class Prefix:
    """What the cache knows of one prompt. `seen` tokens were computed or brought back, and dealt with."""

    chain: Chain
    plan: Plan
    stops: list[int]
    cuts: bool
    seen: int = 0
    attempts: int = 0
    as_of: int = 0  # how much had been kept when it was looked up
    restore: Restore | None = None
    there: dict[int, bool] = field(default_factory=dict)  # blocks by their end, and whether they are complete

    def next_cut(self, done: int) -> int | None:
        """Where the next chunk must end at the latest."""
        return next((stop for stop in self.stops if stop > done), None) if self.cuts else None


class PrefixCache:
    """`slow` is the SSD tier, if there is one; `hot_bytes` None means a share of the lease."""

    def __init__(
        self, loaded: Loaded, bounds: Bounds, gate: Gate, *, name: str, hot_bytes: int | None, slow: Slow | None
    ) -> None:
        self._loaded, self._bounds, self._gate = loaded, bounds, gate
        self.counts = Tally()
        self.problem = ""
        self._kept = 0
        self._layers: Layers | None = None
        try:
            self._layers = Layers(loaded.new_cache())
        except Unsupported as unsupported:
            self.problem = str(unsupported)
        self._facts = {
            "weights": loaded.fingerprint,
            "dtype": str(loaded.dtype),
            "layers": self._layers.description if self._layers else "",
            "mlx-lm": versions()["mlx-lm"],
        }
        share = lambda: (gate.lease - gate.base - gate.margin) // HOT_SHARE  # noqa: E731 - the lease changes
        self.hot = gate.lender = HotTier(share if hot_bytes is None else lambda: hot_bytes)
        self._slow = slow
        self._tiers = Tiers(self.hot, slow, root_of(self._facts, "").hex(), name)
        self._reader = ThreadPoolExecutor(1, "cache-reader")

    def close(self, timeout: float) -> None:
        """Let what waits be written, for `timeout` seconds at most."""
        self._reader.shutdown(wait=True, cancel_futures=True)
        if self._slow:
            self._slow.close(timeout)

    # before a prompt is computed

    def begin(self, prefill: Prompt) -> None:
        """Look up what is there of a prompt."""
        why = "unsupported" if self._layers is None else "" if prefill.request.parameters.cache else "off"
        if self._layers is None or why or prefill.total < LEAST_POINT:
            self.counts.missed[why or "new"] += prefill.total
            return
        chain = Chain(self._root(prefill.request.parameters.cache_salt), prefill.tokens)
        prefill.prefix = Prefix(chain, Plan([], []), [], cuts=self._layers.snapshots)
        self._look_up(prefill, prefill.prefix)

    def restore(self, prefill: Prompt, seconds: float) -> bool:
        """Go on with bringing back what is there. False when there is nothing more to bring."""
        prefix = prefill.prefix
        if prefix is None or prefill.cache is not None or prefix.attempts > ATTEMPTS:
            return False
        if prefix.restore is None and not self._open(prefill, prefix):
            return False
        assert prefix.restore is not None  # noqa: S101 - `_open` made it
        with self._gate.measured(self._need(prefix.restore.position, prefill.total)):
            try:
                cache = prefix.restore.step(seconds, warm=self._gate.room() > self._bounds.cache(1, prefill.total))
            except Gone:
                prefix.restore = None
                return True
        if cache is not None:
            self._brought(prefill, prefix, prefix.restore, cache)
        return True

    def _open(self, prefill: Prompt, prefix: Prefix) -> bool:
        """Find the memory for what is there; where it is short, let go of what is hot and take it from the SSD."""
        prefix.attempts += 1
        position = prefix.plan.position
        if prefix.attempts > 1 or prefix.as_of != self._kept:
            position = self._look_up(prefill, prefix)
        for hot in (True, False) if prefix.plan.found and prefix.attempts <= ATTEMPTS else ():
            plan = prefix.plan if hot else self._plan(prefix.chain, prefill.total, hot=False)
            with self.hot.pinned(found.key for found in plan.found if found.where == "hot"):
                if plan.found and self._gate.allows(self._need(plan.position, prefill.total)):
                    filling = Filling(self._loaded.new_cache(), self._capacity(plan.position, prefill.total))
                    prefill.request.prefill_began = prefill.request.prefill_began or time.monotonic()
                    prefix.restore = Restore(plan, prefix.chain, self._tiers, filling, self._reader)
                    return True
        self.counts.missed["no_room" if prefix.attempts <= ATTEMPTS else "unreadable"] += position
        self._count_missed(prefill, prefix, position)
        prefix.attempts = ATTEMPTS + 1
        return False

    def _count_missed(self, prefill: Prompt, prefix: Prefix, position: int) -> None:
        known = max(position, prefix.plan.known)
        self.counts.missed["no_snapshot"] += known - position
        self.counts.missed["new"] += prefill.total - known

    def _brought(self, prefill: Prompt, prefix: Prefix, restore: Restore, cache: list[Any]) -> None:
        prefill.cache, prefill.done, prefix.restore = cache, restore.position, None
        prefix.seen = restore.position
        self.counts.hot += restore.tokens["hot"]
        self.counts.ssd += restore.tokens["ssd"]
        self._count_missed(prefill, prefix, restore.position)
        self.hot.used(found.key for found in prefix.plan.found)
        request = prefill.request
        if not request.prefill_ended:
            request.cached_tokens = restore.position

    def _look_up(self, prefill: Prompt, prefix: Prefix) -> int:
        prefix.plan = plan = self._plan(prefix.chain, prefill.total)
        prefix.stops = stops(plan, prefill.total, prefill.request.points, self._stride)
        prefix.as_of = self._kept
        prefix.there = {found.position: found.complete for found in plan.present}
        return plan.position

    def _plan(self, chain: Chain, limit: int, *, hot: bool = True) -> Plan:
        return look_up(self._tiers, chain, limit, snapshots=self._stride is not None, hot=hot)

    @property
    def _stride(self) -> int | None:
        """Blocks between snapshots: so many that they take no more than the blocks do. None: the model needs none.

        They are for prefills that are aborted; conversations part elsewhere."""
        if self._layers is None or not self._layers.snapshots:
            return None
        far = 1 << 20
        block = BLOCK * self._bounds.kv_bytes_per_token
        state = self._bounds.cache(1, far) - far * self._bounds.kv_bytes_per_token
        return max(LEAST_STRIDE, -(-state // block)) if block else LEAST_STRIDE

    def _need(self, position: int, total: int) -> int:
        """Bytes: the cache, and what is read and not put in yet."""
        waiting = min(2 * self._bounds.cache(1, position), 2 * BATCH_BYTES + AHEAD * self._bounds.cache(1, BLOCK))
        return self._bounds.cache(1, self._capacity(position, total)) + waiting

    def _capacity(self, position: int, total: int) -> int:
        return min(total, position + MAX_TOKENS)

    def _root(self, salt: str) -> bytes:
        return root_of(self._facts, salt)

    # after a chunk

    def keep(self, prefill: Prompt) -> None:
        """Keep what a chunk has made whole: blocks, and where the prompt stops for it, what the layers hold there."""
        prefix, layers, end = prefill.prefix, self._layers, prefill.done
        if prefix is None or layers is None or prefill.cache is None or not self._keeps:
            return
        first = prefix.seen // BLOCK * BLOCK + BLOCK
        ends = [*range(first, end + 1, BLOCK)]
        ends += [stop for stop in prefix.stops if stop % BLOCK and prefix.seen < stop <= end]
        prefix.seen = end
        try:
            made = [self._made(prefix, layers, prefill.cache, at, end) for at in ends]
        except Unsupported as unsupported:
            self.problem, prefill.prefix = str(unsupported), None
            self.counts.skipped["unsupported"] += len(ends)
            return
        self._put(prefix, [block for block in made if block])

    def finished(self, sequence: Sequence, cache: Callable[[], list[Any]]) -> None:
        """Keep what was generated too: a next turn begins with it, where the template leaves it as it was.

        `cache` makes the sequence's own, which holds all its tokens."""
        prompt, end, layers = len(sequence.request.prompt), sequence.length, self._layers
        parameters = sequence.request.parameters
        if layers is None or not parameters.cache or parameters.n > 1 or not self._keeps:
            return
        if end < BLOCK or end - prompt < LEAST_ANSWER:
            return
        chain = Chain(self._root(parameters.cache_salt), sequence.tokens)
        prefix = Prefix(chain, Plan([], []), [end], cuts=layers.snapshots, seen=end)
        ends = [*range(prompt // BLOCK * BLOCK + BLOCK, end, BLOCK), end]
        found = self._tiers.find(chain, ends, [chain.key(at) for at in ends])
        prefix.there = {one.position: one.complete for one in found if one}
        try:
            own = cache()
            made = [self._made(prefix, layers, own, at, end) for at in ends]
        except (Unsupported, ValueError) as unsupported:
            self.problem = str(unsupported)
            self.counts.skipped["unsupported"] += len(ends)
            return
        self._put(prefix, [block for block in made if block])

    @property
    def _keeps(self) -> bool:
        return self._slow is not None or self.hot.limit > 0

    def _made(self, prefix: Prefix, layers: Layers, cache: Many[Any], at: int, now: int) -> Hot | None:
        """The block or tail that ends at `at`, not computed yet; None when what is there is as good."""
        complete = not layers.snapshots or (at == now and at in prefix.stops)
        there = prefix.there.get(at)
        if there or (there is False and not complete) or (at % BLOCK and not complete):
            return None
        begin = (at - 1) // BLOCK * BLOCK
        arrays: Arrays = layers.sliced(cache, begin, at)
        if complete and layers.snapshots:
            arrays |= layers.snapshot(cache, at)
        size = sum(array.nbytes for array in arrays.values())
        return Hot(prefix.chain.key(at), begin, at, prefix.chain.ids(begin, at), arrays, complete, size)

    def _put(self, prefix: Prefix, blocks: list[Hot]) -> None:
        copies = 2 if self._slow else 1  # the arrays, and the bytes that are on their way to the SSD
        if not blocks:
            return
        if not self._gate.allows(copies * sum(block.size for block in blocks)):
            self.counts.skipped["no_room"] += len(blocks)
            return
        mx.eval([array for block in blocks for array in block.arrays.values()])
        for block in blocks:
            hot, queued = self._tiers.keep(block, prefix.chain)
            tokens = block.position - block.begin
            self.counts.saved += tokens * (hot or queued)
            self.counts.queued += tokens * queued
            self.counts.skipped["no_room"] += not (hot or queued)
            self.counts.skipped["queue_full"] += self._slow is not None and not queued
            prefix.there[block.position] = block.complete
        self._kept += len(blocks)
        self.hot.used(prefix.chain.keys(prefix.seen))

    # what there is to know

    def figures(self) -> Json:
        said: Json = {
            "block_tokens": BLOCK,
            "problem": self.problem,
            "hot": {"blocks": len(self.hot), "bytes": self.hot.size, "limit_bytes": self.hot.limit,
                    "evicted": self.hot.evicted},
            **self.counts.figures(),
        }  # fmt: skip
        return said | ({"ssd": self._slow.figures()} if self._slow else {})

    def probe(self, tokens: Many[int], salt: str) -> Json:
        """Which blocks of a prompt are where, and how many tokens of it would not have to be computed."""
        limit = len(tokens) - 1
        chain = Chain(self._root(salt), tokens)
        ends = range(BLOCK, limit + 1, BLOCK)
        found = self._tiers.find(chain, ends, chain.keys(limit))
        return {
            "prompt_tokens": len(tokens),
            "block_tokens": BLOCK,
            "cached_tokens": self._plan(chain, limit).position if self._layers else 0,
            "blocks": [_shown(end, one) for end, one in zip(ends, found, strict=True)],
        }


def _shown(end: int, found: Any) -> Json:
    if found is None:
        return {"end": end, "where": "absent", "complete": False}
    return {"end": end, "where": found.where, "complete": found.complete}
