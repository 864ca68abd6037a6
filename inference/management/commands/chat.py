import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from inference.cli import Client, add_arguments


class Command(BaseCommand):
    help = "Talk to a model of a running server. An empty line or Ctrl-D ends it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", nargs="?", help="The model (default: the server's own).")
        parser.add_argument("--system", default="", help="What the model is told before you begin.")
        parser.add_argument("--max-tokens", type=int)
        parser.add_argument("--temperature", type=float)
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        client = Client(options["url"], options["key"])
        names = ("model", "max_tokens", "temperature")
        request = {name: options[name] for name in names if options[name] is not None}
        said = [{"role": "system", "content": options["system"]}] if options["system"] else []
        while line := self._line():
            said.append({"role": "user", "content": line})
            said.append({"role": "assistant", "content": self._answer(client, messages=said, **request)})

    def _line(self) -> str:
        if sys.stdin.isatty():
            self.stdout.write("> ", ending="")
            self.stdout.flush()
        return sys.stdin.readline().strip()

    def _answer(self, client: Client, **request: Any) -> str:
        parts = []
        for chunk in client.chat(**request):
            for choice in chunk["choices"]:
                parts.append(choice["delta"].get("content") or "")
                self.stdout.write(parts[-1], ending="")
                self.stdout.flush()
        self.stdout.write("")
        return "".join(parts)
