"""What is believed of a block that is found, and what bringing many back takes. In the runtime: blocks are arrays."""

import json
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.runtime

BELIEVED = """
import json, sys
from inference.engine.cache.blocks import Chain
from inference.engine.cache.entry import Entry
from inference.engine.cache.hot import Hot, HotTier
from inference.engine.cache.plan import Found
from inference.engine.cache.tiers import Tiers
chain, hot = Chain(bytes(32), list(range(600))), HotTier(lambda: 1000)
key, parent, tiers = chain.key(512), chain.key(256), Tiers(hot, None, "aa", "model")
def in_memory(tokens):
    hot.clear()
    hot.put(Hot(key, 256, 512, tokens, {}, True, 10))
    return tiers.find(chain, [512], [key])[0] is not None
def on_disk(tokens, parent):
    entry = Entry(key, parent, "aa", "model", tokens, {})
    return tiers.warmed(entry, Found(key, 256, 512, "ssd", True), chain) is not None
own, other = chain.ids(256, 512), chain.ids(0, 256)
said = [in_memory(own), in_memory(other), on_disk(own, parent), on_disk(other, parent), on_disk(own, bytes(32))]
sys.stdout.write(json.dumps(said))
"""

BROUGHT_BACK = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import mlx.core as mx
from mlx_lm.models.cache import KVCache
from inference.engine.cache.blocks import BLOCK, Chain
from inference.engine.cache.entry import Entry, Tensor
from inference.engine.cache.hot import HotTier
from inference.engine.cache.layers import Filling
from inference.engine.cache.plan import Found, Plan
from inference.engine.cache.restore import Restore
from inference.engine.cache.tiers import Tiers
COUNT, SHAPE = 80, (1, 8, BLOCK, 128)
data, chain = bytes(4 * 8 * BLOCK * 128), Chain(bytes(32), [7] * (COUNT * BLOCK))
class Disk:
    def read(self, key, model):
        at = chain.keys(COUNT * BLOCK).index(key) * BLOCK
        tensors = {name: Tensor("F32", SHAPE, data) for name in ("0.k", "0.v")}
        return Entry(key, chain.parent(at), model, "model", chain.ids(at, at + BLOCK), tensors)
found = [Found(key, at * BLOCK, (at + 1) * BLOCK, "ssd", True) for at, key in enumerate(chain.keys(COUNT * BLOCK))]
cache, tiers = [KVCache()], Tiers(HotTier(lambda: 0), Disk(), "aa", "model")
with ThreadPoolExecutor(1) as reader:
    restore = Restore(Plan(found, found), chain, tiers, Filling(cache, COUNT * BLOCK), reader)
    mx.reset_peak_memory()
    steps = 1
    while restore.step(0.0, warm=False) is None:
        steps += 1
prefix = cache[0].keys.nbytes + cache[0].values.nbytes
sys.stdout.write(json.dumps([steps, cache[0].offset, mx.get_peak_memory() / prefix]))
"""


def test_a_block_of_other_tokens_or_after_another_block_is_not_believed(run_in_runtime: Callable[..., str]) -> None:
    assert json.loads(run_in_runtime("-c", BELIEVED)) == [True, False, True, False, False]


def test_bringing_a_prefix_back_takes_it_once_and_not_twice(run_in_runtime: Callable[..., str]) -> None:
    steps, tokens, share = json.loads(run_in_runtime("-c", BROUGHT_BACK))
    assert (steps, tokens) == (80, 80 * 256)
    assert share < 1.5
