"""manage.py makedemo: put the demo models into the house's own model folder. They need no download."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from demo_models import shipped


class Command(BaseCommand):
    help = "Put the demo models that come with fmlx into the model folder."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--removed-too", action="store_true", help="Bring back those that were removed by hand.")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = settings.FMLX.home / "models"
        folder.mkdir(parents=True, exist_ok=True)
        if options["removed_too"]:
            shipped.let_back(folder)
        away = shipped.kept_away(folder)
        if away:
            self.stdout.write(f"{', '.join(sorted(away))} was removed by hand; --removed-too brings it back.")
        for name in sorted(set(shipped.names()) - away):
            self._install(name, folder / name)

    def _install(self, name: str, folder: Path) -> None:
        try:
            new = shipped.install(name, folder)
        except FileExistsError as error:
            self.stdout.write(str(error))
        except shipped.Damaged as error:
            raise CommandError(str(error)) from error
        else:
            self.stdout.write(f"{name} is {'installed' if new else 'there already'} in {folder}.")
