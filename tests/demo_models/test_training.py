"""The programs that train the demo models for chat and for texts, in the runtime that they run in."""

from collections.abc import Callable
from pathlib import Path

import pytest

from demo_models.pages import run_alone
from tests.inference.engine.conftest import run_in_runtime, runtime_python

__all__ = ["run_in_runtime", "runtime_python"]

Run = Callable[..., str]
COMPARE = """
import mlx.core as mx
from mlx_lm.models.gated_delta import gated_delta_update, normalize_qk
from demo_models.chat import recurrence

mx.set_default_device(mx.cpu)
for length in (1, 16, 37):
    mx.random.seed(length)
    q, k = (mx.abs(mx.random.normal((2, length, 4, 32))) for _ in range(2))  # alike, so that each changes the next
    q, k = normalize_qk(q, k, inv_scale=32**-0.5, eps=1e-6)
    v = mx.random.normal((2, length, 4, 64))
    a, b = (mx.random.normal((2, length, 4)) for _ in range(2))
    rest = mx.log(mx.array([0.01, 0.5, 4.0, 15.0])), -mx.ones(4)

    def asked(update, *tensors):
        return (update(*tensors, *rest, use_kernel=False)[0] ** 2).sum()

    pairs = [
        (update(q, k, v, a, b, *rest, use_kernel=False)[0],
         *mx.grad(asked, argnums=(1, 2, 3, 4, 5))(update, q, k, v, a, b))
        for update in (gated_delta_update, recurrence.update)
    ]
    for plain, fast in zip(*pairs):
        assert mx.abs(plain - fast).max() <= 1e-4 * mx.maximum(1, mx.abs(plain).max()), length
print("the same")
"""

ADAM = """
import mlx.core as mx
from mlx import optimizers
from demo_models.adam import Adam

mx.set_default_device(mx.cpu)
BETAS = 0.9, 0.98
plain = optimizers.Adam(learning_rate=0.0, betas=BETAS)
mx.random.seed(1)
known = learned = {"matrix": mx.random.normal((48, 96)), "vector": mx.random.normal((33,))}
ours = Adam(known, BETAS)
plain.init(known)
for step in range(20):
    size = 10.0 ** (step % 5 - 3)  # some are shortened and some are not
    gradients = {name: size * mx.random.normal(value.shape) for name, value in known.items()}
    plain.learning_rate = 0.01 / (step + 1)
    clipped, _ = optimizers.clip_grad_norm(gradients, 1.0)
    known = plain.apply_gradients(clipped, known)
    learned = ours.step(gradients, 0.01 / (step + 1))
    assert all(mx.array_equal(known[name], learned[name]) for name in known), step
print("the same")
"""


def test_adam_in_one_pass_comes_to_the_same_bytes_as_in_many(run_in_runtime: Run) -> None:
    assert run_in_runtime("-c", ADAM) == "the same\n"


def test_the_recurrence_that_trains_is_the_one_that_answers(run_in_runtime: Run) -> None:
    assert run_in_runtime("-c", COMPARE) == "the same\n"


@pytest.mark.parametrize("name", ["chat", "hybrid", "swa", "embed", "rerank"])
def test_training_again_gives_the_same_bytes(name: str, runtime_python: Path, tmp_path: Path) -> None:
    """The first few steps of each lesson, as `make demo-models` runs all of them."""
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        run_alone(runtime_python, f"demo_models.train_{name}", folder, "--share", "0.001", at=tmp_path)
    one, other = ({path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} for folder in folders)
    assert "model.safetensors" in one
    assert one == other
