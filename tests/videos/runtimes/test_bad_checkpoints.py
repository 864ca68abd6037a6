"""A checkpoint that cannot give a video is refused in a sentence that names what is wrong, before anything is made."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.runtime

Json = dict[str, Any]
Spoil = Callable[[Path], None]
WEIGHTS = "diffusion_pytorch_model.safetensors"
UMT5 = "text_encoder/model.safetensors"


def edit(name: str, **changes: Any) -> Spoil:
    def spoil(model: Path) -> None:
        path = model / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


def remove(name: str) -> Spoil:
    def spoil(model: Path) -> None:
        path = model / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def write(name: str, data: bytes) -> Spoil:
    def spoil(model: Path) -> None:
        (model / name).write_bytes(data)

    return spoil


def cut_short(name: str) -> Spoil:
    def spoil(model: Path) -> None:
        (model / name).write_bytes((model / name).read_bytes()[:-1000])

    return spoil


def lose_weight(name: str, weight: str) -> Spoil:
    """Give a weight another name of the same length: the file is whole and lacks one."""

    def spoil(model: Path) -> None:
        path = model / name
        path.write_bytes(path.read_bytes().replace(weight.encode(), weight[:-1].encode() + b"X"))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (remove("model_index.json"), "has no model_index.json"),
        (write("model_index.json", b"{"), "model_index.json is not valid JSON"),
        (write("model_index.json", b"[]"), "model_index.json is not a JSON object"),
        (edit("model_index.json", _class_name="FluxPipeline"), "'FluxPipeline'"),
        (edit("model_index.json", transformer_2=[None, None]), "neither a Wan2.2 A14B"),
        (edit("model_index.json", boundary_ratio=None), "neither a Wan2.2 A14B"),
        (remove("transformer_2"), "has no transformer_2/config.json"),
        (remove(f"transformer/{WEIGHTS}"), "no safetensors weights"),
        (remove("vae/config.json"), "has no vae/config.json"),
        (remove("tokenizer/tokenizer.json"), "has no tokenizer/tokenizer.json"),
        (write("tokenizer/tokenizer.json", b"{}"), "does not describe a tokenizer"),
        (edit("transformer/config.json", in_channels=36), "takes 36 channels"),
        (edit("transformer_2/config.json", num_layers=3), "do not have the same shape"),
        (edit("text_encoder/config.json", d_model=128), "128 wide"),
        (edit("text_encoder/config.json", model_type="t5"), "'t5'"),
        (cut_short(f"transformer_2/{WEIGHTS}"), "did not finish"),
        (cut_short(UMT5), "did not finish"),
        (write(f"vae/{WEIGHTS}", b"\x00" * 4000), "is not a safetensors file"),
        (write(f"vae/{WEIGHTS}", b"\xff" * 4000), "is not a safetensors file"),
        (lose_weight(f"transformer/{WEIGHTS}", "proj_out.weight"), "lack the weight proj_out"),
        (lose_weight(f"vae/{WEIGHTS}", "decoder.conv_out.weight"), "lack the weight decoder.conv_out"),
        (lose_weight(UMT5, "shared.weight"), "lacks the weight shared.weight"),
        (lose_weight(UMT5, "block.1.layer.1.DenseReluDense.wo.weight"), "lacks the weight encoder.block.1"),
    ],
)
def test_the_model_is_refused_with_the_reason(
    generate: Callable[..., Json], broken_model: Path, output_dir: Path, spoil: Spoil, says: str
) -> None:
    spoil(broken_model)
    outcome = generate(model_dir=str(broken_model))
    assert (outcome["type"], outcome["code"]) == ("failed", "model_invalid"), outcome
    assert says in outcome["message"]
    assert outcome["message"].endswith(".")
    assert not output_dir.exists() or not list(output_dir.iterdir())


def test_configs_of_another_size_than_the_weights_are_refused(
    generate: Callable[..., Json], broken_model: Path
) -> None:
    for name in ("transformer", "transformer_2"):
        edit(f"{name}/config.json", ffn_dim=256)(broken_model)
    outcome = generate(model_dir=str(broken_model))
    assert outcome["code"] == "model_invalid"
    assert "shape" in outcome["message"]


def test_a_shard_that_the_index_names_must_be_there(generate: Callable[..., Json], broken_model: Path) -> None:
    first, second = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
    folder = broken_model / "transformer"
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": {"a": first, "b": second}}))
    (folder / WEIGHTS).rename(folder / first)
    outcome = generate(model_dir=str(broken_model))
    assert outcome["code"] == "model_invalid"
    assert second in outcome["message"]


@pytest.mark.parametrize("component", ["text_encoder", "transformer", "transformer_2", "vae"])
def test_weights_that_are_not_numbers_give_no_video(
    generate: Callable[..., Json], broken_model: Path, output_dir: Path, component: str
) -> None:
    path = broken_model / component / ("model.safetensors" if component == "text_encoder" else WEIGHTS)
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    path.write_bytes(data[:start] + b"\xff" * (len(data) - start))  # all ones is NaN in every float format
    outcome = generate(model_dir=str(broken_model))
    assert (outcome["type"], outcome["code"]) == ("failed", "output_invalid"), outcome
    assert "not finite" in outcome["message"]
    assert list(output_dir.iterdir() if output_dir.exists() else ()) == []


def test_a_folder_that_is_not_there_is_refused(generate: Callable[..., Json], tmp_path: Path) -> None:
    outcome = generate(model_dir=str(tmp_path / "nowhere"))
    assert outcome["code"] == "model_invalid"
    assert "nowhere" in outcome["message"]


def test_the_traceback_is_in_the_workers_log(start_worker: Callable[[], Any], spec: Json, broken_model: Path) -> None:
    remove("vae")(broken_model)
    worker = start_worker()
    worker.send("start", spec=spec | {"model_dir": str(broken_model)})
    worker.outcome()
    worker.exited_within(10)
    assert worker.process.returncode == 1
    assert "Traceback" in worker.log.read_text()


def test_an_incomplete_spec_is_an_error_that_names_the_field(start_worker: Callable[[], Any], spec: Json) -> None:
    worker = start_worker()
    worker.send("start", spec={name: value for name, value in spec.items() if name != "prompt"})
    outcome = worker.outcome()
    assert (outcome["code"], "prompt" in outcome["message"]) == ("worker_error", True)
