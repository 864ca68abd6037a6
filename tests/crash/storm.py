"""Processes that are killed at random moments and started again, and the customer who notices nothing."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tests.helpers import wait_for
from tests.house import KEY, SHAPE, workers_of
from tests.servers import Server, running

RETRY_SECONDS = 0.1
LOOK_SECONDS = 0.3
STILLBORN = 0.2  # the share of lives that may end before they are ready
READY = "is ready"


@dataclass(slots=True)
class Part:
    """A process of the house: how it is started, and how long it lives once it is ready, in seconds."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    lives: tuple[float, float]


@dataclass
class Storm:
    """Kills until `calm`; what runs then is left alone until the block ends, and must stop in good order."""

    home: Path
    port: int
    parts: Sequence[Part]
    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    doubles: list[str] = field(default_factory=list)
    broken: list[BaseException] = field(default_factory=list)
    calm: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def blowing(self) -> Iterator[None]:
        loops = [lambda part=part: self._live(part) for part in self.parts] + [self._kill_workers, self._look]
        threads = [threading.Thread(target=self._guarded, args=(loop,)) for loop in loops]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.calm.set()
            self.over.set()
            for thread in threads:
                thread.join(60)
        assert not self.broken, self.broken

    def _guarded(self, loop) -> None:
        try:
            loop()
        except BaseException as error:
            self.broken.append(error)
            raise

    def _live(self, part: Part) -> None:
        """One life after another. Some end while they begin, the others some time after they are ready."""
        rng = random.Random(f"{self.seed} {part.name}")
        while not self.over.is_set():
            with running(part.command, home=self.home, env=part.env, port=self.port, answers=lambda: True) as server:
                if rng.random() < STILLBORN:
                    self.calm.wait(rng.uniform(0.2, 4.0))
                else:
                    self._wait_until_ready(server)
                    self.calm.wait(rng.uniform(*part.lives))
                if self.calm.is_set():
                    self.over.wait()
                    continue
                server.kill()
                self.kills[part.name] += 1

    def _wait_until_ready(self, server: Server) -> None:
        wait_for(lambda: self.calm.is_set() or READY in server.output(), 60, "a process being ready")

    def _kill_workers(self) -> None:
        rng = random.Random(f"{self.seed} workers")
        while not self.calm.wait(rng.uniform(1.0, 4.0)):
            if workers := workers_of(self.home):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(workers).pid, signal.SIGKILL)
                    self.kills["worker"] += 1

    def _look(self) -> None:
        """No job may have two workers that live at the same time. A worker's folder names its job."""
        while not self.over.wait(LOOK_SECONDS):
            seen: dict[str, psutil.Process] = {}
            for worker in workers_of(self.home):
                with contextlib.suppress(psutil.Error, OSError):
                    job = Path(worker.cwd()).name.rpartition("-")[0]
                    if not job.startswith("video_"):  # a generator between two jobs
                        continue
                    other = seen.setdefault(job, worker)
                    if os.getsid(other.pid) != os.getsid(worker.pid) and other.is_running() and worker.is_running():
                        self.doubles.append(f"{job}: {other.pid} and {worker.pid}")


class Customer:
    """Sends requests until they are answered, as a client with retries does."""

    def __init__(self, port: int, steps: Sequence[int] = (2, 3, 4)) -> None:
        self.steps = steps
        headers = {"Authorization": f"Bearer {KEY}"}
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20, trust_env=False)
        self.repeats = 0

    def __enter__(self) -> "Customer":
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def ask(self, method: str, url: str, **options) -> httpx.Response:
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = self._http.request(method, url, **options)
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    return answer
            self.repeats += 1
            time.sleep(RETRY_SECONDS)

    def make(self, number: int, rng: random.Random) -> str:
        """Order a video exactly once, however often that has to be said."""
        fields = {**SHAPE, "frames": rng.choice((5, 9, 13, 17)), "steps": rng.choice(self.steps), "seed": number}
        answer = self.ask("POST", "/v1/videos", json=fields, headers={"Idempotency-Key": f"order-{number}"})
        assert answer.is_success, answer.text
        video_id: str = answer.json()["id"]
        return video_id

    def statuses(self) -> dict[str, str]:
        videos: dict[str, str] = {}
        after: dict[str, str] = {}
        while True:
            page = self.ask("GET", "/v1/videos", params={"limit": "100", "order": "asc", **after}).json()
            videos |= {video["id"]: video["status"] for video in page["data"]}
            if not page["has_more"]:
                return videos
            after = {"after": page["last_id"]}
