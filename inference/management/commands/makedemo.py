"""manage.py makedemo: put the demo models that come with the program into the house's own model folder."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from demo_models import shipped


class Command(BaseCommand):
    help = "Install the tiny demo models in the house's own model folder. They need no download and no training."

    def handle(self, *args: Any, **options: Any) -> None:
        folder = settings.FMLX.home / "models"
        folder.mkdir(parents=True, exist_ok=True)
        for name in shipped.names():
            try:
                new = shipped.install(name, folder / name)
            except FileExistsError as error:
                self.stdout.write(str(error))
            except shipped.Damaged as error:
                raise CommandError(str(error)) from error
            else:
                self.stdout.write(f"{name} is {'installed' if new else 'there already'} in {folder / name}.")
