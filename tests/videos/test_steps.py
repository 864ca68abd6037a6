"""Whose artifacts are kept, and until when."""

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from videos import retention, steps
from videos.models import Step, VideoJob

pytestmark = [pytest.mark.django_db, pytest.mark.servers]


@pytest.fixture
def home(tmp_path, settings):
    settings.FMLX = django_settings.FMLX.model_copy(update={"home": tmp_path})
    (tmp_path / "steps").mkdir()
    return tmp_path


@pytest.fixture
def make_done(make_job, home):
    """A finished job, and the files that its worker left."""

    def make(letter, *, age=0, **fields):
        now = timezone.now() - timedelta(hours=age)
        ended = {"status": "completed", "completed_at": now, "expires_at": now + timedelta(days=30), **fields}
        job = make_job(**ended)
        keys = {"encode": "e" * 64, "denoise": letter * 64, "decode": letter.upper() * 64}
        steps.plan(job.pk, keys)
        kinds = {"embeds": "encode", "latents": "denoise", "frames": "decode"}
        for kind, name in kinds.items():
            (home / "steps" / f"{kind}-{keys[name]}.safetensors").write_bytes(b"x" * 1000)
            steps.made(job.pk, name, key=keys[name], size=1000, reused=False)
        (home / "steps" / f"state-{keys['denoise']}-000004.safetensors").write_bytes(b"x")
        return job, list(keys.values())

    return make


def left(home):
    return sorted(f"{path.name.split('-')[0]} {path.name.split('-')[1][0]}" for path in (home / "steps").iterdir())


def test_frames_and_states_go_with_the_end_of_the_job_and_what_it_was_made_from_stays(make_done, home):
    job, keys = make_done("a", status="in_progress", completed_at=None, expires_at=None)
    steps.tidy(keys)
    assert left(home) == ["embeds e", "frames A", "latents a", "state a"]
    VideoJob.objects.filter(pk=job.pk).update(status="completed")
    steps.tidy(keys)
    assert left(home) == ["embeds e", "latents a"]


def test_a_setting_keeps_the_frames(make_done, home, settings):
    settings.FMLX = settings.FMLX.model_copy(update={"video_keep_frames": True})
    steps.tidy(make_done("a")[1])
    assert left(home) == ["embeds e", "frames A", "latents a"]


def test_what_two_jobs_share_goes_with_the_second(make_done, home):
    (first, _), (second, _) = make_done("a"), make_done("b")
    steps.let_go([first.pk])
    assert left(home) == ["embeds e", "frames B", "latents b", "state b"]
    steps.let_go([second.pk])
    assert left(home) == []


def test_an_expired_video_takes_its_artifacts_with_it(make_done, home):
    job, _ = make_done("a", age=24 * 31)
    retention.purge(job)
    assert left(home) == []


def test_the_oldest_clips_artifacts_go_first_to_stay_within_the_bound_and_unfinished_ones_never(
    make_done, home, settings
):
    settings.FMLX = settings.FMLX.model_copy(update={"video_steps_bytes": 4500})
    make_done("c", status="queued", completed_at=None, expires_at=None)
    make_done("a", age=2)
    make_done("b", age=1)
    steps.keep_house()
    assert left(home) == ["embeds e", "frames C", "latents b", "latents c", "state c"]
    settings.FMLX = settings.FMLX.model_copy(update={"video_steps_bytes": 0})
    steps.keep_house()
    assert left(home) == ["embeds e", "frames C", "latents c", "state c"]


def test_a_cancelled_job_keeps_nothing_and_a_failed_one_a_day(make_done, home):
    make_done("a", status="failed", error_code="cancelled")
    make_done("b", status="failed", error_code="worker_crashed", age=1)
    make_done("c", status="failed", error_code="worker_crashed", age=25)
    steps.keep_house()
    assert {name[-1].lower() for name in left(home)} == {"e", "b"}


def test_a_file_that_nobody_names_is_removed_once_it_is_old(home, monkeypatch):
    (home / "steps" / f"latents-{'d' * 64}.safetensors").touch()
    steps.keep_house()
    assert left(home) == ["latents d"]
    monkeypatch.setattr(steps, "STRAY_SECONDS", -1.0)
    steps.keep_house()
    assert left(home) == []


def test_a_step_counts_as_reused_only_when_another_job_had_made_it(make_job, home):
    job = make_job()
    keys = {"encode": "e" * 64}
    steps.plan(job.pk, keys)
    steps.made(job.pk, "encode", key="e" * 64, size=5, reused=False)
    steps.plan(job.pk, keys)
    steps.made(job.pk, "encode", key="e" * 64, size=5, reused=True)
    assert Step.objects.get().reused is False
    assert steps.left(job.pk) == ["denoise", "decode", "mux"]
    steps.plan(job.pk, {"encode": "f" * 64})
    assert steps.left(job.pk) == ["encode", "denoise", "decode", "mux"]
