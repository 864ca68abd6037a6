"""What a generator that stays saves, how often embeddings are reused, and what checkpoints cost.

`python -m benchmarks.video_warm [--jobs N] [--rounds N]` in a home of its own that is removed at the end; the worker
environment is taken from FMLX_HOME. Each round has a server of its own, so that its first clip finds no generator, and
all its clips have the same text. Figures are ratios inside one round, so that a busy machine tells on both sides.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tools.places import home as server_home

os.environ["FMLX_TEST_HOME"] = str(server_home())
import tests.early
from tests.house import ask, copy_house, furnish, open_house

SHAPE = {"size": "64x64", "frames": 17, "steps": 20, "fps": 8}
TOLD = """
import json
from videos.models import Attempt, Step
tries = [[a.warm, a.manifest["phase_seconds"], a.manifest["checkpoints"]] for a in Attempt.objects.order_by("id")]
reused = Step.objects.filter(name="encode", reused=True).count()
latents = Step.objects.filter(name="denoise").first()
print(json.dumps({"attempts": tries, "reused": reused, "latents": latents.bytes}))
"""


def one_round(home: Path, jobs: int) -> dict[str, Any]:
    """Walls of the clips in their order, and what the server kept of them."""
    walls = []
    with open_house(home) as client:
        for seed in range(jobs):
            began = time.monotonic()
            client.until(client.make(**SHAPE, seed=seed)["id"], "completed")
            walls.append(time.monotonic() - began)
    return {"walls": walls, **json.loads(ask(home, TOLD))}


def report(rounds: list[dict[str, Any]]) -> None:
    jobs = len(rounds[0]["walls"])
    say("wall of the later clips ÷ the first", [median(one["walls"][1:]) / one["walls"][0] for one in rounds])
    for place in range(1, jobs):
        say(f"    clip {place + 1} ÷ the first", [one["walls"][place] / one["walls"][0] for one in rounds])
    loads = [[phases.get("loading", 0.0) for _, phases, _ in one["attempts"]] for one in rounds]
    say("cold load ÷ warm load", [one[0] / max(1e-4, median(one[1:])) for one in loads])
    stayed = [sum(warm for warm, _, _ in one["attempts"]) for one in rounds]
    print(f"  clips in a generator that had stayed: {stayed} of {jobs - 1} that could be, a round")
    print(f"  embeddings reused: {[one['reused'] for one in rounds]} of {jobs - 1} that could be, a round")
    costs = [(phases["denoising"], kept) for one in rounds for _, phases, kept in one["attempts"]]
    say("checkpoints: compute thread held up ÷ denoise", [kept["compute_seconds"] / took for took, kept in costs])
    say("checkpoints: writer's own time ÷ denoise", [kept["writer_seconds"] / took for took, kept in costs])
    speed = [kept["bytes"] / max(1e-6, kept["compute_seconds"]) / 1e6 for _, kept in costs]
    say("checkpoints: MB copied a second of the compute thread", speed)
    size = median(kept["bytes"] / max(1, kept["written"]) for _, kept in costs)
    print(f"  a checkpoint has {size:,.0f} bytes, {median(kept['written'] for _, kept in costs):g} a clip")


def say(what: str, figures: list[float]) -> None:
    print(f"  {what}: {median(figures):.4g} (from {min(figures):.4g} to {max(figures):.4g})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        template = furnish(tests.early.make_home(folder / "template"))
        homes = [copy_house(template, folder / str(number)) for number in range(options.rounds + 1)]
        one_round(homes[0], 1)  # the page cache
        rounds = [one_round(home, options.jobs) for home in homes[1:]]
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    print(f"{options.rounds} rounds of {options.jobs} clips, {SHAPE}; medians; load {load} on {os.cpu_count()} cores")
    report(rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
