from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from fmlx_site.credentials import first_start


class Command(BaseCommand):
    help = "Make the operator 'admin' and one API key, if this is the first start."

    def handle(self, *args: Any, **options: Any) -> None:
        made = first_start(settings.FMLX)
        if made is None:
            return
        self.stdout.write(f"Operator: {made.username}   password: {made.password}")
        self.stdout.write(f"API key:  {made.api_key}")
        self.stdout.write(f"They are shown once, and kept in {settings.FMLX.home / 'credentials.json'}.")
