"""Videos from pictures and from earlier videos, and the files they come from, through the API of a whole server."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.house import Client, copy_house, open_house
from tests.videos.runtimes.conftest import run_in_runtime, runtime_home, runtime_python

__all__ = ["run_in_runtime", "runtime_home", "runtime_python"]

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(400)]
Run = Callable[..., str]
MODEL = "demo-video-5b"
# One still scene a file, as the demo models' own grammar draws them; the last is one of them turned on its side, with
# an orientation in its EXIF that puts it upright.
DRAW = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
from demo_models.grammar import Clip
from demo_models.scene import Scene
folder = Path(sys.argv[1])
scenes = [("red", "ball", "right", "black"), ("yellow", "square", "left", "blue"), ("green", "ball", "up", "gray"),
          ("white", "square", "down", "black"), ("blue", "ball", "left", "gray"), ("red", "square", "up", "blue")]
for number, facts in enumerate(scenes):
    scene = Scene.sample(Clip(*facts), np.random.default_rng(number))
    image = Image.fromarray(((scene.frames()[0] + 1) * 127.5).round().astype(np.uint8))
    image.save(folder / f"{number}.png")
turned = image.transpose(Image.Transpose.ROTATE_90)
exif = Image.Exif()
exif[0x0112] = 6
turned.save(folder / "turned.jpg", exif=exif, quality=95)
image.resize((128, 64)).save(folder / "wide.webp", lossless=True)
"""
# How far a video's frame is from each picture: mean absolute difference, of 255.
COMPARE = """
import json, sys
import av, numpy as np
from PIL import Image
with av.open(sys.argv[1]) as file:
    frames = [frame.to_ndarray(format="rgb24").astype(float) for frame in file.decode(video=0)]
pictures = [np.asarray(Image.open(name).convert("RGB"), float) for name in sys.argv[2:]]
found = {"first": [float(np.abs(frames[0] - one).mean()) for one in pictures], "count": len(frames)}
found["steps"] = [float(np.abs(a - b).mean()) for a, b in zip(frames, frames[1:])]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def served(template: Path, run_in_runtime: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """With two models of random weights beside the demo models: one that edits, one that is shown two pictures."""
    home = copy_house(template, tmp_path_factory.mktemp("inputs") / "home")
    for kind in ("t2v", "i2v"):
        run_in_runtime("-m", "videos.runtimes.mlx_gen.demo", home / "models" / f"random-{kind}", "--kind", kind)
    with open_house(home) as client:
        yield client


@pytest.fixture(scope="module")
def pictures(run_in_runtime: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    run_in_runtime("-c", DRAW, folder)
    return folder


@pytest.fixture
def seen(served: Client, run_in_runtime: Run, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A finished video's frames, compared with pictures."""

    def look(video_id: str, *compared: Path) -> dict[str, Any]:
        ended = served.until(video_id, "completed", "failed", timeout=200)
        assert ended["status"] == "completed", ended["error"]
        file = tmp_path / f"{video_id}.mp4"
        file.write_bytes(served.get(f"/v1/videos/{video_id}/content").content)
        return {**ended, **json.loads(run_in_runtime("-c", COMPARE, file, *compared))}

    return look


def data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _files(home: Path) -> set[Path]:
    return {path for path in (home / "files").rglob("*") if path.is_file()}


