"""python -m demo_models.train_embed FOLDER: train demo-embed, a BERT in small that makes vectors, from nothing."""

import argparse
import sys
from pathlib import Path

import mlx.core as mx

from demo_models.progress import say
from demo_models.texts import folder, learning

SEED, STEPS, PEAK = 5, 700, 2e-3
MEANINGS = 32  # in a batch


def main() -> int:
    parser = argparse.ArgumentParser(description="Train demo-embed from nothing.")
    parser.add_argument("folder", type=Path, help="where the checkpoint is written")
    parser.add_argument("--share", type=float, default=1.0, help="of the full number of steps, for a quick trial")
    options = parser.parse_args()
    mx.set_default_device(mx.cpu)  # other devices add in another order, and the bytes would differ
    mx.disable_compile()  # the same sums whether or not there is a compiler
    network, tokenizer = folder.make(options.folder.absolute(), scores=False)
    learning.begin(network, SEED)
    batches = learning.wordings(tokenizer, SEED, MEANINGS)
    steps = max(1, round(STEPS * options.share))
    learning.teach(network, batches, learning.contrast, name="demo-embed", steps=steps, peak=PEAK)
    folder.save(options.folder, network)
    size = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file())
    say(f"demo-embed is in {options.folder}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
