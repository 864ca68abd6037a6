import asyncio
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from fmlx_site.errors import FmlxError
from fmlx_site.serving import run_node


class Command(BaseCommand):
    help = "Run this machine's node alone, without the site."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asyncio.run(run_node())
        except FmlxError as error:
            raise CommandError(error.message) from error
