"""python -m inference.engine.probe: does this environment have what the engine needs? Prints JSON."""

import importlib
import json
import os
import sys

from inference.engine.versions import versions

NEEDED = ("mlx.core", "mlx_lm.generate", "mlx_lm.models.cache", "numpy", "tokenizers", "jinja2")


def main() -> int:
    for module in NEEDED:
        importlib.import_module(module)
    mx = importlib.import_module("mlx.core")
    mx.eval(mx.ones((8, 8)) @ mx.ones((8, 8)))
    sys.stdout.write(json.dumps({"versions": versions(), "device": str(mx.default_device()), "problem": ""}) + "\n")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
