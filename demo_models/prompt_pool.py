"""The prompts that the denoisers are taught with, encoded once by the worker's own prompt encoder."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from mflux.models.common.config.model_config import WAN_DEFAULT_NEGATIVE_PROMPT

from demo_models.grammar import LANGUAGES, TRAINED, prompt
from videos.runtimes.mlx_gen import mlxgen
from videos.runtimes.mlx_gen.checkpoint import Checkpoint
from videos.runtimes.mlx_gen.prompts import PromptEncoder

SEED = 3
PER_LANGUAGE = 12
PADDED = 512  # the rows that the pipeline hands to the denoiser, zeros after the prompt's end
AT_ONCE = 64
HIDDEN = -1e9


@dataclass(frozen=True, slots=True)
class PromptPool:
    """`states` float32 [N, L, d] and `biases` float32 [N, L] for the attention's scores.

    One zero row stands for all of a prompt's padding: with log(512 - n) added to its score it takes the same share of
    the softmax as 512 - n zero rows do, at a fortieth of the cost. Prompt 0 is empty, prompt 1 the default negative.
    """

    states: np.ndarray
    biases: np.ndarray
    of_clip: dict[int, np.ndarray]

    @classmethod
    def encode(cls, checkpoint: Checkpoint) -> "PromptPool":
        """Prompts for each clip in `TRAINED`; `of_clip` has their numbers."""
        chance = random.Random(SEED)  # noqa: S311  reproducible, not secret
        texts, owners = ["", WAN_DEFAULT_NEGATIVE_PROMPT], [-1, -1]
        for number, clip in enumerate(TRAINED):
            for language in LANGUAGES:
                texts += [prompt(clip, language, chance) for _ in range(PER_LANGUAGE)]
                owners += [number] * PER_LANGUAGE
        encoder = PromptEncoder(checkpoint, clean=mlxgen.clean_prompt)
        lengths = np.array([len(ids) for ids in encoder.tokenize(texts, PADDED).ids])
        longest = int(lengths.max()) + 1
        states = np.concatenate(list(_states(encoder, texts, longest)))
        belong = np.array(owners)
        return cls(states, _biases(lengths, longest), {n: np.where(belong == n)[0] for n in range(len(TRAINED))})


def _states(encoder: PromptEncoder, texts: list[str], longest: int) -> Iterator[np.ndarray]:
    for start in range(0, len(texts), AT_ONCE):
        state, _ = encoder.encode(texts[start : start + AT_ONCE], PADDED, lambda _: None)
        yield np.array(state[:, :longest])


def _biases(lengths: np.ndarray, longest: int) -> np.ndarray:
    rows = np.arange(longest)[None, :]
    biases = np.where(rows < lengths[:, None], 0.0, HIDDEN)
    biases[np.arange(len(lengths)), lengths] = np.log(PADDED - lengths)
    return np.asarray(biases, np.float32)
