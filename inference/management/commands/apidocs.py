from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from inference.api import api
from inference.api.parameters import written_into


class Command(BaseCommand):
    help = "Write the table of parameters in docs/api.md anew, from what the endpoints declare."

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.BASE_DIR / "docs" / "api.md"
        path.write_text(written_into(path.read_text()))
        self.stdout.write(f"The table of {api.title}'s parameters in {path} is as the endpoints declare.")
