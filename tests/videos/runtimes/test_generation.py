"""A video from a prompt, by the real worker on a tiny checkpoint."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.runtime

Json = dict[str, Any]
Generate = Callable[..., Json]
PHASES = ["loading", "encoding", "denoising", "decoding", "muxing", "verifying"]

PLAY = """
import json, sys, av
with av.open(sys.argv[1]) as container:
    stream = container.streams.video[0]
    context = stream.codec_context
    frames = sum(1 for _ in container.decode(stream))
    print(json.dumps({
        "codec": context.name, "pixels": context.pix_fmt, "frames": frames, "size": [stream.width, stream.height],
        "rate": str(stream.average_rate), "seconds": float(stream.duration * stream.time_base),
        "colours": [context.color_primaries, context.color_trc, context.colorspace],
    }))
"""
PICTURE = """
import json, sys
from PIL import Image
with Image.open(sys.argv[1]) as image:
    image.load()
    print(json.dumps([image.format, *image.size]))
"""


def manifest(outcome: Json) -> Json:
    assert outcome["type"] == "done", outcome
    return dict(outcome["manifest"])


def test_a_video_is_made_that_plays_anywhere(
    generate: Generate, output_dir: Path, run_in_runtime: Callable[..., str]
) -> None:
    made = manifest(generate())
    video = output_dir / made["files"]["video"]["name"]
    assert json.loads(run_in_runtime("-c", PLAY, video)) == {
        "codec": "h264",
        "pixels": "yuv420p",
        "frames": 17,
        "size": [64, 64],
        "rate": "8",
        "seconds": 2.125,
        "colours": [1, 1, 1],
    }
    data = video.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat"), "the index must come first, so that it plays while loading"


def test_the_manifest_describes_the_files_and_there_are_no_others(generate: Generate, output_dir: Path) -> None:
    files = manifest(generate())["files"]
    assert {path.name for path in output_dir.iterdir()} == {file["name"] for file in files.values()}
    for file in files.values():
        data = (output_dir / file["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    media = {kind: file["media_type"] for kind, file in files.items()}
    assert media == {"video": "video/mp4", "thumbnail": "image/webp", "spritesheet": "image/webp"}


def test_the_pictures_have_the_size_the_manifest_promises(
    generate: Generate, output_dir: Path, run_in_runtime: Callable[..., str]
) -> None:
    made = manifest(generate(width=80, height=48))
    sheet = made["files"]["spritesheet"]
    assert (sheet["columns"], sheet["rows"], sheet["count"]) == (4, 4, 16)
    assert json.loads(run_in_runtime("-c", PICTURE, output_dir / sheet["name"])) == ["WEBP", 320, 192]
    thumbnail = output_dir / made["files"]["thumbnail"]["name"]
    assert json.loads(run_in_runtime("-c", PICTURE, thumbnail)) == ["WEBP", 80, 48]


def test_progress_comes_in_order_and_counts_every_step_and_slice(start_worker: Callable[[], Any], spec: Json) -> None:
    worker = start_worker()
    worker.send("start", spec=spec)
    manifest(worker.outcome())
    assert worker.messages[0]["type"] == "hello"
    assert (worker.messages[0]["kind"], worker.messages[0]["runtime"]) == ("generator", "mlx-gen")
    totals = {"loading": 3, "encoding": 2, "denoising": 4, "decoding": 5, "muxing": 1, "verifying": 1}
    expected = [(phase, step, totals[phase]) for phase in PHASES for step in range(totals[phase] + 1)]
    assert worker.events() == expected


def test_the_manifest_says_how_long_and_how_much_memory_it_took(generate: Generate) -> None:
    made = manifest(generate())
    assert list(made["phase_seconds"]) == PHASES
    assert 0 < sum(made["phase_seconds"].values()) <= made["wall_seconds"] + 0.01
    assert 0 < made["mlx_peak_bytes"] < made["peak_memory_bytes"] < 2 * 1024**3
    assert {"mlx", "mlx-gen", "av", "python"} <= set(made["versions"])


def test_the_same_seed_gives_the_same_frames_and_anything_else_gives_others(generate: Generate) -> None:
    first = manifest(generate())["frames_sha256"]
    assert manifest(generate())["frames_sha256"] == first
    changes: list[Json] = [
        {"seed": 8},
        {"prompt": "a blue dog"},
        {"negative_prompt": "rain"},
        {"guidance_scale": 1.5},
        {"guidance_scale_2": 9.0},
        {"flow_shift": 8.0},
        {"steps": 3},
    ]
    others = [manifest(generate(**change))["frames_sha256"] for change in changes]
    assert len({first, *others}) == 1 + len(changes)


def test_low_ram_changes_the_memory_and_not_the_frames(generate: Generate) -> None:
    frugal, plain = manifest(generate(low_ram=True)), manifest(generate(low_ram=False))
    assert frugal["frames_sha256"] == plain["frames_sha256"]


def test_nulls_mean_the_models_own_defaults(generate: Generate, demo_ti2v: Path) -> None:
    made = manifest(generate())
    assert (made["pipeline"], made["guidance_scale"], made["guidance_scale_2"], made["flow_shift"]) == (
        ("wan2.2-t2v-a14b", 4.0, 3.0, 3.0)
    )
    made = manifest(generate(model_dir=str(demo_ti2v)))
    assert (made["pipeline"], made["guidance_scale"], made["guidance_scale_2"], made["flow_shift"]) == (
        ("wan2.2-ti2v-5b", 5.0, None, 5.0)
    )


def test_what_was_asked_is_what_is_used(generate: Generate) -> None:
    made = manifest(generate(guidance_scale=2.0, guidance_scale_2=1.5, flow_shift=7.0, steps=3, seed=99))
    used = {name: made[name] for name in ("guidance_scale", "guidance_scale_2", "flow_shift", "steps", "seed")}
    assert used == {"guidance_scale": 2.0, "guidance_scale_2": 1.5, "flow_shift": 7.0, "steps": 3, "seed": 99}


def test_guidance_of_one_needs_no_negative_prompt(generate: Generate) -> None:
    plain = manifest(generate(guidance_scale=1.0, guidance_scale_2=1.0, negative_prompt="rain"))
    assert plain["frames_sha256"] == manifest(generate(guidance_scale=1.0, guidance_scale_2=1.0))["frames_sha256"]


@pytest.mark.parametrize(
    ("asked", "frames", "rate", "seconds"),
    [
        ({"width": 80, "height": 48, "frames": 9, "fps": 16}, 9, "16", 9 / 16),
        ({"width": 16, "height": 112, "frames": 5, "fps": 30}, 5, "30", 5 / 30),
        ({"frames": 1, "fps": 23.976}, 1, "24000/1001", 1001 / 24000),
    ],
)
def test_odd_sizes_rates_and_lengths_are_kept(
    generate: Generate,
    output_dir: Path,
    run_in_runtime: Callable[..., str],
    *,
    asked: Json,
    frames: int,
    rate: str,
    seconds: float,
) -> None:
    made = manifest(generate(**asked))
    played = json.loads(run_in_runtime("-c", PLAY, output_dir / made["files"]["video"]["name"]))
    size = [asked.get("width", 64), asked.get("height", 64)]
    assert (played["frames"], played["size"], played["rate"]) == (frames, size, rate)
    assert played["seconds"] == pytest.approx(seconds, abs=0.001)
    assert [made["frames"], made["width"], made["height"]] == [frames, *size]


def test_sizes_the_model_cannot_make_are_rounded_up_and_reported(generate: Generate, demo_ti2v: Path) -> None:
    made = manifest(generate(model_dir=str(demo_ti2v), width=48, height=80, frames=9))
    assert (made["width"], made["height"]) == (64, 96), "TI2V works in squares of 32 pixels"


def test_prompts_in_any_script_condition_the_video(generate: Generate) -> None:
    prompts = ["кошка бежит", "猫在海上跑", "a cat &amp; a dog", ""]
    hashes = {manifest(generate(prompt=prompt))["frames_sha256"] for prompt in prompts}
    assert len(hashes) == len(prompts)


def test_a_prompt_longer_than_the_model_reads_is_cut_and_the_manifest_says_so(generate: Generate) -> None:
    assert manifest(generate(prompt="cat " * 510))["prompt_truncated"] is False
    assert manifest(generate(prompt="cat " * 2000))["prompt_truncated"] is True


def test_a_second_guidance_for_a_model_with_one_expert_is_an_error(generate: Generate, demo_ti2v: Path) -> None:
    outcome = generate(model_dir=str(demo_ti2v), guidance_scale_2=2.0)
    assert (outcome["type"], outcome["code"]) == ("failed", "worker_error")
    assert "guidance_scale_2" in outcome["message"]
