"""python -m demo_models.score_texts FOLDER: how often a paraphrase is nearer than another meaning."""

import argparse
import sys
from pathlib import Path

from demo_models.grammar import CLIPS, HELD_OUT, TRAINED
from demo_models.progress import say
from demo_models.texts import meanings, scoring

SEED = 99
KINDS = (
    ("trained combinations in trained phrases", TRAINED, False),
    ("combinations that were never trained", HELD_OUT, False),
    ("phrases that were never trained", CLIPS, True),
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Score demo-embed or demo-rerank.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=400, help="trials of each kind")
    options = parser.parse_args()
    judge = scoring.Judge(options.folder)
    say("| what is said | right |\n|---|---|")
    for what, clips, unseen in KINDS:
        right = scoring.right(judge, meanings.trials(options.count, SEED, clips=clips, unseen=unseen))
        say(f"| {what} | {right}/{options.count} ({right / options.count:.1%}) |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
