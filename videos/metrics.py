"""`fmlx_jobs_*` for Prometheus, read from the database."""

from collections.abc import Iterator

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from videos import steps
from videos.models import Attempt, Step, VideoJob


def collect() -> Iterator[Metric]:
    """A deleted job counts no more, so these are gauges and no counters."""
    jobs = GaugeMetricFamily("fmlx_jobs_known", "Video jobs by state.", labels=["status"])
    counts = dict.fromkeys(VideoJob.Status.values, 0)
    rows = VideoJob.objects.order_by().values_list("status").annotate(count=Count("id"), oldest=Min("created_at"))
    oldest = None
    for status, count, first in rows:
        counts[status] = count
        oldest = first if status == VideoJob.Status.QUEUED else oldest
    for status, count in counts.items():
        jobs.add_metric([status], count)
    failed = GaugeMetricFamily("fmlx_jobs_failed", "Failed video jobs by the code of their error.", labels=["code"])
    codes = VideoJob.objects.filter(status=VideoJob.Status.FAILED).order_by().values_list("error_code")
    for code, count in codes.annotate(count=Count("id")):
        failed.add_metric([code], count)
    waited = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    yield from (jobs, failed, GaugeMetricFamily("fmlx_jobs_oldest_wait_seconds", "Of those that wait.", value=waited))
    yield from _of_steps()


def _of_steps() -> Iterator[Metric]:
    done = GaugeMetricFamily(
        "fmlx_jobs_steps", "Steps of the jobs there are, made by them or reused.", labels=["step", "reused"]
    )
    counts = {(name, reused): 0 for name in Step.Name.values for reused in (False, True)}
    rows = Step.objects.exclude(made_at=None).order_by().values_list("name", "reused").annotate(count=Count("id"))
    for name, reused, count in rows:
        counts[name, reused] = count
    for (name, reused), count in counts.items():
        done.add_metric([name, str(reused).lower()], count)
    warm = Attempt.objects.filter(warm=True).count()
    held = steps.total_bytes()
    yield done
    yield GaugeMetricFamily("fmlx_jobs_warm_attempts", "Attempts in a generator that had stayed.", value=warm)
    yield GaugeMetricFamily("fmlx_jobs_steps_bytes", "What steps hand on, on this machine's disk.", value=held)
