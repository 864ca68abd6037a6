from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from videos import jobs, retention
from videos.models import Artifact, VideoJob

pytestmark = [pytest.mark.django_db, pytest.mark.servers]


@pytest.fixture
def limits(tmp_path, settings):
    def set_to(**changes):
        settings.FMLX = django_settings.FMLX.model_copy(update={"home": tmp_path, **changes})

    set_to()
    return set_to


@pytest.fixture
def finished(node, make_job, tmp_path, limits):
    def make(age_days=0, size=100, expires_in_days=30):
        job = jobs.claim(make_job(), node.pk)
        path = tmp_path / "artifacts" / job.pk / "video-1.mp4"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(size))
        relative = f"{job.pk}/video-1.mp4"
        Artifact.objects.create(job=job, variant="video", path=relative, bytes=size, sha256="x", media_type="video/mp4")
        expires_at = timezone.now() + timedelta(days=expires_in_days)
        job = jobs.finish(job.pk, job.fence, expires_at=expires_at)
        VideoJob.objects.filter(pk=job.pk).update(completed_at=timezone.now() - timedelta(days=age_days))
        return job

    return make


def here(job, tmp_path):
    return (tmp_path / "artifacts" / job.pk / "video-1.mp4").exists()


def test_what_has_expired_is_purged_and_its_row_stays(finished, tmp_path):
    old, new = finished(expires_in_days=-1), finished()
    retention.enforce()
    assert (here(old, tmp_path), here(new, tmp_path)) == (False, True)
    assert VideoJob.objects.filter(pk=old.pk).exists()
    assert old.artifacts.get().purged_at
    assert retention.enforce() == []


@pytest.mark.parametrize("limit", [{"video_keep_count": 1}, {"video_keep_bytes": 150}])
def test_beyond_a_limit_the_oldest_is_announced_first_and_purged_after(finished, limits, tmp_path, limit):
    old, new = finished(age_days=2), finished(age_days=1)
    limits(**limit)
    [announced] = retention.enforce()
    assert announced.pk == old.pk
    assert timezone.now() < announced.expires_at <= timezone.now() + retention.NOTICE
    assert here(old, tmp_path)
    assert retention.enforce() == []
    VideoJob.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    retention.enforce()
    assert (here(old, tmp_path), here(new, tmp_path)) == (False, True)
