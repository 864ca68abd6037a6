"""python -m demo_models.train_chat FOLDER: train demo-chat, a Qwen3 in small, from nothing."""

import sys

from mlx import nn

from demo_models.chat import learning
from demo_models.chat.families import CHAT
from demo_models.chat.folder import Folder
from demo_models.chat.lessons import Lesson, Steps, add, program
from demo_models.chat.rows import Rows

SEED, STEPS = 1, 4000
COPYING = Lesson(2, 700, 8e-4, 50)


def teach(folder: Folder, model: nn.Module, steps: Steps) -> None:
    """Everything; and then mostly copying, since of the texts to repeat 8 % were still wrong."""
    learning.train(model, Rows(folder.tokenizer, SEED), steps=steps(STEPS), seed=SEED)
    add(COPYING, folder, model, steps)


if __name__ == "__main__":
    sys.exit(program(CHAT, teach))
