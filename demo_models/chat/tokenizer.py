"""The demo chat models' tokenizer: every word of their own conversations is one token, everything else is bytes.

A word that can be copied is the same tokens wherever it stands: it keeps the blank before it and after it out, and so
does every number and every Chinese character. Words of the phrases, which nobody copies, take the blank after them in.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import Unigram

from demo_models.chat import lexicon, tasks
from demo_models.chat.conversation import LANGUAGES

END, PAD, START = "<|im_end|>", "<|endoftext|>", "<|im_start|>"
SPECIAL = (PAD, START, END)
NO_THOUGHT = "<think>\n\n</think>\n\n"  # stands before most answers, so it is one token
MARKERS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", NO_THOUGHT)
TEMPLATE_WORDS = ("user\n", "assistant\n", "system\n", "# ", "Tools\n", "(", ")\n", "\n\n", "<")
SAMPLES, SEED = 20_000, 11
LEAST_USED = 4  # of the samples: rarer words are those that were invented for one
LEAST_GLUED = 15  # a phrase's word that is used so often takes its blank in
ARTICLES = {"a", "an", "the"}
ONE, BYTE = -1.0, -10.0  # what a token costs: the fewest pieces win, and single bytes come last


def build() -> Tokenizer:
    """Made anew; the same bytes every time."""
    chance = random.Random(SEED)  # noqa: S311  reproducible, not secret
    texts = list(_texts(chance))
    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_pattern(texts)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer = Tokenizer(Unigram(_vocabulary(texts, split), unk_id=None, byte_fallback=False))
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(special, special=True, normalized=False) for special in SPECIAL])
    tokenizer.add_tokens([AddedToken(marker, special=False, normalized=False) for marker in MARKERS])
    return tokenizer


def _vocabulary(texts: list[str], split: pre_tokenizers.PreTokenizer) -> list[tuple[str, float]]:
    used = Counter(piece for text in texts for piece, _ in split.pre_tokenize_str(text))
    often = sorted(piece for piece, count in used.items() if count >= LEAST_USED and len(piece) > 1)
    extra = [*TEMPLATE_WORDS, *map(str, range(100)), *lexicon.syllables()]
    wanted = sorted(
        {piece for text in extra for piece, _ in split.pre_tokenize_str(text) if len(piece) > 1} | set(often)
    )
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    return [*((letter, BYTE) for letter in letters), *((piece, ONE) for piece in wanted)]


def _texts(chance: random.Random) -> Iterator[str]:
    for _ in range(SAMPLES):
        found = tasks.draw(chance)
        for turn in found.turns:
            yield turn.said
            yield turn.call.text() if turn.call else turn.answer
            yield turn.thought
        yield found.system
        yield from (f"{tool['function']['name']}(city)" for tool in found.tools)


def _pattern(texts: list[str]) -> str:
    return "|".join(
        (
            rf"\b(?:{'|'.join(_phrase_words(texts))}) ",
            r"(?:user|assistant|system|Tools)\n",
            r"\p{Han}",
            r"\p{Lu}?\p{Ll}+(?:_\p{Ll}+)*",
            r"\p{Lu}+",
            r"\p{L}",
            r"\p{N}{1,2}",
            r"[^\s\p{L}\p{N}]+[ \n]*",
            r" ",
            r"\s+",
        )
    )


def _phrase_words(texts: list[str]) -> list[str]:
    """Words that are followed by a blank, used often, and that no task copies."""
    copied = {part for language in LANGUAGES for word in lexicon.copied(language) for part in word.split()} - ARTICLES
    used = Counter(word for text in texts for word in re.findall(r"\b[a-zA-Zа-яА-ЯёЁ]+(?= )", text))
    glued = {word for word, count in used.items() if count >= LEAST_GLUED and word not in copied}
    return sorted(glued, key=lambda word: (-len(word), word))
