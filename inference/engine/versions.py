"""The versions an engine says hello with. Importing none of the packages keeps the hello quick."""

import platform
from importlib.metadata import version

PACKAGES = ("mlx", "mlx-embeddings", "mlx-lm", "tokenizers", "transformers")


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}
