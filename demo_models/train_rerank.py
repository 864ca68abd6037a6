"""python -m demo_models.train_rerank FOLDER: train demo-rerank, which judges pairs of texts, on from demo-embed."""

import argparse
import sys
from pathlib import Path

import mlx.core as mx

from demo_models import shipped
from demo_models.progress import say
from demo_models.texts import folder, learning

SEED, STEPS, PEAK = 6, 900, 1e-3
PAIRS = 48  # in a batch
START = shipped.WEIGHTS / "demo-embed"


def main() -> int:
    parser = argparse.ArgumentParser(description="Train demo-rerank on from demo-embed.")
    parser.add_argument("folder", type=Path, help="where the checkpoint is written")
    parser.add_argument("--start", type=Path, default=START, help="the folder of demo-embed")
    parser.add_argument("--share", type=float, default=1.0, help="of the full number of steps, for a quick trial")
    options = parser.parse_args()
    mx.set_default_device(mx.cpu)  # other devices add in another order, and the bytes would differ
    mx.disable_compile()  # the same sums whether or not there is a compiler
    network, tokenizer = folder.make(options.folder.absolute(), scores=True)
    learning.begin(network, SEED)
    network.body.load_weights(str(options.start / "model.safetensors"))
    batches = learning.judgements(tokenizer, SEED, PAIRS)
    steps = max(1, round(STEPS * options.share))
    learning.teach(network, batches, learning.judge, name="demo-rerank", steps=steps, peak=PEAK)
    folder.save(options.folder, network)
    size = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file())
    say(f"demo-rerank is in {options.folder}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
