"""The command line that the training programs of the demo chat models share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlx import nn

from demo_models.chat import learning, tasks
from demo_models.chat.families import Family
from demo_models.chat.folder import Folder
from demo_models.chat.rows import Rows
from demo_models.command import Command


@dataclass(frozen=True, slots=True)
class Lesson:
    """`peak`: the highest learning rate. `copies`: the share of what is to be repeated, beside 129 of everything."""

    seed: int
    steps: int
    peak: float
    copies: int


Steps = Callable[[int], int]
Teach = Callable[[Folder, nn.Module, Steps], None]


def program(family: Family, teach: Teach) -> int:
    """`teach` trains a new model of the family; it is given what makes a full number of steps those that were asked
    for."""
    command = Command.read(family.name)
    folder = Folder(command.folder, family)
    model = folder.model()
    teach(folder, model, command.steps)
    folder.save(model)
    return command.end()


def give(lessons: Sequence[Lesson], folder: Folder, model: nn.Module, steps: Steps, slow: str = "") -> None:
    """Each leaves the weights rounded as in a file: a later one can be given again without the earlier. What has `slow`
    in its name learns slowly."""
    for lesson in lessons:
        rows = Rows(folder.tokenizer, lesson.seed, tasks.with_copies(lesson.copies))
        learning.train_further(model, rows, steps=steps(lesson.steps), peak=lesson.peak, slow=slow)
        model.load_weights(list(learning.stored(model).items()))


def add(lesson: Lesson, folder: Folder, model: nn.Module, steps: Steps, slow: str = "") -> None:
    """Give it, and keep the mean of the weights before and after, which is right more often than either (Wortsman et
    al., "Robust fine-tuning of zero-shot models", 2022)."""
    before = learning.stored(model)
    model.load_weights(list(before.items()))
    give([lesson], folder, model, steps, slow)
    model.load_weights([(name, (value + before[name]) / 2) for name, value in learning.stored(model).items()])
