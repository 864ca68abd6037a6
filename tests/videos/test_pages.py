"""The pages as a browser without JavaScript sees them."""

import re

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fmlx_site.models import Change
from fmlx_site.templatetags.units import duration, size
from inference.catalog import recent_catalog
from inference.models import ModelFolder
from memory import parts_of, say
from memory.models import Lease
from videos import jobs
from videos.models import Artifact, Attempt, Step, VideoJob
from videos.pages import PAGE_LENGTH

MOST_QUERIES = 11


@pytest.fixture
def site(operator):
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def viewer(db):
    user = User.objects.create_user("viewer", password="a long password")
    user.user_permissions.add(Permission.objects.get(codename="view_videojob"))
    client = Client()
    client.force_login(user)
    return client


def token(html):
    return re.search(r'name="token" value="(\w+)"', html.content.decode())[1]


def filled(site, **fields):
    return {"token": token(site.get("/videos/")), "model": "demo-video", "prompt": "a red ball", "size": "", **fields}


def completed(make_job, node, **fields):
    job = jobs.claim(make_job(**fields), node.pk)
    attempt = Attempt.objects.create(job=job, number=1, fence=job.fence, node=node, lease_bytes=2**30, log="x.log")
    return jobs.finish(job.pk, job.fence, expires_at=job.created_at), attempt


def test_a_stranger_is_sent_to_log_in_and_comes_back(operator, model):
    client = Client()
    answer = client.get("/", follow=True)
    assert answer.redirect_chain[-1][0] == "/login/?next=/"
    answer = client.post("/login/", {"username": "admin", "password": "a long password", "next": "/videos/"})
    assert answer["Location"] == "/videos/"


def test_submitting_the_form_queues_a_job_and_shows_it(site, model):
    answer = site.post("/videos/", filled(site, size="custom", width=64, height=64, frames=17, steps=4), follow=True)
    assert answer.redirect_chain == [("/videos/", 302)]
    job = VideoJob.objects.get()
    assert (job.prompt, job.width, job.frames, job.steps, job.user.username) == ("a red ball", 64, 17, 4, "admin")
    assert b"a red ball" in answer.content
    assert b"Number 1 in the queue" in answer.content


def test_pressing_the_button_twice_makes_one_video(site, model):
    form = filled(site)
    for _ in range(2):
        assert site.post("/videos/", form).status_code == 302
    assert VideoJob.objects.count() == 1
    assert site.post("/videos/", {**form, "prompt": "another"}).status_code == 302
    assert VideoJob.objects.count() == 2


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"prompt": " "}, ("prompt", "This field is required.", 400)),
        ({"steps": 500}, ("steps", "500 steps is above", 400)),
        ({"seconds": 5, "frames": 9}, ("frames", "not in both", 400)),
        ({"size": "custom", "width": 64}, ("height", "needs a width and a height", 400)),
        ({"size": "custom", "width": 16000, "height": 16}, ("size", "would fit.", 413)),
    ],
)
def test_a_refusal_is_shown_at_its_field_with_nothing_lost(site, node, fields, shown, settings):
    field, sentence, status = shown
    node.largest_bytes = 3 * 2**30
    node.save()
    settings.FMLX = settings.FMLX.model_copy(update={"video_max_pixels": 10**7})
    answer = site.post("/videos/", filled(site, negative_prompt="blue & <b>", **fields))
    html = answer.content.decode()
    assert answer.status_code == status
    block = html[html.index(f'id="id_{field}_error"') :].split("</div>")[0]
    assert sentence in block
    assert "blue &amp; &lt;b&gt;" in html
    assert not VideoJob.objects.exists()


def test_a_viewer_sees_but_may_not_change(viewer, make_job):
    job = make_job()
    html = viewer.get("/videos/").content.decode()
    assert job.prompt in html
    assert 'id="video-form"' not in html
    assert "Delete…" not in html
    assert viewer.post("/videos/", {}).status_code == 403
    for action in ("cancel", "delete", "pause", "resume"):
        assert viewer.post(f"/videos/{job.pk}/{action}/").status_code == 403
    assert viewer.post("/videos/rescan/").status_code == 403
    assert VideoJob.objects.get().status == "queued"


