"""Compiles grammars, on the intake's threads, within bounds of time and memory; and keeps those that were last used.

llguidance counts its work ("fuel") and gives up when it is used up. With these limits the worst of nine hostile ones
took 50 ms of one core to compile, and 23 ms for the mask of a token (150,000 tokens, x86); usual ones take 1 to 5 ms.
"""

import threading
from collections import OrderedDict
from typing import Any

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from inference.engine.guides import grammars
from inference.engine.guides.grammars import Grammar
from inference.engine.messages import Refusal

KEPT = 32
LIMITS = LLParserLimits(
    initial_lexer_fuel=1_000_000,
    step_lexer_fuel=50_000,
    step_max_items=20_000,
    max_lexer_states=20_000,
    max_grammar_size=100_000,
    precompute_large_lexemes=True,
    verbose_errors=False,
)


class Compiler:
    """`tokenizer` is mlx-lm's wrapper; `width` of masks, in tokens."""

    def __init__(self, tokenizer: Any, width: int, eos: frozenset[int]) -> None:
        self._source, self._width, self._eos = tokenizer, width, eos
        self._tokenizer: LLTokenizer | None = None
        self._kept: OrderedDict[str, LLMatcher] = OrderedDict()
        self._lock = threading.Lock()
        self._stale = False

    def forget(self) -> None:
        """A matcher used up what it shares with those of its grammar: compile anew. Waits for nobody."""
        self._stale = True

    def matcher(self, grammar: Grammar) -> LLMatcher:
        """One for each sequence. Raises Refusal: 400, naming the place that is wrong."""
        with self._lock:
            if self._stale:
                self._stale = False
                self._kept.clear()
            kept = self._kept.pop(grammar.text, None) or self._compiled(grammar)
            self._kept[grammar.text] = kept
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return kept.deep_copy()

    def _compiled(self, grammar: Grammar) -> LLMatcher:
        matcher = self._try(grammar.text)
        if not matcher.is_error():
            return matcher
        problem = str(matcher.get_error())
        if grammar.schema is None:
            raise grammars.refusal(grammar.place, problem)
        raise self._narrowed(grammar, problem)

    def _try(self, text: str) -> LLMatcher:
        return LLMatcher(self._ready(), text, log_level=0, limits=LIMITS)

    def _narrowed(self, grammar: Grammar, problem: str) -> Refusal:
        """The smallest schema inside that is wrong by itself."""
        schema, place = grammar.schema, grammar.place
        defined = {
            word: schema[word] for word in ("$defs", "definitions") if isinstance(schema, dict) and word in schema
        }
        tries = grammars.MAX_TRIES
        inside = list(grammars.places(schema))
        while inside and tries:
            (path, one), tries = inside.pop(0), tries - 1
            whole = {**defined, **one} if isinstance(one, dict) else one
            matcher = self._try(grammars.json_grammar(whole, lenient=grammar.lenient))
            if matcher.is_error() and one is not schema:
                place, problem = f"{place}.{path}", str(matcher.get_error())
                inside = list(grammars.places(one))
        return grammars.refusal(place, problem)

    def _ready(self) -> LLTokenizer:
        if self._tokenizer is None:
            self._tokenizer = self._made()
        return self._tokenizer

    def _made(self) -> LLTokenizer:
        backend = getattr(self._source, "backend_tokenizer", None)
        if backend is None:
            message = "This model's tokenizer is not one that answers can be held to a form with."
            raise Refusal(400, "unsupported_parameter", message, param="structure")
        return LLTokenizer(backend.to_str(), n_vocab=self._width, eos_token=sorted(self._eos))
