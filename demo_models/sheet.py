"""python -m demo_models.sheet FOLDER PICTURE: a contact sheet, one prompt a row, with the model's own defaults.

Beside the picture it writes a page that shows it and says which prompt is which.
"""

import random
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
from PIL import Image

from demo_models.grammar import LANGUAGES, Clip, prompt
from demo_models.scene import picture_of
from demo_models.studio import Studio

CLIPS = (
    Clip("red", "ball", "right", "black"),
    Clip("yellow", "square", "left", "blue"),
    Clip("green", "ball", "up", "gray"),
    Clip("white", "square", "down", "black"),
    Clip("blue", "ball", "left", "gray"),
    Clip("red", "square", "up", "blue"),
    Clip("yellow", "ball", "down", "gray"),
    Clip("white", "ball", "right", "blue"),
    Clip("blue", "square", "down", "black"),
)
EVERY = 2  # frames
GAP = 2  # pixels
PAPER = (255, 255, 255)


def row(frames: np.ndarray, given: np.ndarray | None = None) -> Image.Image:
    shown = frames[::EVERY]
    if given is not None:
        shown = np.concatenate([given[None], shown])
    side = shown.shape[1] + GAP
    strip = Image.new("RGB", (len(shown) * side - GAP, side), PAPER)
    for place, frame in enumerate(shown):
        strip.paste(Image.fromarray(np.ascontiguousarray(frame)), (place * side, 0))
    return strip


def page(name: str, picture: Path, asked: list[str], *, from_pictures: bool) -> str:
    rows = "".join(f"{number}. {text}\n" for number, text in enumerate(asked, start=1))
    made = f"One clip a row, every {EVERY}nd frame; seeds 1 to {len(asked)}, and the model's default settings."
    if from_pictures:
        made += "\nA row begins with the picture that the clip was to continue."
    return f"# {name}\n\n![{name}]({picture.name})\n\n{made}\n\n{rows}"


def main() -> int:
    folder, picture = Path(sys.argv[1]).absolute(), Path(sys.argv[2])
    mx.set_default_device(mx.cpu)
    studio, chance = Studio(folder), random.Random(1)  # noqa: S311  reproducible, not secret
    asked = [prompt(clip, LANGUAGES[n % len(LANGUAGES)], chance, plain=True) for n, clip in enumerate(CLIPS)]
    rows = []
    for seed, (clip, text) in enumerate(zip(CLIPS, asked, strict=True), start=1):
        given = picture_of(clip, seed) if studio.from_pictures else None
        rows.append(row(studio.clip(text, seed, given), given))
    sheet = Image.new("RGB", (rows[0].width, sum(one.height for one in rows)), PAPER)
    for place, one in enumerate(rows):
        sheet.paste(one, (0, place * one.height))
    picture.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(picture)
    text = page(folder.name, picture, asked, from_pictures=studio.from_pictures)
    picture.with_suffix(".md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
