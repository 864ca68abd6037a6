"""python -m demo_models.score_texts FOLDER: how often a paraphrase is nearer than another meaning."""

import argparse
import sys
from pathlib import Path

from demo_models.progress import say
from demo_models.texts import scoring


def main() -> int:
    parser = argparse.ArgumentParser(description="Score demo-embed or demo-rerank.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=400, help="trials of each kind")
    options = parser.parse_args()
    judge = scoring.Judge(options.folder)
    say("| phrases | right |\n|---|---|")
    for unseen, what in ((False, "those that it was written for"), (True, "others")):
        right = scoring.right(judge, options.count, unseen=unseen)
        say(f"| {what} | {right}/{options.count} ({right / options.count:.1%}) |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
