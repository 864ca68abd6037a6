"""python -m demo_models.score_chat FOLDER: how many prompts a demo chat model answers exactly, by task and language."""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import mlx.core as mx

from demo_models.chat import trials
from demo_models.chat.conversation import LANGUAGES, Conversation
from demo_models.chat.speaker import THOUGHT_ENDS, Prompt, Speaker
from demo_models.progress import say


def main() -> int:
    parser = argparse.ArgumentParser(description="Score a demo chat model by its likeliest answers.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=20, help="prompts of every task in every language")
    parser.add_argument("--task", help="only this one, by its name in the table")
    parser.add_argument("--verbose", action="store_true", help="show every wrong answer")
    options = parser.parse_args()
    mx.set_default_device(mx.cpu)
    speaker, known = Speaker(options.folder), [*trials.held_out(options.each), *trials.strange()]
    asked = [one for one in known if options.task in (None, one.task)]
    for thinking in (False, True):
        began = time.process_time()
        answers = speaker.answers([Prompt.of(one, thinking=thinking) for one in asked])
        seconds = time.process_time() - began
        right = [_answer(text, thinking=thinking) == one.answer for one, text in zip(asked, answers, strict=True)]
        say(f"\n{'Thinking first' if thinking else 'Without thinking'}, {seconds / len(asked):.3f} s CPU a prompt:\n")
        _table(asked, right)
        if options.verbose:
            _wrong(asked, answers, right)
    return 0


def _answer(text: str, *, thinking: bool) -> str:
    return text.partition(THOUGHT_ENDS)[2] if thinking else text


def _table(asked: list[Conversation], right: list[bool]) -> None:
    of = Counter((one.task, one.language) for one in asked)
    hit = Counter((one.task, one.language) for one, good in zip(asked, right, strict=True) if good)
    say("| task | English | Chinese | Russian |\n|---|---|---|---|")
    for task in sorted({task for task, _ in of}):
        cells = (f"{hit[task, one]}/{of[task, one]}" for one in LANGUAGES)
        say(f"| {task} | {' | '.join(cells)} |")
    say(f"\n{sum(right)} of {len(right)} are right ({sum(right) / len(right):.1%}).")


def _wrong(asked: list[Conversation], answers: list[str], right: list[bool]) -> None:
    for one, text, good in zip(asked, answers, right, strict=True):
        if not good:
            say(f"{one.task}, {one.turns[-1].said!r}: wanted {one.answer!r}, got {text!r}")


if __name__ == "__main__":
    sys.exit(main())
