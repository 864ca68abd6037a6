"""The shipped demo model that another one goes on from."""

import mlx.core as mx
from mlx.utils import tree_flatten

from demo_models import shipped
from videos.runtimes.mlx_gen import architecture, mlxgen
from videos.runtimes.mlx_gen.checkpoint import Checkpoint

DECODER = ("decoder.", "post_quant_conv.")


class Elder:
    """Its weights by mlx-gen's names, as float32."""

    def __init__(self, name: str) -> None:
        self._root = shipped.WEIGHTS / name
        self._config = architecture.model_config(Checkpoint(self._root))

    def weights(self, component: str) -> dict[str, mx.array]:
        module = mlxgen.module(component, self._config)
        known = next(found for found in mlxgen.components(self._config) if found.name == component)
        mlxgen.apply_weights(mlxgen.read_weights(self._root, known), module, known)
        return {name: value.astype(mx.float32) for name, value in tree_flatten(module.parameters())}

    def decoder(self) -> dict[str, mx.array]:
        return {name: value for name, value in self.weights("vae").items() if name.startswith(DECODER)}
