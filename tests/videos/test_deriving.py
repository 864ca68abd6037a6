"""Videos from pictures and earlier videos as the API accepts them: the site without a node, the decoder in earnest."""

import base64
import json
import struct
import zlib

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.utils import timezone

from memory import environments
from tests.early import KEPT_HOME
from tests.videos.runtimes.conftest import run_in_runtime, runtime_home, runtime_python
from videos import storage
from videos.models import Artifact, Step, VideoJob

__all__ = ["run_in_runtime", "runtime_home", "runtime_python"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers, pytest.mark.runtime]
ASKED = {"prompt": "a red ball", "size": "64x64", "frames": 5, "fps": 8, "steps": 2, "seed": 7}


def png(width=64, height=64):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\x00" + bytes((20, 40, 120)) * width) * min(height, 256)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture(autouse=True)
def _decoder(monkeypatch):
    """The runtime that the tests keep; their own home has none."""
    environments.build(KEPT_HOME, "mlx-gen")
    python = environments.runtime_python(KEPT_HOME, "mlx-gen")
    monkeypatch.setattr("videos.inputs.sandbox.runtime_python", lambda _home, _runtime: python)


@pytest.fixture
def client(client, key):
    client.headers["Authorization"] = f"Bearer {key.secret}"
    return client


@pytest.fixture
def model(model):
    model.pipeline = "wan2.2-ti2v-5b"
    model.save()
    return model


@pytest.fixture
def finished(make_job, key, tmp_path):
    """A completed video of five frames, whose file is a real one."""

    def make(clip, **fields):
        made = {"status": "completed", "completed_at": timezone.now(), "key": key, "frames": 5, **fields}
        job = make_job(**made)
        (tmp_path / "video.mp4").write_bytes(clip)
        files = {"video": {"name": "video.mp4", "sha256": "0" * 64, "media_type": "video/mp4"}}
        Artifact.objects.bulk_create(storage.keep(job, tmp_path, files))
        return job

    return make


@pytest.fixture(scope="module")
def clip(run_in_runtime, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    run_in_runtime("-c", CLIP, path)
    return path.read_bytes()


CLIP = """
import sys
from pathlib import Path
from PIL import Image
from videos.runtimes.mlx_gen.mux import Mp4
with Mp4(Path(sys.argv[1]), fps=8, width=64, height=64) as mp4:
    for number in range(5):
        mp4.add(Image.new("RGB", (64, 64), (40 * number, 90, 10)))
    mp4.finish()
"""


def left():
    sent = list((settings.FMLX.work / "sent").glob("*"))
    return sent + [path for path in settings.FMLX.steps.glob("*") if path.name.startswith(("picture", "clip"))]


async def kept(job_id):
    return [row async for row in Step.objects.filter(job=job_id).values_list("name", "key")]


async def test_a_picture_becomes_an_artifact_that_the_job_names(client, model):
    form = {"model": model.name, **{name: str(value) for name, value in ASKED.items()}}
    sent = await client.post("/v1/videos", data=form, files={"input_reference": ("a.gif", png())})
    assert sent.status_code == 200, sent.text
    assert sent.json()["starts_from"] == ["picture"]
    [(name, key)] = await kept(sent.json()["id"])
    assert name == "picture"
    assert (settings.FMLX.steps / f"picture-{key}.safetensors").is_file()
    url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    for way in (url, {"image_url": url}, url.partition(",")[2]):
        again = await client.post("/v1/videos", json={"model": model.name, **ASKED, "input_reference": way})
        assert await kept(again.json()["id"]) == [("picture", key)], again.text
    preview = await client.get(f"/v1/videos/{sent.json()['id']}/content", params={"variant": "input"})
    assert preview.content[8:12] == b"WEBP"
    async for job in VideoJob.objects.all():
        assert (await client.delete(f"/v1/videos/{job.pk}")).status_code == 200
    assert left() == []


async def test_an_uploaded_file_is_named_by_its_id_and_adaptive_takes_its_shape(client, model):
    made = await client.post("/v1/files", files={"file": ("wide.png", png(256, 128))}, data={"purpose": "vision"})
    assert made.status_code == 200, made.text
    assert (made.json()["width"], made.json()["media_type"], made.json()["object"]) == (256, "image/png", "file")
    asked = {"model": model.name, **ASKED, "size": "192x192", "resize_mode": "adaptive"}
    for way in (made.json()["id"], {"file_id": made.json()["id"]}):
        video = (await client.post("/v1/videos", json={**asked, "input_reference": way})).json()
        assert video["size"] == "256x128"
    content = await client.get(f"/v1/files/{made.json()['id']}/content")
    assert (content.content, content.headers["X-Content-Type-Options"]) == (png(256, 128), "nosniff")
    assert (await client.delete(f"/v1/files/{made.json()['id']}")).json()["deleted"] is True
    gone = await client.post("/v1/videos", json={**asked, "input_reference": made.json()["id"]})
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "file_not_found")


async def test_a_refused_picture_leaves_nothing(client, model):
    before = left()  # of jobs of other tests, whose rows went with their database
    for bad in (png()[:-40], b"GIF89a", png(9000, 9000)):
        form = {"prompt": "a", "model": model.name}
        answer = await client.post("/v1/videos", data=form, files={"input_reference": ("a.png", bad)})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_reference"), answer.text
        answer = await client.post("/v1/files", data={"purpose": "vision"}, files={"file": ("a.png", bad)})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")
    assert (left(), await VideoJob.objects.acount()) == (before, 0)


