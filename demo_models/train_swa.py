"""python -m demo_models.train_swa FOLDER: train demo-swa, a Gemma 3 in small, on from what demo-chat knows."""

import sys

import mlx.core as mx
from mlx import nn

from demo_models.chat import inherit
from demo_models.chat.families import SWA
from demo_models.chat.folder import Folder
from demo_models.chat.lessons import Lesson, Steps, give, program
from demo_models.chat.rows import Rows
from demo_models.chat.teacher import Teacher

SEED = 3
LESSON = Lesson(4, 700, 1.2e-3, 20)


def teach(folder: Folder, model: nn.Module, steps: Steps) -> None:
    """Gemma multiplies its words' vectors, which are smaller for it and therefore learn slowly."""
    teacher, shown = Teacher(), next(Rows(folder.tokenizer, SEED).batches())
    sizes = {name: mx.sqrt((added**2).mean()).item() for name, _, added in teacher.parts(mx.array(shown.tokens))}
    model.load_weights(list(inherit.sliding(teacher.weights, sizes).items()))
    give([LESSON], folder, model, steps, slow="embed_tokens")


if __name__ == "__main__":
    sys.exit(program(SWA, teach))
