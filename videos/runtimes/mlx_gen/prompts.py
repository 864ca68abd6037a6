"""From prompt text to the embeddings that condition the video."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
from tokenizers import Tokenizer

from videos.runtimes.mlx_gen import umt5
from videos.runtimes.mlx_gen.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Tokens:
    """Ids of each text, at most the limit, and how many the first would have had without it."""

    ids: list[list[int]]
    wanted: list[int]

    @property
    def truncated(self) -> bool:
        return any(wanted > len(ids) for wanted, ids in zip(self.wanted, self.ids, strict=True))


class PromptEncoder:
    """Tokenises with the checkpoint's own tokenizer.json and encodes with UMT5."""

    def __init__(self, checkpoint: Checkpoint, clean: Callable[[str], str]) -> None:
        self._checkpoint, self._clean = checkpoint, clean
        self._tokenizer = Tokenizer.from_str(checkpoint.tokenizer)
        self.layers = umt5.Sizes.of(checkpoint.config("text_encoder")).layers

    def tokenize(self, texts: list[str], limit: int) -> Tokens:
        """Clean and tokenise, each text closed by the end token and cut to `limit` tokens."""
        cleaned = [self._clean(text) for text in texts]
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        wanted = [len(found.ids) for found in self._tokenizer.encode_batch(cleaned)]
        self._tokenizer.enable_truncation(limit)
        return Tokens([found.ids for found in self._tokenizer.encode_batch(cleaned)], wanted)

    def encode(self, texts: list[str], limit: int, on_layer: Callable[[int], None]) -> tuple[mx.array, bool]:
        """Embeddings float32 [B, limit, d_model], zero after each text's end, and whether a text was cut.

        The batch is computed at its own longest length: padding would be masked out anyway.
        """
        tokens = self.tokenize(texts, limit)
        if tokens.truncated:
            sys.stderr.write(f"A prompt has {max(tokens.wanted)} tokens; only the first {limit} condition the video.\n")
        length = max(len(ids) for ids in tokens.ids)
        ids = mx.array([found + [0] * (length - len(found)) for found in tokens.ids])
        mask = mx.array([[1] * len(found) + [0] * (length - len(found)) for found in tokens.ids])
        encoder = umt5.Encoder(self._checkpoint.config("text_encoder"), self._checkpoint.weight_files("text_encoder"))
        state = encoder.encode(ids, mask, on_layer)
        return mx.pad(state, [(0, 0), (0, limit - length), (0, 0)]), tokens.truncated
