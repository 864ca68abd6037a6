"""python -m tests.inference.engine.encoders.compare FOLDER: what the networks here answer with, as JSON."""

import json
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx

from inference.engine.encoder import loaded as models
from inference.engine.encoder.batches import Batch
from inference.engine.encoder.requests import Request
from inference.engine.encoder.texts import Row, Texts, open_tokenizer
from tests.inference.engine.encoders import families
from tests.inference.engine.encoders.families import FAMILIES, PAIRS, TEXTS


def main() -> int:
    folder = Path(sys.argv[1])
    found, shapes = {}, _shapes()
    for name in FAMILIES:
        families.write(name, folder / name, shapes[name])
        found[name] = _answers(folder / name)
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _shapes() -> dict[str, Any]:
    answers = json.loads(Path(__file__).with_name("answers.json").read_text(encoding="utf-8"))
    return {name: answers[name]["shapes"] for name in FAMILIES}


def _answers(folder: Path) -> dict[str, Any]:
    loaded = models.open_model(folder, "", 1 << 30, lambda _step, _total: None)
    texts = Texts(open_tokenizer(folder), loaded.plan, loaded.vocab, loaded.plan.window)
    if loaded.plan.task == "rerank":
        rows = texts.pairs(PAIRS, None, None, "documents")
        loaded.yes_no = texts.yes_no if loaded.plan.head == "words" else (0, 0)
    else:
        rows = texts.rows(TEXTS, None, "input")
    request = Request("all", rows, 0.0)
    order = list(reversed(request.left))
    together = loaded.answers(Batch([(request, number) for number in order])).tolist()
    alone = [loaded.answers(Batch([(request, number)])).tolist()[0] for number in order]
    return {
        "together": [together[order.index(number)] for number in range(len(rows))],
        "alone": [alone[order.index(number)] for number in range(len(rows))],
        "bounds": [_peak_of_bound(loaded, *shape) for shape in ((1, 128), (16, 128), (64, 8))],
    }


def _peak_of_bound(loaded: models.Loaded, rows: int, length: int) -> float:
    """What a forward really took, as a share of what was reckoned with."""
    row = Row([5 + at % 7 for at in range(length)], [0] * length)
    batch = Batch([(request, 0) for request in [Request("peak", [row], 0.0)] * rows])
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    mx.eval(loaded.answers(batch))
    return (mx.get_peak_memory() - before) / loaded.bounds.forward(rows, length)


if __name__ == "__main__":
    sys.exit(main())