def upload(client: httpx.Client, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        answer = client.post("/v1/files", files={"file": (path.name, file)}, data={"purpose": "vision"})
    assert answer.is_success, answer.text
    return dict(answer.json())


def test_the_first_frame_is_nearest_to_the_picture_it_was_made_from(
    served: Client, pictures: Path, seen: Callable[..., dict[str, Any]]
) -> None:
    """Sent in each of the ways there are: form, data URL, plain base64, id, id in an object, data URL in one."""
    files = [pictures / f"{number}.png" for number in range(6)]
    form = {"model": MODEL, "prompt": "a ball", "size": "64x64", "seed": "1"}
    with files[0].open("rb") as file:
        made = [served.read("POST", "/v1/videos", data=form, files={"input_reference": file})]
    ways = [
        data_url(files[1]),
        base64.b64encode(files[2].read_bytes()).decode(),
        upload(served, files[3])["id"],
        {"file_id": upload(served, files[4])["id"]},
        {"image_url": data_url(files[5])},
    ]
    made += [served.make(model=MODEL, frames=17, fps=8, steps=12, seed=1, input_reference=way) for way in ways]
    for number, video in enumerate(made):
        assert video["starts_from"] == ["picture"]
        found = seen(video["id"], *files)
        away = found["first"]
        assert away.index(min(away)) == number, away
        assert min(away) < 15
        assert served.get(f"/v1/videos/{video['id']}/content?variant=input").content[8:12] == b"WEBP"


def test_pictures_are_turned_cropped_padded_and_adapted_to(
    served: Client, pictures: Path, seen: Callable[..., dict[str, Any]]
) -> None:
    short = {"model": MODEL, "frames": 5, "steps": 2, "fps": 8}
    turned = served.make(**short, input_reference=data_url(pictures / "turned.jpg"))
    found = seen(turned["id"], *(pictures / f"{number}.png" for number in range(6)))["first"]
    assert found.index(min(found)) == 5, found
    wide = data_url(pictures / "wide.webp")
    sizes = {mode: served.make(**short, input_reference=wide, resize_mode=mode)["size"] for mode in ("crop", "pad")}
    assert sizes == {"crop": "64x64", "pad": "64x64"}
    adapted = served.make(**{**short, "size": "128x128"}, input_reference=wide, resize_mode="adaptive")
    width, height = (int(side) for side in adapted["size"].split("x"))
    assert width > height
    assert width * height <= 128 * 128


def test_a_remix_has_the_same_settings_and_another_prompt(served: Client, pictures: Path) -> None:
    short = {"model": MODEL, "frames": 5, "steps": 2, "fps": 8, "seed": 3}
    picture = data_url(pictures / "0.png")
    first = served.make(**short, input_reference=picture)
    assert served.post(f"/v1/videos/{first['id']}/remix", json={"prompt": "x"}).status_code == 409
    served.until(first["id"], "completed", timeout=200)
    remixed = served.read("POST", f"/v1/videos/{first['id']}/remix", json={"prompt": "a blue square moving left"})
    same = ("model", "size", "seconds", "frames", "fps", "steps", "seed", "guidance_scale", "starts_from")
    assert [remixed[name] for name in same] == [first[name] for name in same]
    assert (remixed["remixed_from_video_id"], remixed["task"]) == (first["id"], "remix")
    served.delete(f"/v1/videos/{first['id']}")
    served.until(remixed["id"], "completed", timeout=200)
    again = served.read("POST", f"/v1/videos/{remixed['id']}/remix", json={"prompt": "a ball"})
    served.until(again["id"], "completed", timeout=200)


def test_an_extension_goes_on_where_the_video_ends(served: Client, seen: Callable[..., dict[str, Any]]) -> None:
    first = served.make(model=MODEL, prompt="a red ball moving right on a black background", frames=17, fps=8, steps=12)
    before = seen(first["id"])
    body = {"video": {"id": first["id"]}, "prompt": "a red ball moving left on a black background", "seconds": 2}
    made = served.read("POST", "/v1/videos/extensions", json=body)
    assert float(made["seconds"]) > float(first["seconds"]) + 1.9
    found = seen(made["id"])
    assert found["count"] == made["frames"] == round(float(made["seconds"]) * 8)
    usual = max(before["steps"])
    assert found["steps"][16] < 3 * usual + 3, "the join is no jump"
    assert (made["task"], made["source_video_id"], made["remixed_from_video_id"]) == ("extension", first["id"], None)


def test_an_edit_is_made_from_the_video_and_strength_says_how_different_it_is(
    served: Client, seen: Callable[..., dict[str, Any]]
) -> None:
    first = served.make(prompt="a red ball moving right on a black background", frames=6, fps=8, steps=4, seed=1)
    seen(first["id"])
    content = served.get(f"/v1/videos/{first['id']}/content").content
    body = {"prompt": "a red ball moving right on a black background", "seed": "2", "model": "random-t2v"}
    sent = served.read("POST", "/v1/videos/edits", data={**body, "strength": "0.3"}, files={"video": content})
    named = served.read("POST", "/v1/videos/edits", json={**body, "video": {"id": first["id"]}})
    assert (named["task"], named["source_video_id"], named["starts_from"]) == ("edit", first["id"], ["clip"])
    assert (seen(sent["id"])["count"], sent["source_video_id"]) == (9, None)
    assert seen(named["id"])["count"] == 9
    for model in (MODEL, "demo-video"):
        refused = served.post("/v1/videos/edits", json={**body, "model": model, "video": {"id": first["id"]}})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "video")
        assert "Models that can: random-t2v." in refused.json()["error"]["message"]