def test_cancelling_and_deleting_ask_first_and_act_by_post_only(site, make_job):
    job = make_job()
    assert b"Cancel this video?" in site.get(f"/videos/{job.pk}/cancel/").content
    assert VideoJob.objects.get().status == "queued"
    assert b"Cancelled" in site.post(f"/videos/{job.pk}/cancel/", follow=True).content
    assert b"nothing to cancel" in site.post(f"/videos/{job.pk}/cancel/", follow=True).content
    assert b"Delete this video?" in site.get(f"/videos/{job.pk}/delete/").content
    assert b"was deleted" in site.post(f"/videos/{job.pk}/delete/", follow=True).content
    assert not VideoJob.objects.exists()
    assert site.get(f"/videos/{job.pk}/").status_code == 404


def test_a_video_is_paused_and_resumed_by_its_buttons(site, make_job):
    job = make_job()
    assert "Pause</button>" in site.get("/videos/").content.decode()
    html = site.post(f"/videos/{job.pk}/pause/", follow=True).content.decode()
    assert "What was computed is kept." in html
    assert f'action="/videos/{job.pk}/resume/"' in html
    assert "data-paused" in html
    assert VideoJob.objects.get().paused
    assert "back in the queue" in site.post(f"/videos/{job.pk}/resume/", follow=True).content.decode()
    assert not VideoJob.objects.get().paused
    VideoJob.objects.update(status="failed")
    assert b"nothing to pause" in site.post(f"/videos/{job.pk}/pause/", follow=True).content
    assert site.get(f"/videos/{job.pk}/pause/").status_code == 405


def test_what_is_done_on_the_pages_is_in_the_audit_trail(site, model, make_job):
    assert site.post("/videos/", filled(site)).status_code == 302
    job = VideoJob.objects.get()
    for action in ("pause", "pause", "resume", "cancel", "delete"):
        site.post(f"/videos/{job.pk}/{action}/")
    trail = [(change.old, change.new) for change in Change.objects.filter(what="video", name=job.pk).order_by("id")]
    queued, paused, cancelled = {"state": "queued"}, {"state": "paused"}, {"state": "cancelled"}
    made = {"model": job.model, **queued}
    assert trail == [
        (None, made),
        (queued, paused),
        (paused, queued),
        (queued, cancelled),
        ({"model": job.model, **cancelled}, None),
    ]
    shown = site.get("/audit/", headers={"accept-language": "ru"}).content.decode()
    assert "состояние: на паузе" in shown


def test_details_say_which_results_were_reused(site, make_job, node):
    job, _ = completed(make_job, node)
    Step.objects.create(job=job, name="encode", key="e" * 64, bytes=4096, reused=True, made_at=timezone.now())
    Step.objects.create(job=job, name="decode", key="d" * 64)
    html = site.get(f"/videos/{job.pk}/").content.decode()
    assert "Prompt embeddings" in html
    assert "reused from an earlier video" in html
    assert "not made yet" in html


def test_the_file_is_served_to_the_session_with_range(site, make_job, node, settings):
    waiting = make_job()
    assert site.get(f"/videos/{waiting.pk}/content").status_code == 409
    job, _ = completed(make_job, node)
    path = settings.FMLX.artifacts / job.pk / "video-1.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"0123456789")
    Artifact.objects.create(
        job=job, variant="video", path=f"{job.pk}/video-1.mp4", bytes=10, sha256="e", media_type="video/mp4"
    )
    answer = site.get(f"/videos/{job.pk}/content", headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer["Content-Range"]) == (206, "bytes 2-4/10")
    assert f'src="/videos/{job.pk}/content"' in site.get(f"/videos/{job.pk}/").content.decode()
    path.unlink()
    assert site.get(f"/videos/{job.pk}/content").status_code == 404
    assert Client().get(f"/videos/{job.pk}/content").status_code == 302


