"""python -m demo_models.train_hybrid FOLDER: train demo-hybrid, a Qwen3-Next in small, on from what demo-chat knows."""

import sys

from mlx import nn

from demo_models.chat import inherit, learning
from demo_models.chat.families import HYBRID
from demo_models.chat.folder import Folder
from demo_models.chat.lessons import Lesson, Steps, add, give, program
from demo_models.chat.rows import Rows
from demo_models.chat.teacher import Teacher

SEED, IMITATING = 3, 200  # steps
LESSONS, LAST = (Lesson(4, 350, 1.2e-3, 50), Lesson(5, 450, 1e-3, 30)), Lesson(6, 300, 8e-4, 40)


def teach(folder: Folder, model: nn.Module, steps: Steps) -> None:
    """Its recurrences first answer as the attention that they replace; then all of it learns together."""
    teacher = Teacher()
    model.load_weights(list(inherit.hybrid(teacher.weights, model, teacher.heads, SEED).items()))
    learning.imitate(model, teacher, Rows(folder.tokenizer, SEED), steps=steps(IMITATING))
    give(LESSONS, folder, model, steps)
    add(LAST, folder, model, steps)


if __name__ == "__main__":
    sys.exit(program(HYBRID, teach))
