"""python -m videos.runtimes.mlx_gen.worker --fd N: makes videos, or makes them larger, for the node at socket N."""

import argparse
import sys
from typing import Any

from memory.protocol import Channel, Message, serve
from videos.runtimes.mlx_gen.versions import versions


class Generator:
    """MLX is imported with the first job, after the hello: failing to is reported."""

    def __init__(self) -> None:
        self._workshop: Any = None

    def work(self, channel: Channel, spec: Message) -> Message:
        if spec.get("step") == "upscale":
            from videos.runtimes.mlx_gen.upscale.job import run  # noqa: PLC0415

            larger: Message = run(channel, spec)
            return larger
        from videos.runtimes.mlx_gen.job import Workshop  # noqa: PLC0415

        self._workshop = self._workshop or Workshop()
        made: Message = self._workshop.run(channel, spec)
        return made


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True, help="the inherited, connected Unix socket")
    channel = Channel.inherited(parser.parse_args().fd)
    return serve(channel, "generator", "mlx-gen", versions(), Generator().work)


if __name__ == "__main__":
    sys.exit(main())
