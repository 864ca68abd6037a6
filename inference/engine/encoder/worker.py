"""python -m inference.engine.encoder.worker --fd N: makes vectors or scores of texts for the node at the other end."""

import argparse
import sys

from inference.engine.versions import versions
from memory.protocol import Channel, Message, serve


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True, help="the inherited, connected Unix socket")
    channel = Channel.inherited(parser.parse_args().fd)
    return serve(channel, "engine", "mlx-lm", versions(), _work)


def _work(channel: Channel, spec: Message) -> Message:
    from inference.engine.encoder import service  # noqa: PLC0415  MLX is imported after the hello, as in the other

    return service.run(channel, spec)


if __name__ == "__main__":
    sys.exit(main())
