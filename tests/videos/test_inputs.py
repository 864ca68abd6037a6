"""What may be sent as a picture or a file, how much of it is kept, and for how long."""

import base64
import json
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fmlx_site.errors import BodyTooLarge, DiskFull, InvalidRequest
from inference.models import ApiKey, ModelFolder
from videos import steps
from videos.errors import FileNotFound, QuotaExceeded
from videos.inputs import abilities, files, reading
from videos.inputs.staging import Staged
from videos.models import Artifact, InputFile, Step, VideoJob

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
PICTURE = b"\x89PNG\r\n\x1a\n" + b"x" * 1000
FOUND = {"media_type": "image/png", "width": 8, "height": 8}


@pytest.fixture
def store(key, tmp_path, settings):
    """Keep these bytes as a file of a key, as if the decoder had found a picture in them."""

    def keep(data=PICTURE, **changes):
        path = tmp_path / "sent"
        path.write_bytes(data)
        facts = {"key": key, "name": "a.png", "purpose": "vision", "keep_seconds": 1e9}
        return files.store(path, FOUND, **{**facts, **changes})

    yield keep
    for file in InputFile.objects.all():
        files.delete(file)


def read(value, key=None):
    with reading.opened(reading.resolved(value, "input_reference", key), "input_reference") as path:
        return path.read_bytes()


def contents():
    return [path for path in settings.FMLX.files.rglob("*") if path.is_file()]


def sent_folders():
    return list((settings.FMLX.work / "sent").glob("*"))


@pytest.mark.parametrize("wrap", [str, lambda text: json.dumps({"image_url": text}), lambda text: {"image_url": text}])
def test_a_data_url_is_read_however_it_is_wrapped(wrap):
    encoded = base64.b64encode(PICTURE).decode()
    assert read(wrap(f"data:image/png;base64,{encoded}")) == PICTURE
    assert read(encoded) == PICTURE
    assert read(SimpleUploadedFile("a.png", PICTURE)) == PICTURE
    assert sent_folders() == []


@pytest.mark.parametrize(
    "value",
    [
        *("http://example.org/a.png", "HTTPS://example.org/a.png", "file:///etc/passwd", "data:image/png,plain", "!!!"),
        *(
            "{broken",
            "{" * 5000,
            {},
            {"url": "x"},
            {"file_id": "file-a", "image_url": "x"},
            {"file_id": 5},
            [],
            5,
            True,
        ),
        *(
            {"image_url": "http://example.org/a.png"},
            {"file_id": "data:image/png;base64,AAAA"},
            {"image_url": "file-a"},
        ),
    ],
    ids=str,
)
def test_what_is_no_picture_is_refused_by_name_and_nothing_is_fetched(value):
    with pytest.raises(InvalidRequest) as refused:
        read(value)
    assert (refused.value.param or "").startswith("input_reference")
    if "://" in str(value) and isinstance(value, str):
        assert "fetches none" in refused.value.message
    assert sent_folders() == []


def test_what_is_too_large_is_refused_with_its_figures(monkeypatch):
    monkeypatch.setattr("videos.options.INPUT_MAX_BYTES", type("Limit", (), {"value": 1024}))
    for value in (SimpleUploadedFile("a.png", b"x" * 1025), base64.b64encode(b"x" * 1200).decode()):
        with pytest.raises(BodyTooLarge, match="1024 is the most"):
            read(value)
    assert sent_folders() == []


def test_a_forms_nested_fields_are_what_json_has():
    body = {"prompt": "a", "video[id]": "video_1", "expires_after[anchor]": "x", "expires_after[seconds]": "5"}
    assert reading.folded(body) == {
        "prompt": "a",
        "video": {"id": "video_1"},
        "expires_after": {"anchor": "x", "seconds": "5"},
    }
    with pytest.raises(InvalidRequest):
        reading.folded({"video": "a", "video[id]": "b"})


def test_the_same_content_is_kept_once_for_its_owner_alone_until_the_last_is_deleted(store, key, operator):
    first, again = store(), store()
    [path] = contents()
    assert path.stat().st_mode & 0o777 == 0o600
    assert read(first.pk, key) == PICTURE
    other, _ = ApiKey.make("other", operator)
    with pytest.raises(FileNotFound):
        read(first.pk, other)
    files.delete(first)
    assert contents() == [path]
    files.delete(again)
    assert contents() == []


def test_quotas_are_refused_with_their_figures_and_leave_nothing(store, monkeypatch):
    store()
    monkeypatch.setattr("videos.options.FILES_KEY_BYTES", type("Limit", (), {"value": 1500}))
    with pytest.raises(QuotaExceeded, match="the most for one key"):
        store(PICTURE + b"more")
    monkeypatch.setattr("videos.options.FILES_KEY_BYTES", type("Limit", (), {"value": 10**9}))
    monkeypatch.setattr("videos.options.FILES_BYTES", type("Limit", (), {"value": 1500}))
    store()  # the same content takes no further room
    with pytest.raises(DiskFull, match="the most on this server"):
        store(PICTURE + b"more")
    assert (len(contents()), InputFile.objects.count()) == (1, 2)


