"""Steps and their artifacts: made once, verified, taken up again, and the same whichever way they are done."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.runtime

Json = dict[str, Any]
Generate = Callable[..., Json]
STEPS = ("encode", "denoise", "decode", "mux")
EVERY = 4
LONG = {"steps": 30, "checkpoint_steps": EVERY}
BARE = """
import hashlib, sys
from pathlib import Path
from benchmarks import bare
digest = hashlib.sha256()
for frame in bare.generate(bare.load(Path(sys.argv[1])), "64x64x17", 4).frames:
    digest.update(frame.tobytes())
print(digest.hexdigest())
"""


def manifest(outcome: Json) -> Json:
    assert outcome["type"] == "done", outcome
    return dict(outcome["manifest"])


def kinds(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in folder.iterdir())


def reused(made: Json) -> dict[str, bool]:
    return {step: facts["reused"] for step, facts in made["steps_made"].items()}


@pytest.mark.parametrize("kind", ["demo_model", "demo_ti2v"])
def test_the_frames_are_those_of_unmodified_mlx_gen(
    kind: str, request: pytest.FixtureRequest, generate: Generate, run_in_runtime: Callable[..., str]
) -> None:
    folder = request.getfixturevalue(kind)
    ours = manifest(generate(model_dir=str(folder), prompt="a red ball", seed=1))
    assert run_in_runtime("-c", BARE, folder).split()[-1] == ours["frames_sha256"]


def test_each_step_in_a_worker_of_its_own_gives_the_same_frames_and_loads_only_its_component(
    start_worker: Callable[[], Any], generate: Generate, spec: Json, artifacts_dir: Path
) -> None:
    single = manifest(generate())
    loaded = {}
    for step in STEPS:
        worker = start_worker()
        worker.send("start", spec=spec | {"step": step})
        made = manifest(worker.outcome())
        loaded[step] = max((total for phase, _, total in worker.events() if phase == "loading"), default=0)
    assert made["frames_sha256"] == single["frames_sha256"]
    assert made["prompt_truncated"] is False
    assert loaded == {"encode": 0, "denoise": 2, "decode": 1, "mux": 0}
    assert kinds(artifacts_dir) == ["embeds", "frames", "latents"]


def test_a_step_alone_says_so_when_what_it_needs_is_gone(generate: Generate) -> None:
    outcome = generate(step="decode")
    assert (outcome["type"], outcome["code"]) == ("failed", "artifact_missing")


def test_what_is_there_is_not_made_again_and_what_is_broken_is(generate: Generate, artifacts_dir: Path) -> None:
    shared = {"artifacts_dir": str(artifacts_dir)}
    first = manifest(generate(**shared))
    assert reused(first) == dict.fromkeys(STEPS[:3], False)
    again = manifest(generate(**shared))
    assert reused(again) == {"decode": True}
    assert (again["frames_sha256"], list(again["phase_seconds"])) == (first["frames_sha256"], ["muxing", "verifying"])
    for path in artifacts_dir.iterdir():
        if not path.name.startswith("embeds"):
            data = bytearray(path.read_bytes())
            data[-1] ^= 1
            path.write_bytes(data)
    healed = manifest(generate(**shared))
    assert reused(healed) == {"encode": True, "denoise": False, "decode": False}
    assert healed["frames_sha256"] == first["frames_sha256"]


def test_the_facts_of_an_artifact_cannot_be_changed_unseen(generate: Generate, artifacts_dir: Path) -> None:
    shared = {"artifacts_dir": str(artifacts_dir)}
    manifest(generate(**shared))
    [embeds] = artifacts_dir.glob("embeds-*")
    embeds.write_bytes(embeds.read_bytes().replace(b'\\"prompt_truncated\\": false', b'\\"prompt_truncated\\": true '))
    assert reused(manifest(generate(seed=8, **shared)))["encode"] is False


def test_embeddings_are_shared_by_clips_of_the_same_text_and_encoder(
    generate: Generate, artifacts_dir: Path, demo_model: Path, tmp_path: Path
) -> None:
    shared = {"artifacts_dir": str(artifacts_dir), "steps": 2, "frames": 5}
    manifest(generate(**shared))
    same = manifest(generate(seed=8, width=80, **shared))
    assert reused(same) == {"encode": True, "denoise": False, "decode": False}
    assert reused(manifest(generate(prompt="a blue dog", **shared)))["encode"] is False
    assert reused(manifest(generate(negative_prompt="rain", **shared)))["encode"] is False
    other = Path(shutil.copytree(demo_model, tmp_path / "other"))
    [weights] = (other / "text_encoder").glob("*.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 64
    weights.write_bytes(data)
    assert reused(manifest(generate(model_dir=str(other), **shared)))["encode"] is False


@pytest.mark.parametrize("kind", ["demo_model", "demo_ti2v"])
def test_a_worker_that_is_killed_costs_no_more_than_the_steps_since_the_checkpoint(
    kind: str, request: pytest.FixtureRequest, start_worker: Callable[[], Any], generate: Generate, spec: Json
) -> None:
    artifacts_dir, step = Path(spec["artifacts_dir"]), random.randrange(EVERY, LONG["steps"] - 1)
    asked = {**LONG, "model_dir": str(request.getfixturevalue(kind))}
    killed = start_worker()
    killed.send("start", spec=spec | asked)
    killed.until_phase("denoising", step)
    killed.process.kill()
    killed.process.wait()
    assert 1 <= len(list(artifacts_dir.glob("state-*"))) <= 2
    after = start_worker()
    after.send("start", spec=spec | asked)
    made = manifest(after.outcome())
    [went_on] = [message for message in after.messages if message.get("phase") == "resumed"]
    reached = max(step, *(at for phase, at, _ in killed.events() if phase == "denoising"))
    assert 0 <= reached - went_on["at"] <= EVERY or went_on["at"] > reached
    assert made["frames_sha256"] == manifest(generate(**asked))["frames_sha256"]
    assert kinds(artifacts_dir) == ["embeds", "frames", "latents"]


def test_a_worker_that_is_asked_to_stop_writes_down_what_it_has(
    start_worker: Callable[[], Any], spec: Json, artifacts_dir: Path
) -> None:
    worker = start_worker()
    worker.send("start", spec=spec | {"steps": 5000, "checkpoint_steps": 4000, "checkpoint_seconds": 3600})
    worker.until_phase("denoising", 7)
    worker.send("stop")
    assert worker.outcome()["code"] == "aborted"
    [state] = artifacts_dir.glob("state-*")
    reached = max(at for phase, at, _ in worker.events() if phase == "denoising")
    assert int(state.stem.rpartition("-")[2]) >= reached


def test_a_generator_that_stays_makes_what_a_new_one_would_whatever_it_made_before(
    start_worker: Callable[[], Any], generate: Generate, spec: Json, tmp_path: Path
) -> None:
    others: list[Json] = [
        {"seed": 8, "prompt": "a blue dog"},
        {"width": 80, "height": 48, "frames": 5, "steps": 2},
        {"guidance_scale": 1.0, "guidance_scale_2": 1.0},
        {"low_ram": False},
    ]
    alone = manifest(generate())["frames_sha256"]
    worker = start_worker()
    digests = []
    for number, changes in enumerate([{}, *(change for other in others for change in (other, {}))]):
        own = {"artifacts_dir": str(tmp_path / f"stays-{number}"), "stay": True}
        worker.send("start", spec=spec | own | changes)
        made = manifest(worker.outcome())
        assert made["warm"]["jobs_before"] == number
        digests += [made["frames_sha256"]] if not changes else []
    assert digests == [alone] * 5
    assert worker.process.poll() is None
    worker.send("stop")
    worker.exited_within(5)
    assert worker.process.returncode == 0


def test_a_generator_that_stays_notices_that_the_model_has_changed(
    start_worker: Callable[[], Any], generate: Generate, spec: Json, broken_model: Path, tmp_path: Path
) -> None:
    def make(number: int) -> str:
        own = {"artifacts_dir": str(tmp_path / f"changed-{number}"), "model_dir": str(broken_model), "stay": True}
        worker.send("start", spec=spec | own)
        return str(manifest(worker.outcome())["frames_sha256"])

    worker = start_worker()
    before = make(0)
    [weights] = (broken_model / "vae").glob("*.safetensors")
    data = bytearray(weights.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    data[start::2] = bytes(value ^ 96 for value in data[start::2])
    changed = weights.with_suffix(".new")
    changed.write_bytes(data)
    changed.replace(weights)
    after = make(1)
    assert after != before
    assert after == manifest(generate(model_dir=str(broken_model)))["frames_sha256"]
