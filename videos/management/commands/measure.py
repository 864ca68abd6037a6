import asyncio
import re
import sys
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from fmlx_site.errors import FmlxError
from inference.discovery import scan
from inference.models import ModelFolder
from inference.shelf import store as store_models
from memory import LocalNode
from memory.environments import runtime_python
from videos import measuring
from videos.calibration import Reading, fit, table
from videos.generation import RUNTIME
from videos.measuring import Measurement, describe_machine, matrix
from videos.predictor import built_in

INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Measure what clips of a video model take on this machine, each in a worker of its own, and keep the constants"
        " that predict it. Not while a server runs here: its work would be in the readings."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", nargs="?", help="a video model's name; the only one there is, if it is left out")
        parser.add_argument("--sizes", type=_sizes, default=[], help="WIDTHxHEIGHT, separated by commas")
        parser.add_argument("--frames", type=_numbers, default=[], help="lengths in frames, separated by commas")
        parser.add_argument("--steps", type=int, default=measuring.STEPS, help="denoising steps of each clip")
        parser.add_argument("--dry-run", action="store_true", help="show the fit and keep nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asyncio.run(self._measure(options))
        except FmlxError as refusal:
            raise CommandError(refusal.message) from None
        except KeyboardInterrupt:
            self.stderr.write("\nInterrupted: nothing was kept.")
            sys.exit(INTERRUPTED)

    async def _measure(self, options: dict[str, Any]) -> None:
        if not runtime_python(settings.FMLX.home, RUNTIME).exists():
            raise CommandError(f"The {RUNTIME} runtime is not built here; run 'manage.py buildworker {RUNTIME}'.")
        async with LocalNode.open(settings.FMLX.node_name) as node:
            folder = await sync_to_async(_folder)(node.row.pk, options["model"])
            shapes = matrix(folder, options["sizes"], options["frames"])
            self.stdout.write(f"{folder.name} on {describe_machine(node)}: {len(shapes)} profiles.")
            measurement = Measurement(node, folder, self._say, options["steps"])
            readings = [reading async for reading in measurement.run(shapes)]
            await sync_to_async(self._conclude)(measurement, readings, keep=not options["dry_run"])

    def _conclude(self, measurement: Measurement, readings: list[Reading], *, keep: bool) -> None:
        fitted = fit(readings, built_in(measurement.folder))
        constants = fitted.constants
        self.stdout.write("\n".join(["", *table(readings, fitted), ""]))
        self.stdout.write(
            f"base {constants.base:,} bytes, {constants.per_token:,} bytes a token, margin {constants.margin:,} bytes."
        )
        if keep:
            kept = measuring.store(measurement, readings, fitted)
            self.stdout.write(f"Kept for {kept.model}; jobs are promised memory by it from now on.")

    def _say(self, text: str) -> None:
        self.stdout.write(text, ending="")
        self.stdout.flush()


def _folder(node_id: int, name: str | None) -> ModelFolder:
    store_models(node_id, scan(settings.FMLX.models))
    found = ModelFolder.objects.filter(node=node_id, type=ModelFolder.Type.VIDEO).select_related("node")
    named = list(found.filter(name=name) if name else found)
    if len(named) == 1:
        return named[0]
    there = ", ".join(found.order_by("name").values_list("name", flat=True)) or "none"
    raise CommandError(f"Say which video model to measure. There is: {there}.")


def _sizes(text: str) -> list[str]:
    sizes = text.split(",")
    if wrong := [size for size in sizes if not re.fullmatch(r"\d+x\d+", size)]:
        raise CommandError(f"{wrong[0]!r} is no size: give WIDTHxHEIGHT, as in 832x480.")
    return sizes


def _numbers(text: str) -> list[int]:
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise CommandError(f"{text!r} is no list of frames: give whole numbers, as in 17,81.")
    return [int(part) for part in text.split(",")]
