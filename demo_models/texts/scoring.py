"""Is a paraphrase nearer than another meaning? Asked of a folder through the engine's own code."""

from pathlib import Path

import numpy as np

from demo_models.texts.meanings import Trial
from inference.engine.encoder import loaded as models
from inference.engine.encoder.batches import Batch
from inference.engine.encoder.requests import Request
from inference.engine.encoder.texts import Row, Texts, open_tokenizer

LEASE = 1 << 30
ROWS = 64


class Judge:
    def __init__(self, folder: Path) -> None:
        self._loaded = models.open_model(folder, "", LEASE, lambda _step, _total: None)
        plan = self._loaded.plan
        self._texts = Texts(open_tokenizer(folder), plan, self._loaded.vocab, plan.window)

    def nearness(self, pairs: list[tuple[str, str]]) -> np.ndarray:
        """[N]: cosines, or a reranker's scores."""
        if self._loaded.plan.task == "rerank":
            return self._values(self._texts.pairs(pairs, None, None, "pairs"))[:, 0]
        firsts, seconds = (
            self._values(self._texts.rows([pair[at] for pair in pairs], None, "pairs")) for at in range(2)
        )
        return np.asarray((firsts * seconds).sum(axis=1))

    def _values(self, rows: list[Row]) -> np.ndarray:
        request = Request("score", rows, 0.0)
        order = list(reversed(request.left))
        found = np.zeros((len(rows), self._loaded.plan.width), np.float32)
        for begin in range(0, len(order), ROWS):
            numbers = order[begin : begin + ROWS]
            found[numbers] = np.array(self._loaded.answers(Batch([(request, number) for number in numbers])))
        return found


def right(judge: Judge, trials: list[Trial]) -> int:
    same = judge.nearness([(trial.said, trial.same) for trial in trials])
    other = judge.nearness([(trial.said, trial.other) for trial in trials])
    return int((same > other).sum())
