"""The tokenizer of the demo models for texts, and what each of its tokens means.

An expression that means something is one token, however many words it has; whatever else is written falls into pieces.
"""

from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from demo_models.texts import meanings

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL = (PAD, UNKNOWN, START, END)
PIECES = 900
PIECE = "piece "  # begins the meaning of what stands for itself
HERE = Path(__file__).resolve().parent
SOURCES = (HERE.parent.parent / "LICENSE", *sorted((HERE.parent / "chat" / "languages").glob("*.toml")))


def build() -> Tokenizer:
    """Made anew; the same bytes every time."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES,
        special_tokens=[AddedToken(word, special=True, normalized=False) for word in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((path.read_text(encoding="utf-8") for path in SOURCES), trainer)
    tokenizer.add_tokens([AddedToken(word, single_word=alone, normalized=True) for word, alone in _whole()])
    ends = [(START, tokenizer.token_to_id(START)), (END, tokenizer.token_to_id(END))]
    tokenizer.post_processor = processors.TemplateProcessing(
        f"{START} $A {END}", f"{START} $A {END} $B:1 {END}:1", ends
    )
    return tokenizer


def meanings_of(tokenizer: Tokenizer) -> list[str]:
    """For each token id: what it means, itself if nobody said; nothing for what only stands between words."""
    said = {word: meaning for word, meaning, _ in meanings.expressions()}
    between = {word for word, _ in meanings.fillers()} - set(said)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda one: one[1])
    return [
        "" if word in between or _is_sign(word, tokenizer) else said.get(word, PIECE + word) for word, _ in vocabulary
    ]


def _whole() -> Iterator[tuple[str, bool]]:
    said = {word: alone for word, _, alone in meanings.expressions()}
    between = {word: alone for word, alone in meanings.fillers() if word not in said}
    yield from said.items()
    yield from between.items()


def _is_sign(word: str, tokenizer: Tokenizer) -> bool:
    """A special token, a blank, or a part of a character."""
    return word in SPECIAL or not any(letter.isalnum() for letter in tokenizer.decoder.decode([word]))