def test_a_file_goes_when_its_time_is_over_and_a_content_without_a_row_with_it(store, key):
    file = store()
    stray = settings.FMLX.files / "ab" / ("ab" * 32)
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"x")
    InputFile.objects.filter(pk=file.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(FileNotFound):
        files.mine(key, file.pk, "file_id")
    files.keep_house()
    assert contents() == [stray], "who is writing it may be about to write its row"
    stray.unlink()


def test_a_model_says_what_it_can_start_from(model):
    with pytest.raises(InvalidRequest, match="does not start from a picture"):
        abilities.require(model, picture=True, last_picture=False)
    model.pipeline = "wan2.2-i2v-a14b"
    with pytest.raises(InvalidRequest, match="send one as input_reference"):
        abilities.require(model, picture=False, last_picture=False)
    abilities.require(model, picture=True, last_picture=True)
    model.pipeline = "wan2.2-ti2v-5b"
    with pytest.raises(InvalidRequest, match="no place for a last picture"):
        abilities.require(model, picture=True, last_picture=True)
    with pytest.raises(InvalidRequest, match="cannot make an earlier video anew"):
        abilities.require_edit(model)
    ModelFolder.objects.filter(pk=model.pk).update(defaults={"encoder": False})
    with pytest.raises(InvalidRequest, match="cannot continue"):
        abilities.require_extension(ModelFolder.objects.get(pk=model.pk))


def test_what_a_job_starts_from_stays_as_long_as_the_job_needs_it(make_job, tmp_path):
    folder = tmp_path / "staged" / "picture"
    folder.mkdir(parents=True)
    (folder / f"picture-{'a' * 64}.safetensors").write_bytes(b"pixels")
    (folder / "input.webp").write_bytes(b"preview")
    staged = Staged(folder.parent, {"picture": "a" * 64}, {"picture": {"preview_sha256": "b" * 64}})
    first, second = make_job(inputs=staged.keys), make_job(inputs=staged.keys)
    staged.attach(first)
    artifact = settings.FMLX.steps / f"picture-{'a' * 64}.safetensors"
    assert artifact.read_bytes() == b"pixels"
    assert Artifact.objects.get(job=first).variant == "input"
    assert steps.left(first.pk) == ["encode", "condition", "denoise", "decode", "mux"]
    (folder / "input.webp").write_bytes(b"preview")
    staged.attach(second)
    steps.forget(second.pk)
    assert Step.objects.get(job=second).made_at is not None
    steps.let_go([first.pk])
    assert artifact.exists()
    steps.let_go([second.pk])
    assert not artifact.exists()


def test_the_page_shows_what_it_starts_from_and_fills_the_form_again(client_of_pages, make_job):
    job = make_job(task="extension", source_video="video_before", inputs={"clip": "a" * 64, "before": 16}, seed=77)
    page = client_of_pages.get(reverse("video", args=[job.pk])).content.decode()
    assert "video_before" in page
    assert "33 frames" in page
    form = client_of_pages.get(reverse("videos"), {"again": job.pk}).content.decode()
    assert "a red ball" in form
    assert 'value="77"' in form
    assert 'enctype="multipart/form-data"' in form
    assert 'type="file"' in form
    assert client_of_pages.get(reverse("videos"), {"again": "nobody"}).status_code == 200
    assert VideoJob.objects.count() == 1


@pytest.fixture
def client_of_pages(operator):
    pages = Client()
    pages.force_login(operator)
    return pages


@pytest.fixture
def needy(model, tmp_path):
    """A better model than the other, and nothing without a picture."""
    facts = {"type": "video", "pipeline": "wan2.2-i2v-a14b", "resident_bytes": 2**20, "rank": 5}
    return ModelFolder.objects.create(node=model.node, name="a-better-one", path=f"{tmp_path}/better", **facts)


async def test_a_model_that_needs_a_picture_is_taken_for_one_only_if_it_is_named(client, key, needy):
    client.headers["Authorization"] = f"Bearer {key.secret}"
    shape = {"prompt": "a ball", "size": "64x64", "frames": 17, "fps": 8, "steps": 4}
    made = await client.post("/v1/videos", json=shape)
    assert made.json()["model"] == "demo-video"
    refused = await client.post("/v1/videos", json={**shape, "model": needy.name})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input_reference")
    assert refused.json()["error"]["message"].startswith("a-better-one makes videos from a picture")


def test_the_form_says_which_model_needs_a_picture_and_does_not_begin_with_it(client_of_pages, needy):
    form = client_of_pages.get(reverse("videos")).context["form"]
    named = [("demo-video", "demo-video"), ("a-better-one", "a-better-one (needs a picture)")]
    assert form.fields["model"].choices == named
    filled = {"token": "t", "model": needy.name, "prompt": "a ball", "resize_mode": "crop"}
    answer = client_of_pages.post(reverse("videos"), filled)
    assert answer.status_code == 400
    assert "makes videos from a picture" in answer.context["form"].errors["input_reference"][0]
    assert needy.name not in client_of_pages.get(reverse("connect")).content.decode()


def test_a_picture_in_the_form_is_refused_with_the_reason(client_of_pages, model, tmp_path, monkeypatch):
    monkeypatch.setattr("videos.inputs.sandbox.runtime_python", lambda _home, _runtime: tmp_path / "none")
    filled = {"token": "t", "model": model.name, "prompt": "a ball", "resize_mode": "crop"}
    picture = SimpleUploadedFile("a.png", PICTURE, "image/png")
    answer = client_of_pages.post(reverse("videos"), {**filled, "input_reference": picture})
    assert answer.status_code == 400
    assert answer.context["form"].errors["input_reference"] == [
        "demo-video does not start from a picture. Models that can: none on this server."
    ]
    ModelFolder.objects.filter(pk=model.pk).update(pipeline="wan2.2-ti2v-5b")
    answer = client_of_pages.post(
        reverse("videos"), {**filled, "input_reference": SimpleUploadedFile("a.png", PICTURE)}
    )
    assert answer.status_code == 503, "the runtime that looks at pictures is not built"
    assert (VideoJob.objects.count(), sent_folders()) == (0, [])
    assert client_of_pages.post(reverse("videos"), filled).status_code == 302
    assert VideoJob.objects.get().inputs == {}
