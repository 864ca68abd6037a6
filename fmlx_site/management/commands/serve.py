import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from fmlx_site.errors import FmlxError
from fmlx_site.serving import serve


class Command(BaseCommand):
    help = "Serve the site and run this machine's node, in one process."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.FMLX.host)
        parser.add_argument("--port", type=int, default=settings.FMLX.port)
        parser.add_argument("--site-only", action="store_true", help="No node: 'runworkers' runs it elsewhere.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asyncio.run(serve(options["host"], options["port"], with_node=not options["site_only"]))
        except FmlxError as error:
            raise CommandError(error.message) from error
