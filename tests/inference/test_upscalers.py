"""Folders of SeedVR2 are found by their files, and say why where they are not served."""

import json

import pytest

from inference.discovery import scan

SHAPES = {
    "seedvr2_ema_3b_fp16.safetensors": {
        "blocks.0.attn.proj_qkv.vid.weight": [7680, 2560],
        "blocks.0.attn.norm_q.vid.weight": [128],
    },
    "ema_vae_fp16.safetensors": {"decoder.up_blocks.3.resnets.0.conv2.weight": [128, 128, 3, 3, 3]},
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "SeedVR2"
    root.mkdir()
    for name, shapes in SHAPES.items():
        header = {weight: {"dtype": "U8", "shape": shape, "data_offsets": [0, 4]} for weight, shape in shapes.items()}
        text = json.dumps(header).encode()
        (root / name).write_bytes(len(text).to_bytes(8, "little") + text + b"data")
    return root


def only(root):
    (found,) = scan([root.parent])
    return found


def test_a_whole_folder_is_an_upscaler_and_its_weights_say_how_large_it_is(folder):
    found = only(folder)
    assert (found.name, found.type, found.pipeline, found.skipped_because) == ("SeedVR2", "upscale", "seedvr2-3b", "")
    assert found.sizes == {"inner_dim": 2560, "heads": 20, "vae_width": 128}
    assert found.resident_bytes == sum(path.stat().st_size for path in folder.iterdir())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda root: (root / "seedvr2_ema_3b_fp16.safetensors").unlink(), "needs one of these beside its VAE"),
        (lambda root: (root / "ema_vae_fp16.safetensors").rename(root / "ema_vae.pth"), "not from PyTorch's own files"),
        (lambda root: (root / "ema_vae_fp16.safetensors").write_bytes(b"12"), "is shorter than its header says"),
        (lambda root: (root / "more.incomplete").touch(), "still being downloaded"),
        (lambda root: spoil(root / "ema_vae_fp16.safetensors"), "decoder.up_blocks.3.resnets.0.conv2.weight"),
    ],
)
def test_one_that_cannot_be_served_says_why(folder, damage, says):
    damage(folder)
    found = only(folder)
    assert found.type == ""
    assert says in found.skipped_because


def spoil(file):
    file.write_bytes(file.read_bytes().replace(b"up_blocks", b"up_flocks"))


def test_one_is_found_also_under_the_name_of_who_made_it(folder, tmp_path):
    (tmp_path / "numz").mkdir()
    folder.rename(tmp_path / "numz" / "SeedVR2")
    (found,) = scan([tmp_path])
    assert (found.name, found.type) == ("numz/SeedVR2", "upscale")
