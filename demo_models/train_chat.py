"""python -m demo_models.train_chat FOLDER: train demo-chat, a Qwen3 in small, from nothing."""

import argparse
import shutil
import sys
from pathlib import Path

import mlx.core as mx

from demo_models.chat import learning
from demo_models.chat.folder import Folder
from demo_models.chat.rows import Rows
from demo_models.progress import say

SEED = 1
STEPS = 4000
TOKENS = 1024  # in a batch


def main() -> int:
    parser = argparse.ArgumentParser(description="Train demo-chat from nothing.")
    parser.add_argument("folder", type=Path, help="where the checkpoint is written")
    parser.add_argument("--share", type=float, default=1.0, help="of the full number of steps, for a quick trial")
    options = parser.parse_args()
    mx.set_default_device(mx.cpu)  # other devices add in another order, and the bytes would differ
    if shutil.which("g++") is None:
        mx.disable_compile()  # MLX compiles fused CPU kernels with it and fails without
    folder = Folder(options.folder.absolute())
    model, rows = folder.model(), Rows(folder.tokenizer, SEED, TOKENS)
    learning.train(model, rows, steps=max(1, round(STEPS * options.share)), seed=SEED)
    folder.save(model)
    size = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file())
    say(f"demo-chat is in {options.folder}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
