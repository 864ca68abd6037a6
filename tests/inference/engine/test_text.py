"""From tokens to text: what is streamed is what is not streamed, for any bytes."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.engine.detokenise import ByteDetokeniser, Vocabulary, WindowDetokeniser
from tests.inference.engine.conftest import FAMILIES, Engine

FIRST_BYTE = 3  # of the demo models' tokens; the ones before are special
BYTES = [bytes([value]) for value in range(256)] + ["語".encode(), "😀".encode(), b" word", b"\xe8\xaa"]


@given(st.lists(st.integers(0, len(BYTES) - 1), max_size=40))
def test_any_bytes_become_their_utf8_with_replacements(tokens: list[int]) -> None:
    text = ByteDetokeniser(BYTES, strip=False)
    streamed = "".join(text.add(token) for token in tokens) + text.finish()
    assert streamed == b"".join(BYTES[token] for token in tokens).decode(errors="replace")


def test_a_character_is_shown_when_it_is_whole() -> None:
    text = ByteDetokeniser(BYTES, strip=False)
    assert [text.add(byte) for byte in "語".encode()] == ["", "", "語"]


def test_the_space_that_sentencepiece_puts_first_is_left_out_once() -> None:
    text = ByteDetokeniser([b" one", b" two"], strip=True)
    assert text.add(0) + text.add(1) == "one two"


def test_a_token_the_tokenizer_does_not_know_is_no_text() -> None:
    assert ByteDetokeniser([b"a"], strip=False).add(7) == ""


def test_words_are_decoded_together() -> None:
    words = ["he", "##llo", "wor", "##ld"]
    text = WindowDetokeniser(lambda tokens: " ".join(words[token] for token in tokens).replace(" ##", ""))
    assert "".join(text.add(token) for token in [0, 1, 2, 3] * 20) == " ".join(["hello world"] * 20)


def test_a_special_token_is_no_text_and_an_added_one_is_its_own() -> None:
    vocabulary = Vocabulary(SmallTokenizer())
    text = vocabulary.detokeniser(strip_space=False)
    assert [text.add(token) for token in range(4)] == ["", "<tool>", "é", " a"]
    assert vocabulary.bytes_of(2) == "é".encode()


class SmallTokenizer:
    """A byte-level tokenizer of four tokens: an end token, an added one, and two of bytes."""

    all_special_ids = (0,)
    added_tokens_decoder = {0: "<end>", 1: "<tool>"}  # noqa: RUF012 - as transformers has it

    class backend_tokenizer:  # noqa: N801
        @staticmethod
        def to_str() -> str:
            return '{"decoder": {"type": "ByteLevel"}}'

    def __len__(self) -> int:
        return 4

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [["<end>", "<tool>", "Ã©", "Ġa"][id_] for id_ in ids]

    def decode(self, ids: list[int]) -> str:
        return "<end>"


@pytest.mark.runtime
@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_streamed_answer_reads_like_one_that_is_not(kind: str, seed: int, engines: Callable[..., Engine]) -> None:
    single_bytes = {str(token): 4 for token in range(FIRST_BYTE, FIRST_BYTE + 256)}
    asked = {"prompt": [400], "seed": seed, "temperature": 2, "max_tokens": 150, "logit_bias": single_bytes}
    streamed = engines(kind).complete(stream=True, **asked)
    whole = engines(kind).complete(stream=False, logprobs=True, **asked)
    assert not whole.deltas
    assert streamed.text() == whole.text()
    spelt = b"".join(bytes(one["bytes"]) for one in whole.logprobs() if one["id"] >= FIRST_BYTE)
    assert whole.text() == spelt.decode(errors="replace")
    assert "\ufffd" in whole.text()


@pytest.mark.runtime
def test_every_token_is_counted_though_some_have_no_text(engine: Engine) -> None:
    answer = engine.complete(prompt=[400], temperature=2, seed=5, max_tokens=200)
    assert sum(delta["tokens"] for delta in answer.deltas) == 200
    assert answer.end["usage"]["completion_tokens"] == 200
