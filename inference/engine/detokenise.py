"""From tokens to text, a token at a time, so that the pieces together are the whole text for any bytes.

Where the tokenizer is made of bytes (byte-level BPE, and SentencePiece with byte fallback), every token is its bytes
and the text is their UTF-8 decoding, invalid bytes replaced by U+FFFD as Unicode advises (3.9, maximal subparts).
Python's incremental decoder gives the same for any cut. Other tokenizers are decoded by themselves, word by word.
"""

import codecs
import json
import re
from collections.abc import Callable, Collection
from typing import Any, Protocol

SPACE = "\u2581"  # SentencePiece's word mark
BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
WINDOW_TOKENS = 32  # a word of more tokens than this is shown as it stands


class Detokeniser(Protocol):
    def add(self, token: int) -> str:
        """The text this token completes; empty while it waits for more."""

    def finish(self) -> str:
        """What is left when no more tokens come."""


class ByteDetokeniser:
    __slots__ = ("_decoder", "_strip", "_table")

    def __init__(self, table: list[bytes], strip: bool) -> None:
        self._table, self._strip = table, strip
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: int) -> str:
        return self._stripped(self._decoder.decode(self._table[token] if token < len(self._table) else b""))

    def finish(self) -> str:
        return self._stripped(self._decoder.decode(b"", final=True))

    def _stripped(self, text: str) -> str:
        if self._strip and text:
            self._strip = False
            return text.removeprefix(" ")
        return text


class WindowDetokeniser:
    """Decodes the tokens since the last clean cut and shows what is new."""

    __slots__ = ("_decode", "_shown", "_tokens")

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._shown = 0

    def add(self, token: int) -> str:
        self._tokens.append(token)
        text = self._decode(self._tokens)
        if text.endswith("\ufffd") and len(self._tokens) < WINDOW_TOKENS:
            return ""
        new, self._shown = text[self._shown :], len(text)
        if len(self._tokens) >= WINDOW_TOKENS:
            self._tokens = self._tokens[-1:]
            self._shown = len(self._decode(self._tokens))
        return new

    def finish(self) -> str:
        return self._decode(self._tokens)[self._shown :] if self._tokens else ""


class Vocabulary:
    """What every token is in bytes, and how text is made of them. `tokenizer` is transformers' own; `shown` are
    tokens that are text although the tokenizer calls them special, as some do with the marks of tool calls."""

    def __init__(self, tokenizer: Any, shown: Collection[int] = ()) -> None:
        self._tokenizer = tokenizer
        marked = {id_ for id_, token in tokenizer.added_tokens_decoder.items() if getattr(token, "special", False)}
        self._special = (marked | set(tokenizer.all_special_ids)) - set(shown)
        self.size = len(tokenizer)
        self.style = _style(tokenizer)
        spell = SPELLINGS.get(self.style)
        self._table = self._spelt(spell) if spell else None
        self.longest_token_bytes = max(map(len, self._table)) if self._table else 64

    def detokeniser(self, *, strip_space: bool) -> Detokeniser:
        if self._table is None:
            return WindowDetokeniser(self._decode)
        return ByteDetokeniser(self._table, strip_space and self.style == "sentencepiece")

    def bytes_of(self, token: int) -> bytes:
        if self._table is not None and token < len(self._table) and token not in self._special:
            return self._table[token]
        return str(self._tokenizer.decode([token])).encode()

    def _decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))

    def _spelt(self, spell: Callable[[str], bytes]) -> list[bytes]:
        names = self._tokenizer.convert_ids_to_tokens(list(range(self.size)))
        added = {id_: str(token) for id_, token in self._tokenizer.added_tokens_decoder.items()}
        return [self._bytes(id_, name, added, spell) for id_, name in enumerate(names)]

    def _bytes(self, id_: int, name: str | None, added: dict[int, str], spell: Callable[[str], bytes]) -> bytes:
        if id_ in self._special or name is None:
            return b""
        return added[id_].encode() if id_ in added else spell(name)


def _style(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    decoder = json.loads(backend.to_str()).get("decoder") if backend is not None else None
    kinds = {kind["type"] for kind in _flat(decoder)} if decoder else set()
    if "ByteLevel" in kinds:
        return "bytes"
    return "sentencepiece" if "ByteFallback" in kinds else "words"


def _flat(decoder: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for part in decoder["decoders"] for one in _flat(part)] if "decoders" in decoder else [decoder]


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for bytes (openai/gpt-2, src/encoder.py, bytes_to_unicode)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + at): byte for at, byte in enumerate(rest)}


ALPHABET = _byte_alphabet()


def _spell_bytes(name: str) -> bytes:
    if all(letter in ALPHABET for letter in name):
        return bytes(ALPHABET[letter] for letter in name)
    return name.encode()


def _spell_pieces(name: str) -> bytes:
    if byte := BYTE.fullmatch(name):
        return bytes([int(byte[1], 16)])
    return name.replace(SPACE, " ").encode()


SPELLINGS: dict[str, Callable[[str], bytes]] = {"bytes": _spell_bytes, "sentencepiece": _spell_pieces}