async def test_a_remix_keeps_the_settings_and_what_the_video_started_from(client, model, finished, clip):
    first = (await client.post("/v1/videos", json={"model": model.name, **ASKED, "input_reference": _b64()})).json()
    early = await client.post(f"/v1/videos/{first['id']}/remix", json={"prompt": "blue"})
    assert (early.status_code, early.json()["error"]["code"]) == (409, "video_not_ready")
    await VideoJob.objects.filter(pk=first["id"]).aupdate(status="completed")
    answer = await client.post(f"/v1/videos/{first['id']}/remix", json={"prompt": "blue"})
    assert answer.status_code == 200, answer.text
    remixed = answer.json()
    same = ("model", "size", "seconds", "frames", "fps", "steps", "seed", "guidance_scale", "starts_from")
    assert [remixed[name] for name in same] == [first[name] for name in same]
    assert (remixed["prompt"], remixed["remixed_from_video_id"], remixed["task"]) == ("blue", first["id"], "remix")
    assert await kept(remixed["id"]) == await kept(first["id"])
    assert (
        await client.post(f"/v1/videos/{first['id']}/remix", json={"prompt": "a", "size": "8x8"})
    ).status_code == 400


def _b64():
    return base64.b64encode(png()).decode()


async def test_an_extension_counts_what_was_there_and_an_edit_has_its_length(client, model, finished, clip):
    job = await sync_to_async(finished)(clip)
    body = {"prompt": "on", "video": {"id": job.pk}, "seconds": "4"}
    answer = await client.post("/v1/videos/extensions", json=body)
    assert answer.status_code == 200, answer.text
    longer = answer.json()
    assert (longer["frames"], longer["seconds"], longer["size"]) == (5 + 32, f"{37 / 8:.6g}", "64x64")
    assert (longer["task"], longer["source_video_id"], longer["remixed_from_video_id"]) == ("extension", job.pk, None)
    row = await VideoJob.objects.aget(pk=longer["id"])
    assert (row.frames, row.inputs["before"]) == (33, 4)
    sent = await client.post(
        "/v1/videos/extensions",
        data={"prompt": "on", "seconds": "1", "model": model.name},
        files={"video": ("a.mp4", clip)},
    )
    assert (sent.json()["frames"], sent.json()["source_video_id"]) == (5 + 8, None), sent.text
    refused = await client.post("/v1/videos/edits", json={"prompt": "anew", "video": {"id": job.pk}})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "video")
    model.pipeline = "wan2.2-t2v-a14b"
    await model.asave()
    form = {"prompt": "anew", "video[id]": job.pk, "strength": "0.4"}
    edited = await client.post("/v1/videos/edits", files={name: (None, value) for name, value in form.items()})
    assert (edited.json()["frames"], edited.json()["task"]) == (5, "edit"), edited.text
    assert (await VideoJob.objects.aget(pk=edited.json()["id"])).inputs["strength"] == 0.4
    missing = await client.post("/v1/videos/edits", json={"prompt": "anew", "video": {"id": "video_nobody"}})
    assert (missing.status_code, missing.json()["error"]["param"]) == (404, "video.id")
    picture = await client.post("/v1/videos/edits", data={"prompt": "a"}, files={"video": ("a.mp4", png())})
    assert (picture.status_code, picture.json()["error"]["param"]) == (400, "video"), picture.text


@pytest.fixture
def sketch(settings, tmp_path):
    """A LoRA of this server, and one that brings a preset."""
    settings.FMLX = settings.FMLX.model_copy(update={"home": tmp_path / "home", "model_dirs": []})
    folder = tmp_path / "home" / "loras"
    (folder / "lightning").mkdir(parents=True)
    (folder / "sketch.safetensors").write_bytes(b"x")
    (folder / "lightning" / "high.safetensors").write_bytes(b"x")
    values = {"steps": 3, "size": "256x256", "guidance_scale": 1.0, "boundary_ratio": 0.8}
    (folder / "lightning" / "fmlx.json").write_text(json.dumps({"presets": {"fast": values}}))


@pytest.mark.usefixtures("sketch")
@pytest.mark.parametrize("way", ["edits", "extensions"])
async def test_what_is_made_of_a_video_takes_loras_presets_and_a_number_as_a_new_one_does(
    client, model, finished, clip, way
):
    model.pipeline = "wan2.2-t2v-a14b"
    await model.asave()
    job = await sync_to_async(finished)(clip)
    body = {"prompt": "anew", "video": {"id": job.pk}, "seed": 7, **({"seconds": 1} if way == "extensions" else {})}
    loras = [{"name": "sketch", "strength": 0.5, "strength_low": 0.25}]
    made = await client.post(f"/v1/videos/{way}", json={**body, "loras": loras, "n": 3, "boundary_ratio": 0.9})
    assert made.status_code == 200, made.text
    first = made.json()
    assert (first["loras"], first["boundary_ratio"]) == ([{"name": "sketch", "high": 0.5, "low": 0.25}], 0.9)
    rows = [row async for row in VideoJob.objects.filter(batch=first["batch_id"]).order_by("seed")]
    assert [(row.seed, row.task, row.source_video) for row in rows] == [
        (seed, first["task"], job.pk) for seed in (7, 8, 9)
    ]
    assert len({tuple(await kept(row.pk)) for row in rows}) == 1
    fast = (await client.post(f"/v1/videos/{way}", json={**body, "preset": "fast"})).json()
    assert (fast["preset"], fast["steps"], fast["guidance_scale"], fast["boundary_ratio"]) == ("fast", 3, 1.0, 0.8)
    assert (fast["loras"], fast["size"]) == ([{"name": "lightning", "high": 1, "low": 0}], "64x64")
    for wrong in ({"loras": [{"name": "other"}]}, {"preset": "other"}, {"n": 17}):
        refused = await client.post(f"/v1/videos/{way}", json={**body, **wrong})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, *wrong)
