"""Run in the runtime: python speaking.py MODEL CASES. Texts through a real tokenizer, detokeniser and mlx-lm's parsers.

CASES is a JSON list of {family, text, held?, one?}; what comes out is a list of what each said when it came token by
token, in pieces of five characters, and whole.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from mlx_lm.tokenizer_utils import load

from inference.engine.detokenise import Vocabulary
from inference.engine.speech.marks import Mark, Marks
from inference.engine.speech.pieces import Arguments, Called, Said, Thought
from inference.engine.speech.readers import readers_of
from inference.engine.speech.speech import Speech, Start

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "time"}},
]


class Held:
    """As a guide that holds every call to its form."""

    held_calls = 99


def marks_of(family: str) -> Marks:
    module = import_module(f"mlx_lm.tool_parsers.{family}")
    ends = Mark(module.tool_call_end, (4,)) if module.tool_call_end else None
    start = Mark(module.tool_call_start, (3,))
    return Marks(Mark("<think>", (1,)), Mark("</think>", (2,)), start, ends, family, module.parse_tool_call)


def said(case: dict[str, Any], cut: list[str]) -> dict[str, Any]:
    marks = marks_of(case["family"])
    assert marks.parse
    read = readers_of(marks.family, marks.parse, TOOLS)
    start = Start(case.get("start", "either"))
    speech = Speech(marks, start, read, Held() if case.get("held") else None, one_call=bool(case.get("one")))
    pieces = [piece for text in cut for piece in speech.feed(text)] + speech.finish()
    calls = [[piece.name, ""] for piece in pieces if isinstance(piece, Called)]
    for piece in pieces:
        if isinstance(piece, Arguments):
            calls[piece.index][1] += piece.text
    return {
        "thought": "".join(piece.text for piece in pieces if isinstance(piece, Thought)),
        "text": "".join(piece.text for piece in pieces if isinstance(piece, Said)),
        "calls": calls,
        "warning": speech.warning,
        "arguments": sum(isinstance(piece, Arguments) for piece in pieces),
    }


def main() -> None:
    tokenizer = load(Path(sys.argv[1]))
    vocabulary = Vocabulary(tokenizer._tokenizer, Marks.of(tokenizer).all_tokens)
    out = []
    for case in json.loads(sys.argv[2]):
        text = case["text"]
        detokeniser = vocabulary.detokeniser(strip_space=False)
        tokens = [detokeniser.add(token) for token in tokenizer.encode(text, add_special_tokens=False)]
        assert "".join(tokens) == text
        cuts = [tokens, [text[at : at + 5] for at in range(0, len(text), 5)], [text]]
        out.append([said(case, cut) for cut in cuts])
    sys.stdout.write(json.dumps(out))


if __name__ == "__main__":
    main()
