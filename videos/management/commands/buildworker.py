"""manage.py buildworker RUNTIME: build the isolated environment that a runtime's workers run in."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from memory import environments


class Command(BaseCommand):
    help = "Build the isolated environment that a runtime's workers run in. Skipped when it is there already."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("runtime", choices=sorted(environments.PROBES))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            environments.build(settings.FMLX.home, options["runtime"], say=self._say)
        except environments.BuildError as error:
            raise CommandError(str(error)) from error

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
