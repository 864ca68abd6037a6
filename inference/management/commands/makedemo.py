"""manage.py makedemo: put the demo models that come with the program into the house's own model folder."""

import subprocess
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from demo_models import shipped
from memory.environments import runtime_python

# Made here, with random weights: its two experts are not trained well enough yet to be shipped.
RANDOM = {"demo-video": "videos.runtimes.mlx_gen.demo"}


class Command(BaseCommand):
    help = "Install the tiny demo models in the house's own model folder. They need no download."

    def handle(self, *args: Any, **options: Any) -> None:
        folder = settings.FMLX.home / "models"
        folder.mkdir(parents=True, exist_ok=True)
        for name in shipped.names():
            self._install(name, folder / name)
        for name in RANDOM.keys() - set(shipped.names()):
            self._make(name, folder / name)

    def _install(self, name: str, target: Path) -> None:
        try:
            new = shipped.install(name, target)
        except FileExistsError as error:
            self.stdout.write(str(error))
        except shipped.Damaged as error:
            raise CommandError(str(error)) from error
        else:
            self.stdout.write(f"{name} is {'installed' if new else 'there already'} in {target}.")

    def _make(self, name: str, target: Path) -> None:
        if (target / "model_index.json").is_file():
            self.stdout.write(f"{name} is there already in {target}.")
            return
        python = runtime_python(settings.FMLX.home, "mlx-gen")
        if not python.exists():
            raise CommandError("The worker environment is not built; run 'manage.py buildworker mlx-gen' first.")
        made = subprocess.run([str(python), "-m", RANDOM[name], str(target)], cwd=settings.BASE_DIR, check=False)
        if made.returncode:
            raise CommandError(f"{name} could not be made; the lines above say why.")
        self.stdout.write(f"{name} is made in {target}.")
