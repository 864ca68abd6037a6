"""LoRAs on the real worker: they change the clip by their strength, leave no trace, and say what does not fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.runtime

Json = dict[str, Any]
# Random low-rank weights for every attention of the demo model, under diffusers' names; or for layers it has not.
MAKE = """
import json, sys
import mlx.core as mx
folder, name = sys.argv[1:3]
config = json.load(open(f"{folder}/transformer/config.json"))
width = config["num_attention_heads"] * config["attention_head_dim"]
mx.random.seed(1)
base = "transformer.blocks.{}.attn1.{}" if len(sys.argv) < 4 else sys.argv[3]
pairs = {"A": (4, width), "B": (width, 4)}
mx.save_safetensors(name, {
    f"{base.format(block, layer)}.lora_{part}.weight": mx.random.normal(shape)
    for block in range(config["num_layers"]) for layer in ("to_q", "to_v", "to_out.0") for part, shape in pairs.items()
})
"""


@pytest.fixture
def lora(run_in_runtime: Callable[..., str], demo_model: Path, tmp_path: Path) -> Callable[..., Json]:
    def make(strength: float = 1.0, expert: str = "transformer", *layers: str) -> Json:
        path = tmp_path / f"lora-{len(layers)}.safetensors"
        if not path.exists():
            run_in_runtime("-c", MAKE, demo_model, path, *layers)
        return {"name": "tiny", "expert": expert, "path": str(path), "strength": strength}

    return make


def test_it_changes_the_clip_by_its_strength_and_the_next_clip_of_the_same_worker_is_without_it(
    start_worker: Callable[[], Any], spec: Json, lora: Callable[..., Json], tmp_path: Path
) -> None:
    worker, digests, applied = start_worker(), [], []
    both = [lora(), lora(0.5, "transformer_2")]
    for number, loras in enumerate(([], [lora()], [lora(0.5)], both, [])):
        own = {"artifacts_dir": str(tmp_path / str(number)), "stay": True, "frames": 5, "verify": False}
        worker.send("start", spec=spec | own | {"loras": loras})
        made = worker.outcome()
        assert made["type"] == "done", made
        digests.append(made["manifest"]["frames_sha256"])
        applied.append([(one["expert"], one["matched"], one["unmatched"]) for one in made["manifest"]["loras"]])
    assert digests[0] == digests[4]
    assert len(set(digests[:4])) == 4
    assert [len(one) for one in applied] == [0, 1, 1, 2, 0]
    assert all(matched > 0 and unmatched == 0 for one in applied for _, matched, unmatched in one)


def test_what_does_not_fit_is_said_by_name(generate: Callable[..., Json], lora: Callable[..., Json]) -> None:
    failed = generate(loras=[lora(1.0, "transformer", "other.layers.{}.{}")])
    assert (failed["code"], "other.layers.0.to_q.lora_A.weight" in failed["message"]) == ("lora_invalid", True)
    gone = generate(loras=[lora() | {"path": "/nowhere.safetensors"}])
    assert (gone["code"], "not there" in gone["message"]) == ("lora_invalid", True)


def test_a_boundary_of_its_own_says_which_expert_does_what(generate: Callable[..., Json]) -> None:
    digests = [generate(boundary_ratio=ratio, frames=5)["manifest"]["frames_sha256"] for ratio in (None, 0.999, 0.001)]
    assert len(set(digests)) == 3
