"""Run in the runtime: greedy tokens of mlx-lm itself, one prompt at a time, each prompt in one piece."""

import json
import sys

import mlx.core as mx
from mlx_lm import load
from mlx_lm.generate import generate_step


def main() -> None:
    model_dir, prompts, count = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    model = load(model_dir)[0]
    found = []
    for prompt in prompts:
        steps = generate_step(mx.array(prompt), model, max_tokens=count)
        found.append([int(token) for token, _ in steps])
    sys.stdout.write(json.dumps(found))


main()
