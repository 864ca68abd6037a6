import subprocess
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from memory.environments import runtime_python

MODULES = {"demo-video": "videos.runtimes.mlx_gen.demo"}


class Command(BaseCommand):
    help = "Build the tiny demo models in the house's own model folder. They need no download."

    def handle(self, *args: Any, **options: Any) -> None:
        folder = settings.FMLX.home / "models"
        folder.mkdir(parents=True, exist_ok=True)
        python = runtime_python(settings.FMLX.home, "mlx-gen")
        if not python.exists():
            raise CommandError("The worker environment is not built; run 'manage.py buildworker mlx-gen' first.")
        for name, module in MODULES.items():
            if (folder / name / "model_index.json").is_file():
                self.stdout.write(f"{name} is there already.")
                continue
            command = [str(python), "-m", module, str(folder / name)]
            built = subprocess.run(command, cwd=settings.BASE_DIR, check=False)
            if built.returncode:
                raise CommandError(f"{name} could not be built; the lines above say why.")
            self.stdout.write(f"{name} is built in {folder / name}.")
