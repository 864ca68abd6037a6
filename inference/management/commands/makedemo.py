"""manage.py makedemo: put the demo models into the house's own model folder. They need no download."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from demo_models import shipped
from memory.environments import runtime_python


@dataclass(frozen=True, slots=True)
class Recipe:
    """A module of a runtime that makes a checkpoint of random weights in the folder it is given."""

    name: str
    runtime: str
    module: str
    kind: str


RECIPES = (
    Recipe("demo-chat", "mlx-lm", "inference.engine.demo", "chat"),
    Recipe("demo-hybrid", "mlx-lm", "inference.engine.demo", "hybrid"),
    Recipe("demo-swa", "mlx-lm", "inference.engine.demo", "swa"),
)
MARK = "fmlx-demo.json"


class Command(BaseCommand):
    help = "Put the demo models into the model folder: trained ones are copied, the others are made."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--removed-too", action="store_true", help="Bring back those that were removed by hand.")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = settings.FMLX.home / "models"
        folder.mkdir(parents=True, exist_ok=True)
        if options["removed_too"]:
            shipped.let_back(folder)
        trained = shipped.names()
        away = shipped.kept_away(folder)
        if away:
            self.stdout.write(f"{', '.join(sorted(away))} was removed by hand; --removed-too brings it back.")
        for name in sorted(set(trained) - away):
            self._install(name, folder / name)
        for recipe in RECIPES:
            if recipe.name not in {*trained, *away}:
                self._make(recipe, folder / recipe.name)

    def _install(self, name: str, folder: Path) -> None:
        try:
            new = shipped.install(name, folder)
        except FileExistsError as error:
            self.stdout.write(str(error))
        except shipped.Damaged as error:
            raise CommandError(str(error)) from error
        else:
            self.stdout.write(f"{name} is {'installed' if new else 'there already'} in {folder}.")

    def _make(self, recipe: Recipe, folder: Path) -> None:
        if (folder / MARK).is_file():
            self.stdout.write(f"{recipe.name} is there already.")
            return
        python = runtime_python(settings.FMLX.home, recipe.runtime)
        if not python.exists():
            raise CommandError(
                f"The {recipe.runtime} runtime is not built; run 'manage.py buildworker {recipe.runtime}' first."
            )
        command = [str(python), "-m", recipe.module, str(folder), "--kind", recipe.kind]
        if subprocess.run(command, cwd=settings.BASE_DIR, check=False).returncode:
            raise CommandError(f"{recipe.name} could not be built; the lines above say why.")
        self.stdout.write(f"{recipe.name} is built in {folder}.")
