"""The versions a worker says hello with. Importing none of the packages keeps the hello quick."""

import platform
from importlib.metadata import version

PACKAGES = ("mlx", "mlx-gen", "av", "numpy", "pillow", "tokenizers")


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}