def test_details_tell_what_ran_where_and_show_the_log_to_operators(site, viewer, make_job, node, settings):
    job, attempt = completed(make_job, node)
    logs = settings.FMLX.logs / "workers"
    logs.mkdir(parents=True, exist_ok=True)
    (logs / "x.log").write_text("first line\n" + "x" * 100_000 + "\nlast line\n")
    html = site.get(f"/videos/{job.pk}/").content.decode()
    assert node.name in html
    assert "1.0\N{NO-BREAK SPACE}GiB" in html
    address = f"/videos/{job.pk}/logs/{attempt.pk}/"
    assert address in html
    assert site.get(address).content.decode().endswith("last line\n")
    assert address not in viewer.get(f"/videos/{job.pk}/").content.decode()
    assert viewer.get(address).status_code == 403


def test_a_preview_that_is_gone_is_nothing_and_no_error(site, make_job):
    assert site.get(f"/videos/{make_job().pk}/preview").status_code == 204
    assert site.get("/videos/video_none/preview").status_code == 404


def test_memory_and_models_are_shown_with_the_reason_for_what_is_not_served(site, make_job, node):
    Lease.objects.create(node=node, kind="generator", holder="video_x", bytes=2**30)
    ModelFolder.objects.create(node=node, name="half", path="/half", skipped_because="The download is not complete.")
    html = site.get("/videos/").content.decode()
    assert "1.0\N{NO-BREAK SPACE}GiB of 16.0\N{NO-BREAK SPACE}GiB promised" in html
    assert "The download is not complete." in html
    assert site.post("/videos/rescan/").status_code == 302


@pytest.mark.parametrize("who", ["site", "viewer"])
def test_a_page_of_many_jobs_costs_few_queries(who, request, make_job, node):
    client = request.getfixturevalue(who)
    for number in range(60):
        make_job(prompt=f"ball {number}")
    client.get("/videos/")  # what models there are is known from then on
    with CaptureQueriesContext(connection) as queries:
        html = client.get("/videos/").content.decode()
    assert html.count("<article") == PAGE_LENGTH
    assert len(queries) <= MOST_QUERIES, [query["sql"] for query in queries]
    assert client.get("/videos/?page=2").content.decode().count("<article") == PAGE_LENGTH
    job = VideoJob.objects.first()
    with CaptureQueriesContext(connection) as queries:
        client.get(f"/videos/{job.pk}/")
    assert len(queries) <= MOST_QUERIES


@pytest.mark.parametrize(
    ("language", "words"), [("zh-hans", ("视频", "排在队列第 1 位")), ("ru", ("Видео", "1-е в очереди"))]
)
def test_the_page_speaks_the_chosen_language(site, make_job, language, words):
    make_job()
    site.post("/language/", {"language": language, "next": "/videos/"})
    html = site.get("/videos/").content.decode()
    assert f'<html lang="{language}">' in html
    assert all(word in html for word in words)


def test_nothing_inline_and_nothing_from_elsewhere(site, make_job):
    job = make_job()
    for address in ("/videos/", f"/videos/{job.pk}/", f"/videos/{job.pk}/delete/", "/nothing/here/", "/login/"):
        html = site.get(address).content.decode()
        assert re.findall(r"<script(?![^>]*(?:src=|application/json))", html) == []
        assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", html) == []
        assert re.findall(r'(?:src|href|action)="(?:https?:)?//', html) == []


