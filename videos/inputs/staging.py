"""What a job starts from, decoded and fitted, until the job has it: then it is on the shelf of the steps' artifacts."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from videos import storage
from videos.inputs import sandbox
from videos.inputs.folders import folder_name
from videos.models import Artifact, Step, VideoJob

KINDS = {"picture": "picture", "last_picture": "picture", "clip": "clip"}  # a step's name → how its artifact is called
PREVIEW = "input.webp"


@dataclass
class Staged:
    """In a folder of its own, which is made for the first of them. `keys` are those of the artifacts in it, by what
    they are for; `found` is what the decoder said of each.
    """

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)
    found: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, path: Path, param: str, **wanted: Any) -> dict[str, Any]:
        """Decode and fit what is at `path`. Raises InputRefused or Unavailable."""
        inside = self._make(name)
        found = sandbox.look(path, param, task=KINDS[name], folder=str(inside), **wanted)
        self.keys[name], self.found[name] = found["key"], found
        return found

    def attach(self, job: VideoJob) -> None:
        """In the transaction that saves the job: its rows name what it needs, and the files are there."""
        now = timezone.now()
        Step.objects.bulk_create(
            Step(job=job, name=name, key=key, bytes=self._path(name).stat().st_size, made_at=now)
            for name, key in self.keys.items()
        )
        self.publish()
        if preview := next((self.folder / name / PREVIEW for name in self.found), None):
            self._keep_preview(job, preview)

    def publish(self) -> None:
        """Once more after the transaction: whoever let go of the same file in between did not see these rows."""
        settings.FMLX.steps.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in self.keys:
            target = settings.FMLX.steps / self._path(name).name
            if not target.exists():
                part = self._path(name).with_suffix(".link")
                part.unlink(missing_ok=True)
                os.link(self._path(name), part)
                part.replace(target)

    def _make(self, name: str) -> Path:
        inside = self.folder / name
        inside.mkdir(mode=0o700, parents=True)
        return inside

    def _path(self, name: str) -> Path:
        return self.folder / name / f"{KINDS[name]}-{self.keys[name]}.safetensors"

    def _keep_preview(self, job: VideoJob, preview: Path) -> None:
        sha256 = next(iter(self.found.values()))["preview_sha256"]
        preview = Path(shutil.copyfile(preview, preview.with_name(f"{job.pk}.webp")))  # a sibling wants it too
        files = {"input": {"name": preview.name, "sha256": sha256, "media_type": "image/webp"}}
        Artifact.objects.bulk_create(storage.keep(job, preview.parent, files))

    def reuse(self, job: VideoJob) -> None:
        """What an earlier job started from, once more. Raises FileNotFoundError when it is not kept any more."""
        for name, kind in KINDS.items():
            if key := job.inputs.get(name):
                self._make(name)
                self.keys[name] = key
                os.link(settings.FMLX.steps / f"{kind}-{key}.safetensors", self._path(name))
        preview = Artifact.objects.filter(job=job, variant=Artifact.Variant.INPUT, purged_at=None).first()
        if preview and self.keys and storage.path_of(preview).is_file():
            name = next(iter(self.keys))
            shutil.copyfile(storage.path_of(preview), self.folder / name / PREVIEW)
            self.found[name] = {"preview_sha256": preview.sha256}


@asynccontextmanager
async def staging() -> AsyncIterator[Staged]:
    folder = folder_name()
    try:
        yield Staged(folder)
    finally:
        await asyncio.to_thread(storage.discard, folder)
