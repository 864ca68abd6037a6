"""python -m videos.runtimes.mlx_gen.worker --fd N: makes one video for the node at the other end of socket N."""

import argparse
import sys

from memory.protocol import Channel, Message, serve_one
from videos.runtimes.mlx_gen.versions import versions


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True, help="the inherited, connected Unix socket")
    channel = Channel.inherited(parser.parse_args().fd)
    return serve_one(channel, "generator", "mlx-gen", versions(), _work)


def _work(channel: Channel, spec: Message) -> Message:
    from videos.runtimes.mlx_gen import job  # noqa: PLC0415  MLX is imported after the hello: failing to is reported

    return job.run(channel, spec)


if __name__ == "__main__":
    sys.exit(main())
