from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inference.cli import Client, Json, add_arguments
from memory import gib


class Command(BaseCommand):
    help = "List, load and unload the models of a running server."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("do", nargs="?", default="list", choices=["list", "load", "unload", "rescan"])
        parser.add_argument("model", nargs="?")
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        client = Client(options["url"], options["key"])
        match options["do"], options["model"]:
            case "list", _:
                self._list(client.models())
            case "rescan", _:
                client.rescan()
                self.stdout.write("Every node looks at its model folders now.")
            case do, None:
                raise CommandError(f"Say which model to {do}.")
            case "load", name:
                loaded = client.load(name)
                self.stdout.write(f"{loaded['id']} is loaded; its lease is {gib(loaded['lease_bytes'])}.")
            case _, name:
                self.stdout.write(f"{client.unload(name)['id']} is not in memory.")

    def _list(self, models: list[Json]) -> None:
        if not models:
            self.stdout.write("No model was found. Put one into the model folder, or run 'manage.py makedemo'.")
        width = max((len(model["id"]) for model in models), default=0)
        for model in models:
            self.stdout.write(f"{model['id']:{width}}  {model['type']:5}  {_state(model)}")


def _state(model: Json) -> str:
    if model["loaded"]:
        state = f"loaded, lease {gib(model['lease_bytes'])}, {model['active_requests']} requests"
    elif model["loading"]:
        state = f"loading, {gib(model['loading']['done'])} of {gib(model['loading']['total'])}"
    else:
        state = model["problem"] or f"on disk, {gib(model['size_bytes'])}"
    return state + (", pinned" if model["pinned"] else "") + (", default" if model["default"] else "")
