import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from memory.environments import runtime_python


@dataclass(frozen=True, slots=True)
class Demo:
    """A module of a runtime that makes a checkpoint in the folder it is given."""

    name: str
    runtime: str
    module: str
    kind: str


DEMOS = (
    Demo("demo-video", "mlx-gen", "videos.runtimes.mlx_gen.demo", "t2v"),
    Demo("demo-chat", "mlx-lm", "inference.engine.demo", "chat"),
    Demo("demo-hybrid", "mlx-lm", "inference.engine.demo", "hybrid"),
    Demo("demo-swa", "mlx-lm", "inference.engine.demo", "swa"),
)
MARK = "fmlx-demo.json"


class Command(BaseCommand):
    help = "Build the tiny demo models in the house's own model folder. They need no download."

    def handle(self, *args: Any, **options: Any) -> None:
        folder = settings.FMLX.home / "models"
        folder.mkdir(parents=True, exist_ok=True)
        for demo in DEMOS:
            self._make(demo, folder / demo.name)

    def _make(self, demo: Demo, folder: Path) -> None:
        if (folder / MARK).is_file():
            self.stdout.write(f"{demo.name} is there already.")
            return
        python = runtime_python(settings.FMLX.home, demo.runtime)
        if not python.exists():
            raise CommandError(
                f"The {demo.runtime} runtime is not built; run 'manage.py buildworker {demo.runtime}' first."
            )
        command = [str(python), "-m", demo.module, str(folder), "--kind", demo.kind]
        if subprocess.run(command, cwd=settings.BASE_DIR, check=False).returncode:
            raise CommandError(f"{demo.name} could not be built; the lines above say why.")
        self.stdout.write(f"{demo.name} is built in {folder}.")
