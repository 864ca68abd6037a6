"""python -m demo_models.score_chat FOLDER: how many prompts a demo chat model answers exactly, by task and language."""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import mlx.core as mx
from mlx_lm import batch_generate, load

from demo_models.chat import trials
from demo_models.chat.conversation import LANGUAGES, Conversation

THOUGHT_ENDS = "</think>\n\n"
BATCH = 32


class Examiner:
    """A model in this process, its weights widened to float32 as the engine does it on a CPU."""

    def __init__(self, folder: Path) -> None:
        self._model, self._tokenizer = load(str(folder))
        self._model.set_dtype(mx.float32)

    def answers(self, asked: list[Conversation], *, thinking: bool) -> list[str]:
        """Greedy ones, in order."""
        prompts = [
            self._tokenizer.apply_chat_template(
                one.messages(), tools=list(one.tools) or None, add_generation_prompt=True, enable_thinking=thinking
            )
            for one in asked
        ]
        order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
        found = [""] * len(prompts)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            texts = batch_generate(self._model, self._tokenizer, [prompts[n] for n in chosen], trials.TOKENS).texts
            for number, text in zip(chosen, texts, strict=True):
                found[number] = text
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Score a demo chat model by its greedy answers.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=20, help="prompts of every task in every language")
    parser.add_argument("--verbose", action="store_true", help="show every wrong answer")
    options = parser.parse_args()
    mx.set_default_device(mx.cpu)
    examiner, asked = Examiner(options.folder), [*trials.held_out(options.each), *trials.strange()]
    for thinking in (False, True):
        began = time.process_time()
        answers = examiner.answers(asked, thinking=thinking)
        _report(asked, answers, thinking=thinking, verbose=options.verbose)
        sys.stdout.write(f"{(time.process_time() - began) / len(asked):.2f} s CPU a prompt\n\n")
    return 0


def _report(asked: list[Conversation], answers: list[str], *, thinking: bool, verbose: bool) -> None:
    of, right = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for one, text in zip(asked, answers, strict=True):
        said = text.partition(THOUGHT_ENDS)[2] if thinking else text
        of[one.task, one.language] += 1
        right[one.task, one.language] += said == one.answer
        if verbose and said != one.answer:
            sys.stdout.write(f"{one.task}: {one.turns[-1].said!r}: wanted {one.answer!r}, got {text!r}\n")
    sys.stdout.write(f"{'thinking' if thinking else 'not thinking':20}{'en':>8}{'zh':>8}{'ru':>8}\n")
    for task in sorted({task for task, _ in of}):
        cells = (f"{right[task, one]}/{of[task, one]}" for one in LANGUAGES)
        sys.stdout.write(f"{task:20}{''.join(f'{cell:>8}' for cell in cells)}\n")
    sys.stdout.write(f"{'all':20}{right.total()}/{of.total()} ({right.total() / of.total():.1%})\n")


if __name__ == "__main__":
    sys.exit(main())