def test_files_are_a_keys_own_and_leave_nothing(served: Client, pictures: Path) -> None:
    first, again = upload(served, pictures / "0.png"), upload(served, pictures / "0.png")
    assert (first["media_type"], first["width"], first["filename"]) == ("image/png", 64, "0.png")
    stored = served.server.home / "files" / first["sha256"][:2] / first["sha256"]
    assert stored.stat().st_mode & 0o777 == 0o600
    assert served.get(f"/v1/files/{first['id']}/content").content == (pictures / "0.png").read_bytes()
    assert served.delete(f"/v1/files/{first['id']}").json() == {"id": first["id"], "object": "file", "deleted": True}
    assert stored.exists()
    served.delete(f"/v1/files/{again['id']}")
    assert not stored.exists()
    assert served.get(f"/v1/files/{first['id']}").status_code == 404
    assert list((served.server.home / "work" / "sent").iterdir()) == []


def test_what_a_model_cannot_do_is_refused_by_name(served: Client, pictures: Path) -> None:
    reference = data_url(pictures / "0.png")

    def refused(url: str = "/v1/videos", **body: Any) -> tuple[int, str, str]:
        answer = served.post(url, json={"prompt": "a ball", **body})
        error = answer.json()["error"]
        return answer.status_code, error["param"], error["message"]

    status, param, message = refused(model="demo-video", input_reference=reference)
    assert (status, param) == (400, "input_reference")
    assert MODEL in message
    assert refused(model=MODEL, input_reference=reference, last_frame=reference)[:2] == (400, "last_frame")
    for url in ("https://example.org/a.png", "file:///etc/passwd", "ftp://example.org/a.png"):
        for given in (url, {"image_url": url}):
            status, param, message = refused(model=MODEL, input_reference=given)
            assert status == 400
            assert "fetches no" in message or "fetches none" in message
    assert refused(model=MODEL, input_reference={"file_id": "file-nobody"})[0] == 404
    assert refused("/v1/videos/characters")[1] == "characters"
    assert refused("/v1/videos/extensions", video={"id": "video_nobody"}, seconds="4")[0] == 404
    assert list((served.server.home / "work" / "sent").iterdir()) == []


def test_a_hundred_hostile_files_are_refused_or_right_and_leave_nothing(
    served: Client, run_in_runtime: Run, tmp_path: Path
) -> None:
    run_in_runtime(Path(__file__).with_name("hostile.py"), tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) >= 100
    home = served.server.home
    before = _files(home)
    wrong, kept = [], []
    for path in files:
        answer = served.post("/v1/files", files={"file": ("a.png", path.read_bytes())}, data={"purpose": "vision"})
        taken = answer.status_code == 200
        if path.name.startswith("no-" if taken else "ok-") or not (taken or 400 <= answer.status_code < 500):
            wrong.append((path.name, answer.status_code, answer.text[:200]))
        kept += [answer.json()["id"]] if taken else []
        if not taken:
            assert answer.json()["error"]["param"] == "file", answer.text
    assert wrong == []
    for file_id in kept:
        served.delete(f"/v1/files/{file_id}")
    for name in ("no-bomb-30000.png", "no-animated.webp", "no-svg.png", "no-GIF.png"):
        made = {"prompt": "a ball", "model": MODEL, "input_reference": data_url(tmp_path / name)}
        assert served.post("/v1/videos", json=made).json()["error"]["param"] == "input_reference"
    assert _files(home) == before
    assert list((home / "work" / "sent").iterdir()) == []
    assert served.get("/healthz").is_success
