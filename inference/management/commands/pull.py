import time
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from fmlx_site.audit import Origin
from fmlx_site.errors import FmlxError
from inference.downloads import changes
from inference.downloads.models import Download
from inference.downloads.names import understand
from memory import gib
from memory.models import Node

LOOK_SECONDS = 0.5
SILENT = timedelta(seconds=10)  # a node that runs is heard of every second


class Command(BaseCommand):
    help = "Download a model. The running server's node does it; this asks for it, and shows how far it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("repository", help="Its id at the hub, OWNER/NAME, or the address of its page.")
        parser.add_argument("--revision", default="", help="A branch, a tag or a commit (default: main).")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            row = changes.ask(understand(options["repository"], options["revision"]), Origin())
            self._follow(row)
        except FmlxError as error:
            raise CommandError(error.message) from None
        except KeyboardInterrupt:
            self.stdout.write("\nThe download goes on; the Models page shows it, and can cancel it.")

    def _follow(self, row: Download) -> None:
        """Until it has ended, or there is nobody to begin it."""
        while row.active:
            if not Node.objects.filter(heartbeat_at__gt=timezone.now() - SILENT).exists():
                self.stdout.write(
                    "It is in line. No node runs; it begins with the next start of the server (make run)."
                )
                return
            self._show(row)
            time.sleep(LOOK_SECONDS)
            row = self._read(row)
        if row.state != Download.State.COMPLETED:
            raise CommandError(row.error_message or "The download was cancelled.")
        self.stdout.write(f"{row.repository} is downloaded, {gib(row.bytes_total)}.")

    def _show(self, row: Download) -> None:
        if row.bytes_total:
            pace = f", {row.bytes_per_second / 1e6:.1f} MB/s" if row.bytes_per_second else ""
            self.stdout.write(f"{gib(row.bytes_done)} of {gib(row.bytes_total)}{pace}   ", ending="\r")
            self.stdout.flush()

    def _read(self, row: Download) -> Download:
        if found := Download.objects.filter(pk=row.pk).first():
            return found
        raise CommandError("The download was removed.")
