"""python -m demo_models.sheet FOLDER PICTURE: a contact sheet, one prompt a row, with the model's own defaults."""

import random
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
from PIL import Image, ImageDraw

from demo_models.grammar import LANGUAGES, Clip, prompt
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
EVERY = 4  # frames
LABEL = 300  # pixels
PAPER, INK = (255, 255, 255), (20, 20, 20)
SIDE = 64


def row(studio: Studio, text: str, seed: int) -> Image.Image:
    frames = studio.clip(text, seed)[::EVERY]
    strip = Image.new("RGB", (len(frames) * (SIDE + 2) + LABEL, SIDE + 2), PAPER)
    for place, frame in enumerate(frames):
        strip.paste(Image.fromarray(np.ascontiguousarray(frame)), (place * (SIDE + 2), 0))
    ImageDraw.Draw(strip).text((len(frames) * (SIDE + 2) + 8, SIDE // 2 - 6), text, INK)
    return strip


def main() -> int:
    folder, picture = Path(sys.argv[1]).absolute(), Path(sys.argv[2])
    mx.set_default_device(mx.cpu)
    studio, chance = Studio(folder), random.Random(1)  # noqa: S311  reproducible, not secret
    asked = [prompt(clip, LANGUAGES[n % len(LANGUAGES)], chance, plain=True) for n, clip in enumerate(CLIPS)]
    rows = [row(studio, text, seed) for seed, text in enumerate(asked, start=1)]
    sheet = Image.new("RGB", (rows[0].width, sum(one.height for one in rows)), PAPER)
    for place, one in enumerate(rows):
        sheet.paste(one, (0, place * one.height))
    picture.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(picture)
    sys.stdout.write(f"{picture}: {len(rows)} prompts\n" + "".join(f"  {text}\n" for text in asked))
    return 0


if __name__ == "__main__":
    sys.exit(main())
