from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from fmlx_site.errors import FmlxError
from inference.cache import clear_cache, read_cache, used_at, verify_cache
from memory import gib


class Command(BaseCommand):
    help = "Show, clear or verify the prefix cache on this machine's disk, whether a server runs or not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("do", nargs="?", default="show", choices=["show", "clear", "verify"])
        parser.add_argument("--model", help="What is cleared: a model's name or fingerprint (default: everything).")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            match options["do"]:
                case "show":
                    self._show()
                case "clear":
                    self.stdout.write(f"{gib(clear_cache(options['model']))} of the disk is free again.")
                case "verify":
                    self._verify()
        except FmlxError as error:
            raise CommandError(error.message) from None

    def _show(self) -> None:
        disk = read_cache()
        width = max((len(held.name) for held in disk.models), default=0)
        for held in disk.models:
            used = f"{used_at(held):%Y-%m-%d %H:%M} UTC"
            self.stdout.write(
                f"{held.name:{width}}  {held.model[:12]}  {held.entries} blocks, {gib(held.bytes)}, used {used}"
            )
        self.stdout.write(
            f"{disk.entries} blocks take {gib(disk.bytes)}; they may take {gib(disk.limit)} now. FMLX_CACHE_BYTES is "
            f"{gib(disk.setting)}, and the disk has {gib(disk.free)} free."
        )

    def _verify(self) -> None:
        found = verify_cache()
        if found.damaged:
            raise CommandError(
                f"{found.damaged} of {found.files} files were damaged. They were set aside and will be computed again."
            )
        self.stdout.write(f"All {found.files} files are as they were written.")
