"""The tokenizer of the demo models for texts.

An expression that means something is one token, however many words it has; whatever else is written falls into pieces.
"""

from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from demo_models.texts import meanings

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL = (PAD, UNKNOWN, START, END)
PIECES = 900
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


def _whole() -> Iterator[tuple[str, bool]]:
    """Each expression once, and whether it must stand alone: Chinese is written without blanks."""
    said = {word: language for word, _, language in meanings.expressions()}
    between = {word: language for word, language in meanings.fillers() if word not in said}
    yield from ((word, language != meanings.HAN) for word, language in (said | between).items())
