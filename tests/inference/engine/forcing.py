"""Run in the runtime: python forcing.py MODEL TOOLS. Forces a call in the form of every family that has a grammar.

A guide says which tokens may come, and one of them is drawn, as a model would that knows nothing. Prints, for each
family and seed, the calls that were read from the text.
"""

import json
import random
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import llguidance.numpy
import numpy as np
from mlx_lm.tokenizer_utils import load

from inference.engine.detokenise import Vocabulary
from inference.engine.guides.calls import BODIES, of_calls
from inference.engine.guides.compiler import Compiler
from inference.engine.guides.guide import Guide, Plan
from inference.engine.speech.marks import Mark, Marks
from inference.engine.speech.pieces import Arguments, Called
from inference.engine.speech.readers import readers_of
from inference.engine.speech.speech import Speech, Start

MOST_TOKENS = 1500
SEEDS = range(3)


def marks_of(family: str, tokenizer: Any) -> Marks:
    """The marks are text to this tokenizer, of several tokens each."""
    module = import_module(f"mlx_lm.tool_parsers.{family}")

    def mark(text: str) -> Mark | None:
        return Mark(text, tuple(tokenizer.encode(text, add_special_tokens=False))) if text else None

    start, end = mark(module.tool_call_start), mark(module.tool_call_end)
    return Marks(call_start=start, call_end=end, family=family, parse=module.parse_tool_call)


def drawn(guide: Guide, width: int, chance: random.Random) -> int:
    words = np.full((1, (width + 31) // 32), -1, dtype=np.int32)
    if guide.matcher:
        llguidance.numpy.fill_next_token_bitmask(guide.matcher, words, 0)
    guide.adjust(words[0])
    allowed = np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))
    shortest = [int(token) for token in allowed if token < width]
    return chance.choice(shortest[:40] if chance.random() < 0.5 else shortest)


def calls(family: str, tools: list[Any], tokenizer: Any, seed: int) -> list[list[str]]:
    marks, chance = marks_of(family, tokenizer), random.Random(seed)
    vocabulary = Vocabulary(tokenizer._tokenizer, Marks.of(tokenizer).all_tokens)
    eos, width = frozenset(tokenizer.eos_token_ids), len(tokenizer)
    grammar = of_calls(marks, tools, forced=True)
    assert grammar
    assert marks.parse
    matcher = Compiler(tokenizer, width, eos).matcher(grammar)
    guide = Guide(Plan(marks, eos, width, Start.TEXT, call=matcher.deep_copy, forced=True, parallel=False))
    speech = Speech(marks, Start.TEXT, readers_of(family, marks.parse, tools), guide, one_call=True)
    text, pieces = vocabulary.detokeniser(strip_space=False), []
    for _ in range(MOST_TOKENS):
        token = drawn(guide, width, chance)
        guide.take(token)
        if token in eos or speech.over:
            break
        pieces += speech.feed(text.add(token))
    pieces += speech.finish()
    found = [[piece.name, ""] for piece in pieces if isinstance(piece, Called)]
    for piece in pieces:
        if isinstance(piece, Arguments):
            found[piece.index][1] += piece.text
    return found


def main() -> None:
    tokenizer = load(Path(sys.argv[1]))
    tools = json.loads(sys.argv[2])
    out = {family: [calls(family, tools, tokenizer, seed) for seed in SEEDS] for family in BODIES}
    sys.stdout.write(json.dumps(out))


if __name__ == "__main__":
    main()
