"""Whatever is done to an SSD tier, it is a dictionary that may forget, and never lies."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from inference.engine.cache.entry import Entry
from inference.engine.cache.ssd import SsdTier
from inference.engine.cache.store import Store
from tests.helpers import wait_for
from tests.inference.cache.conftest import settled
from tests.inference.cache.support import KIB, MODEL, OTHER, block, bytes_of_files, file_of

ROOMY, TIGHT = 10_000 * KIB, 5 * 6 * KIB
NUMBERS = st.integers(0, 8)
MODELS = st.sampled_from([MODEL, OTHER])
Name = tuple[str, bytes]


class Tier(RuleBasedStateMachine):
    @initialize(quota=st.sampled_from([ROOMY, ROOMY, TIGHT]))
    def begin(self, quota: int) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        self.folder, self.quota = Path(self.temporary.name) / "cache", quota
        self.known: dict[Name, Entry] = {}
        self.open()

    def open(self) -> None:
        self.tier = SsdTier(self.folder, self.quota, share_of_free=1.0)

    @rule(number=NUMBERS, model=MODELS, complete=st.booleans(), parent=st.booleans())
    def write(self, number: int, model: str, complete: bool, parent: bool) -> None:
        entry = block(number, parent=number - 1 if parent else None, model=model, complete=complete, size=4 * KIB)
        assert self.tier.write(entry)
        there = self.known.get((model, entry.key))
        if there is None or entry.complete > there.complete:
            self.known[model, entry.key] = entry

    @rule(number=NUMBERS, model=MODELS)
    def read(self, number: int, model: str) -> None:
        key = block(number).key
        wanted, found = self.known.get((model, key)), self.tier.read(key, model)
        if self.quota == ROOMY or found is None:
            assert _same(found, wanted) or self.quota == TIGHT
        else:
            assert found.tensors == block(number, model=model, complete=found.complete, size=4 * KIB).tensors

    @rule(number=NUMBERS)
    def have(self, number: int) -> None:
        keys = [block(number).key, block(number + 1).key]
        wanted = [entry and entry.complete for key in keys for entry in [self.known.get((MODEL, key))]]
        found = self.tier.have(keys, MODEL)
        assert found == wanted or self.quota == TIGHT

    @rule(model=st.one_of(st.none(), MODELS))
    def clear(self, model: str | None) -> None:
        self.tier.clear(model)
        self.known = {name: entry for name, entry in self.known.items() if model not in (None, name[0])}

    @rule()
    def restart(self) -> None:
        self.tier.close(30)
        self.open()

    @precondition(lambda self: self.known)
    @rule(data=st.data(), rot=st.booleans())
    def lose_a_file(self, data: st.DataObject, rot: bool) -> None:
        settled(self.tier)
        name = data.draw(st.sampled_from(sorted(self.known)))
        path = file_of(self.folder, self.known[name])
        if not path.exists():
            return
        path.write_bytes(path.read_bytes()[:-1]) if rot else path.unlink()
        assert self.tier.read(name[1], name[0]) is None
        assert self.tier.have([name[1]], name[0]) == [None]
        del self.known[name]
        wait_for(lambda: not self.tier._writer._suspects, 5, "it was looked at again")

    @invariant()
    def within_the_quota(self) -> None:
        if hasattr(self, "tier"):
            with Store(self.folder) as other, other.index.changing():
                assert bytes_of_files(self.folder) <= self.quota

    def teardown(self) -> None:
        if hasattr(self, "tier"):
            self.tier.close(30)
            self.temporary.cleanup()


def _same(found: Entry | None, wanted: Entry | None) -> bool:
    """The parent is the one that was told first."""
    if found is None or wanted is None:
        return found is wanted
    return (found.tensors, found.complete, found.tokens) == (wanted.tensors, wanted.complete, wanted.tokens)


Tier.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
test_a_tier_is_a_dictionary_that_may_forget = Tier.TestCase
