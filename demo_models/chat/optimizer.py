"""Adam for vectors and embeddings, Muon for matrices, with the updates compiled.

Muon: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
"""

from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

BETAS = (0.9, 0.98)
MOMENTUM = 0.95
ROUNDS = 5  # of Newton and Schulz
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # theirs
LARGEST_NORM = 1.0


class Optimizer:
    """Flat parameters by name; the learning rate of a step is given with it, and Muon's is `matrix` times it."""

    def __init__(self, parameters: Any, *, matrix: float, decay: float) -> None:
        self.parameters = dict(tree_flatten(parameters))
        self._matrix, self._decay, self._steps = matrix, decay, 0
        self._first = {name: mx.zeros_like(value) for name, value in self.parameters.items()}
        self._second = {
            name: mx.zeros_like(value) for name, value in self.parameters.items() if not self._is_matrix(name)
        }

    def step(self, gradients: Any, rate: float) -> Any:
        """The new parameters, as a tree."""
        self._steps += 1
        found = dict(tree_flatten(gradients))
        norm = mx.sqrt(sum((gradient * gradient).sum() for gradient in found.values()))
        scale = mx.minimum(1.0, LARGEST_NORM / (norm + 1e-6))
        for name, gradient in found.items():
            (self._by_muon if self._is_matrix(name) else self._by_adam)(name, gradient, scale, rate)
        mx.eval(self.parameters, self._first, self._second)
        return tree_unflatten(list(self.parameters.items()))

    def _is_matrix(self, name: str) -> bool:
        return self._matrix > 0 and self.parameters[name].ndim > 1 and "embed" not in name

    def _by_adam(self, name: str, gradient: mx.array, scale: mx.array, rate: float) -> None:
        first, second = 1 - BETAS[0] ** self._steps, 1 - BETAS[1] ** self._steps
        decay = self._decay if gradient.ndim > 1 else 0.0
        given = (self.parameters[name], gradient, self._first[name], self._second[name], scale)
        settings = mx.array([rate, rate * decay, first, second])
        self.parameters[name], self._first[name], self._second[name] = _adam(*given, settings)

    def _by_muon(self, name: str, gradient: mx.array, scale: mx.array, rate: float) -> None:
        weight, rate = self.parameters[name], rate * self._matrix
        self._first[name], direction = _momentum(gradient, self._first[name], scale)
        stretch = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
        update = _orthogonal(direction)
        self.parameters[name] = weight * (1 - rate * self._decay) - update * (rate * stretch)


def _adam_update(
    weight: mx.array, gradient: mx.array, first: mx.array, second: mx.array, scale: mx.array, settings: mx.array
) -> tuple[mx.array, mx.array, mx.array]:
    gradient = gradient * scale
    first = BETAS[0] * first + (1 - BETAS[0]) * gradient
    second = BETAS[1] * second + (1 - BETAS[1]) * gradient * gradient
    update = (first / settings[2]) / (mx.sqrt(second / settings[3]) + 1e-8)
    return weight * (1 - settings[1]) - settings[0] * update, first, second


def _momentum_update(gradient: mx.array, first: mx.array, scale: mx.array) -> tuple[mx.array, mx.array]:
    first = MOMENTUM * first + (1 - MOMENTUM) * gradient * scale
    return first, MOMENTUM * first + (1 - MOMENTUM) * gradient * scale


_adam, _momentum = mx.compile(_adam_update), mx.compile(_momentum_update)


def _orthogonal(matrix: mx.array) -> mx.array:
    """The nearest matrix whose singular values are all about 1."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (mx.sqrt((x * x).sum()) + 1e-7)
    for _ in range(ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * (square @ square)) @ x
    return x.T if tall else x
