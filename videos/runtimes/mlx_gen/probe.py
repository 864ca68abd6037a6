"""python -m videos.runtimes.mlx_gen.probe: does this environment have what the worker needs? Prints JSON."""

import importlib
import json
import os
import sys

from videos.runtimes.mlx_gen.versions import versions

NEEDED = ("mlx.core", "mflux.models.wan", "av", "ftfy", "numpy", "PIL.Image", "tokenizers")


def main() -> int:
    for module in NEEDED:
        importlib.import_module(module)
    sys.stdout.write(json.dumps({"versions": versions(), "device": _device(), "problem": _problem()}) + "\n")
    return 0


def _device() -> str:
    mx = importlib.import_module("mlx.core")
    mx.eval(mx.ones((8, 8)) @ mx.ones((8, 8)))
    return str(mx.default_device())


def _problem() -> str:
    av = importlib.import_module("av")
    if "h264" not in av.codecs_available or "libx264" not in av.codecs_available:
        return f"PyAV {av.__version__} was built without the H.264 encoder libx264."
    return ""


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