def test_operators_requeue_and_cancel_in_the_admin_site(site, make_job):
    waiting, lost = make_job(), jobs.cancel(make_job())
    jobs_page = "/admin/videos/videojob/"
    site.post(jobs_page, {"action": "requeue", "_selected_action": [waiting.pk, lost.pk]})
    lost.refresh_from_db()
    assert (lost.status, lost.error_code, lost.completed_at) == ("queued", "", None)
    assert list(lost.history.values_list("what", flat=True)) == ["cancelled", "requeued"]
    site.post(jobs_page, {"action": "cancel", "_selected_action": [waiting.pk]})
    waiting.refresh_from_db()
    assert waiting.error_code == "cancelled"
    for address in (
        jobs_page,
        f"{jobs_page}{quote(lost.pk)}/change/",  # as the list links it: “_25” would be a quoted “%”
        "/admin/inference/modelfolder/",
        "/admin/inference/apikey/",
    ):
        assert site.get(address).status_code == 200


def test_figures_are_read_as_people_read_them():
    assert [size(n) for n in (0, 1023, 1536, 3 * 2**30)] == ["0\xa0B", "1023\xa0B", "1.5\xa0KiB", "3.0\xa0GiB"]
    assert [duration(s) for s in (0.24, 59, 95, 3720)] == ["0.2 s", "59 s", "1 min 35 s", "1 h 2 min"]


def test_the_form_offers_to_make_it_larger_where_a_model_can_and_a_page_says_why_it_was_not(
    site, model, make_job, node
):
    assert "id_upscale" not in site.get("/videos/").content.decode()
    facts = {"type": "upscale", "pipeline": "seedvr2-3b", "sizes": {"inner_dim": 8, "heads": 1, "vae_width": 8}}
    ModelFolder.objects.create(node=node, name="larger", path="/nowhere", **facts)
    recent_catalog.forget()
    assert "id_upscale" in site.get("/videos/").content.decode()
    site.post("/videos/", filled(site, upscale="larger"))
    assert VideoJob.objects.get().upscale == "larger"
    job, _ = completed(make_job, node, upscale="larger")
    said = say("no_such_upscaler", model="larger")
    code = {"upscale_error_code": "upscale_no_model", "upscale_error_message": str(said)}
    VideoJob.objects.filter(pk=job.pk).update(upscale_error_said=parts_of(said), **code)
    shown = [("en", "no model larger to make"), ("ru", "нет модели larger"), ("zh-hans", "没有模型 larger")]
    for language, words in shown:
        assert words in site.get(f"/videos/{job.pk}/", headers={"Accept-Language": language}).content.decode()


def test_the_form_has_a_row_for_each_lora_with_the_strength_for_each_expert(site, model, settings, tmp_path):
    settings.FMLX = settings.FMLX.model_copy(update={"home": tmp_path, "model_dirs": []})
    assert "field-loras" not in site.get("/videos/").content.decode()
    (tmp_path / "loras").mkdir()
    for name in ("ink.safetensors", "sketch.safetensors"):
        (tmp_path / "loras" / name).write_bytes(b"x")
    page = site.get("/videos/").content.decode()
    assert all(f'name="loras:{name}"' in page for name in ("ink", "sketch", "sketch:strength", "sketch:strength_low"))
    form = filled(site, **{"loras:sketch": "on", "loras:sketch:strength": "0.5", "loras:ink:strength": "2"})
    site.post("/videos/", form)
    job = VideoJob.objects.get()
    assert job.loras == [{"name": "sketch", "high": 0.5, "low": 0.5}]
    site.post("/videos/", {**form, "token": "other", "loras:sketch:strength_low": "-1"})
    job = VideoJob.objects.latest("created_at")
    assert job.loras == [{"name": "sketch", "high": 0.5, "low": -1}]
    again = site.get(f"/videos/?again={job.pk}").content.decode()
    assert re.search(r'name="loras:sketch" id="[^"]+" checked', again)
    assert re.search(r'name="loras:sketch:strength_low" value="-1(.0)?"', again)
    for typed, says in (("much", "A strength is a number from -4 to 4."), ("9", "less than or equal to 4")):
        answer = site.post("/videos/", {**form, "token": "third", "loras:sketch:strength": typed})
        assert answer.status_code in (200, 400)
        assert says in answer.content.decode()
        assert "field-loras invalid" in answer.content.decode()
    assert VideoJob.objects.count() == 2
