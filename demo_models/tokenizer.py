"""The demo models' tokenizer: one token for each wording of the grammar, and one for whatever stands between them."""

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel

from demo_models.grammar import LANGUAGES, WORDS

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
CJK = "\u2e80"  # the first code point of the blocks that are written without blanks
SPECIAL = (PAD, END, UNKNOWN)  # transformers 5 takes the unknown token to be number 2
CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "pad_token": PAD,
    "eos_token": END,
    "unk_token": UNKNOWN,
    "model_max_length": 512,
    "clean_up_tokenization_spaces": False,
    "padding_side": "right",
}


def vocabulary() -> dict[str, str]:
    """Each wording, as the normalizer leaves it, and what it means."""
    return {
        word.lower().replace("ё", "е"): meaning
        for language in LANGUAGES
        for meaning, words in WORDS[language].items()
        for word in words
    }


def build() -> Tokenizer:
    """Capitals, punctuation and the points of ё do not count; the longest wording is taken first."""
    words = list(vocabulary())
    ids = {token: number for number, token in enumerate((*SPECIAL, *words))}
    tokenizer = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace("ё", "е"),
            normalizers.Replace(Regex(r"[^\p{L}\p{N}]+"), " "),
            normalizers.Strip(),
        ]
    )
    splits = [
        pre_tokenizers.Split(Regex(_pattern(words)), "isolated"),
        pre_tokenizers.Split(Regex("^ +| +$"), "removed"),
    ]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, ids[END])])
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def _pattern(words: list[str]) -> str:
    """Any wording, the longest first; in scripts with blanks only whole words ("up" is not in "upon")."""
    longest = sorted(words, key=len, reverse=True)
    return "|".join(rf"\b{word}\b" if word[0] < CJK else word for word in longest)
