"""python -m demo_models.remake [--ship] [NAME...]: train the demo models from nothing, compare them with the shipped
ones, and score them. `--ship` then puts the new ones in their place."""

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from demo_models import pages, shipped
from memory import environments


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is made: the runtime whose Python runs two modules, one that trains and one that scores."""

    runtime: str
    trainer: str
    scorer: str


RECIPES = {  # in this order: some go on from what is shipped of another
    "demo-chat": Recipe("mlx-lm", "demo_models.train_chat", "demo_models.score_chat"),
    "demo-hybrid": Recipe("mlx-lm", "demo_models.train_hybrid", "demo_models.score_chat"),
    "demo-swa": Recipe("mlx-lm", "demo_models.train_swa", "demo_models.score_chat"),
    "demo-embed": Recipe("mlx-lm", "demo_models.train_embed", "demo_models.score_texts"),
    "demo-rerank": Recipe("mlx-lm", "demo_models.train_rerank", "demo_models.score_texts"),
    "demo-video-5b": Recipe("mlx-gen", "demo_models.train_video_5b", "demo_models.score"),
    "demo-video": Recipe("mlx-gen", "demo_models.train_video", "demo_models.score"),
    "demo-video-i2v": Recipe("mlx-gen", "demo_models.train_video_i2v", "demo_models.score"),
}
MADE = environments.ROOT / ".make" / "demo-models"
CARD = "README.md"


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the demo models from nothing, compare them and score them.")
    parser.add_argument("names", nargs="*", choices=[[], *RECIPES], help="all of them when none is named")
    parser.add_argument("--ship", action="store_true", help="put the new weights in the place of the shipped ones")
    options = parser.parse_args()
    for name in options.names or RECIPES:
        recipe, folder = RECIPES[name], MADE / name
        python = environments.build(pages.HOME, recipe.runtime, say=_say)
        began = os.times().children_user + os.times().children_system
        _run(python, recipe.trainer, folder)
        cpu = os.times().children_user + os.times().children_system - began
        _say(f"{name} took {cpu / 60:.1f} CPU minutes.")
        _say(_compared(name, folder))
        _run(python, recipe.scorer, folder)
        if options.ship:
            ship(name, folder)
    return 0


def ship(name: str, folder: Path) -> None:
    """Replace the shipped files of `name`, but for its card, by those in `folder`, and list their sums anew."""
    target = shipped.WEIGHTS / name
    for path in sorted(found for found in folder.rglob("*") if found.is_file()):
        place = target / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    shipped.seal(target)
    _say(f"{name} is shipped from {target}.")


def _compared(name: str, folder: Path) -> str:
    wanted = {file: digest for file, digest in shipped.read_sums(shipped.WEIGHTS / name).items() if file != CARD}
    changed = shipped.differing(folder, wanted)
    if not wanted:
        return f"No {name} is shipped yet."
    if changed:
        return f"{name} differs from the shipped one in {', '.join(changed)}: other machines add in another order."
    return f"{name} is the shipped one, byte for byte ({len(wanted)} files)."


def _run(python: Path, module: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pages.run_alone(python, module, folder, at=folder)


def _say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
