"""Sequences that decode together. A batch is dense and left-padded, so those of similar length share one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx_lm.generate import BatchGenerator

from inference.engine.bounds import Bounds
from inference.engine.cache.layers import row_of
from inference.engine.models import Loaded
from inference.engine.requests import Sequence
from inference.engine.sampling import processors_for, sampler_for

UNLIMITED = 2**30  # ends and limits are ours to see: BatchGenerator copies a sequence's cache when it ends one


@dataclass(frozen=True, slots=True)
class Step:
    """One token of one sequence; `logprobs` [V] is evaluated."""

    sequence: Sequence
    token: int
    logprobs: mx.array


class Cohort:
    def __init__(self, loaded: Loaded, width: int) -> None:
        self._generator = BatchGenerator(loaded.model, completion_batch_size=width, prefill_batch_size=width)
        self._rows: dict[int, Sequence] = {}
        self.newcomers: list[int] = []  # the lengths of those who come in with the next step

    @property
    def sequences(self) -> list[Sequence]:
        return list(self._rows.values())

    @property
    def size(self) -> int:
        return len(self._rows)

    @property
    def length(self) -> int:
        """Tokens every row is padded to."""
        return max((sequence.length for sequence in self._rows.values()), default=0)

    def join(self, sequences: list[Sequence], cache: list[Any] | None) -> None:
        """Let sequences in whose tokens but the last are in `cache`, which they share and which is copied."""
        uids = self._generator.insert(
            [sequence.tokens[-1:] for sequence in sequences],
            max_tokens=[UNLIMITED] * len(sequences),
            caches=[cache] * len(sequences) if cache is not None else None,
            all_tokens=[sequence.tokens[:-1] for sequence in sequences],
            samplers=[sampler_for(sequence) for sequence in sequences],
            logits_processors=[processors_for(sequence) for sequence in sequences],
        )
        self._rows.update(zip(uids, sequences, strict=True))
        self.newcomers += [sequence.length for sequence in sequences]

    def step(self) -> Iterator[Step]:
        """One token for every sequence that is in; newcomers come in and give their first at the next step."""
        self.newcomers = []
        _, responses = self._generator.next()
        for response in responses:
            yield Step(self._rows[response.uid], response.token, response.logprobs)

    def cache_of(self, sequence: Sequence) -> list[Any]:
        """What a sequence that is in has in the cache: all its tokens, since the next one is under way."""
        batch = self._generator._generation_batch  # noqa: SLF001 - extracting from it would copy the whole
        uid = next(uid for uid, one in self._rows.items() if one is sequence)
        return [row_of(layer, batch.uids.index(uid)) for layer in batch.prompt_cache]

    def drop(self, leaving: Iterable[Sequence]) -> None:
        gone = {id(sequence) for sequence in leaving}
        uids = [uid for uid, sequence in self._rows.items() if id(sequence) in gone]
        if uids:
            self._generator.remove(uids)
        for uid in uids:
            del self._rows[uid]

    def close(self) -> None:
        self._generator.close()


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

    def options(self, joining: int, length: int) -> list[tuple[Cohort | None, int]]:
        """Where `joining` sequences of `length` could go, the quickest to decode first, and the bytes each way
        takes. None is a cohort of their own: one more pass over the weights in every step, against padding."""
        ways: list[tuple[int, Cohort | None]] = [(self._loaded.weights_bytes, None)]
        ways += [(self._padding(cohort, joining, length), cohort) for cohort in self._all]
        ways.sort(key=lambda way: way[0])
        return [(cohort, self._join_bytes(cohort, joining, length)) for _, cohort in ways]

    def open(self) -> Cohort:
        cohort = Cohort(self._loaded, self._width)
        self._all.append(cohort)
        return cohort

    def tidy(self) -> None:
        """Close what is empty."""
        for cohort in self._all:
            if not cohort.size:
                cohort.close()
        self._all = [cohort for cohort in self._all if cohort.size]

    def discard(self, cohort: Cohort) -> None:
        self._all.remove(cohort)

    def step_bytes(self, cohort: Cohort) -> int:
        """The most that the next step of a cohort may take: newcomers come in, or its cache grows."""
        if cohort.newcomers:
            return self._bounds.join(cohort.size, cohort.length, len(cohort.newcomers), max(cohort.newcomers))
        return self._bounds.growth(cohort.size, cohort.length)

    def under_way(self) -> int:
        """What the steps that were started and not waited for may take."""
        return sum(self._bounds.decode(cohort.size, cohort.length) for cohort in self._all)

    def _padding(self, cohort: Cohort, joining: int, length: int) -> int:
        """Bytes read in vain in every step, more than now."""
        longest = max(cohort.length, length)
        wasted = (cohort.size + joining) * longest - cohort.size * cohort.length - joining * length
        return wasted * self._bounds.kv_bytes_per_token

    def _join_bytes(self, cohort: Cohort | None, joining: int, length: int) -> int:
        size, lengths = (cohort.size, cohort.newcomers) if cohort else (0, [])
        longest = max(length, cohort.length if cohort else 0)
        return self._bounds.join(size + joining, longest, joining + len(lengths), max([length, *lengths]))
