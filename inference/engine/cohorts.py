"""Sequences that decode together. A batch is dense and left-padded, so those of similar length share one."""

from collections.abc import Iterable, Iterator

from inference.engine.batch import Batch, Cache, Step
from inference.engine.bounds import EMPTY, Bounds, Held
from inference.engine.models import Loaded
from inference.engine.requests import Sequence


class Cohort:
    def __init__(self, loaded: Loaded) -> None:
        self._batch = Batch(loaded.model)

    @property
    def sequences(self) -> list[Sequence]:
        return [row.sequence for row in self._batch.rows]

    @property
    def size(self) -> int:
        return len(self._batch.rows)

    @property
    def newcomers(self) -> int:
        """Of its sequences, those that have given nothing yet."""
        return sum(row.new for row in self._batch.rows)

    @property
    def length(self) -> int:
        """Tokens every row is padded to."""
        return max((row.sequence.length for row in self._batch.rows), default=0)

    @property
    def held(self) -> Held:
        return self._batch.held

    def join(self, sequences: list[Sequence], cache: Cache, *, dense: bool) -> None:
        """As `Batch.join`."""
        self._batch.join(sequences, cache, dense=dense)

    def step(self) -> Iterator[Step]:
        """One token for every sequence; those that have just come in have their first under way."""
        return self._batch.step()

    def firsts(self) -> Iterator[Step]:
        """As `Batch.firsts`."""
        return self._batch.firsts()

    def cache_of(self, sequence: Sequence) -> Cache:
        """As `Batch.cache_of`."""
        return self._batch.cache_of(sequence)

    def drop(self, leaving: Iterable[Sequence]) -> None:
        gone = {id(sequence) for sequence in leaving}
        if places := {at for at, row in enumerate(self._batch.rows) if id(row.sequence) in gone}:
            self._batch.drop(places)


class Cohorts:
    """All that decodes. At most `width` sequences in all."""

    def __init__(self, loaded: Loaded, bounds: Bounds, width: int) -> None:
        self._loaded, self._bounds, self._width = loaded, bounds, width
        self._all: list[Cohort] = []

    def __iter__(self) -> Iterator[Cohort]:
        return iter(list(self._all))

    def __len__(self) -> int:
        return len(self._all)

    @property
    def sequences(self) -> list[Sequence]:
        return [sequence for cohort in self._all for sequence in cohort.sequences]

    @property
    def free(self) -> int:
        return self._width - sum(cohort.size for cohort in self._all)

    def options(self, new: Held, copies: int) -> list[tuple[Cohort | None, int]]:
        """Where newcomers could go (as `Bounds.join` takes them), the quickest to decode first, and the bytes each way
        takes. None is a cohort of their own: one more pass over the weights in every step, against padding."""
        ways: list[tuple[int, Cohort | None]] = [(self._loaded.weights_bytes, None)]
        ways += [(self._padding(cohort, copies or new.rows, new.length), cohort) for cohort in self._all]
        ways.sort(key=lambda way: way[0])
        return [(cohort, self._bounds.join(cohort.held if cohort else EMPTY, new, copies)) for _, cohort in ways]

    def open(self) -> Cohort:
        cohort = Cohort(self._loaded)
        self._all.append(cohort)
        return cohort

    def tidy(self) -> None:
        """Let go of what is empty."""
        self._all = [cohort for cohort in self._all if cohort.size]

    def discard(self, cohort: Cohort) -> None:
        self._all.remove(cohort)

    def step_bytes(self, cohort: Cohort) -> int:
        """The most that the next step of a cohort may take."""
        return self._bounds.step(cohort.held)

    def under_way(self) -> int:
        """What the steps that were started and not waited for may take."""
        return sum(self._bounds.decode(cohort.size, cohort.length) for cohort in self._all)

    def _padding(self, cohort: Cohort, joining: int, length: int) -> int:
        """Bytes read in vain in every step, more than now."""
        longest = max(cohort.length, length)
        wasted = (cohort.size + joining) * longest - cohort.size * cohort.length - joining * length
        return wasted * self._bounds.kv_bytes_per_token
