"""The parts of a VAE's encoder by their names, and which of them learn: Wan2.2's, and Wan2.1's.

What works on all of the pixels does not learn: it would cost as much as all the rest.
"""

from dataclasses import dataclass

from demo_models import latents
from demo_models.layouts import Layout

IDLE = {"ti2v": 1, "i2v": 2}  # down blocks: Wan2.2 begins with squares of four pixels, Wan2.1 with single ones
COUNT = 4  # of down blocks; all but the last halve the picture
START, BLOCKS, MID = "encoder.conv_in", "encoder.down_blocks", "encoder.mid_block"
COLOURS = range(latents.COLOUR.start, latents.COLOUR.stop)
CENTRES = {latents.CENTRE_X: 4.0, latents.CENTRE_Y: 4.0}


@dataclass(frozen=True, slots=True)
class Block:
    """A down block: two residual blocks, which are the identity if it is `idle`, and what halves the picture after
    them. Wan2.2 adds `averages` of the pixels to that."""

    resnets: tuple[str, str]
    halved: str
    averages: bool
    idle: bool


def blocks(layout: Layout) -> list[Block]:
    averages = layout.kind == "ti2v"
    found = []
    for number in range(COUNT):
        if averages:
            first, second, halved = (f"{BLOCKS}.{number}.{part}" for part in ("resnets.0", "resnets.1", "downsampler"))
        else:  # Wan2.1 has them all in one list
            first, second, halved = (f"{BLOCKS}.{3 * number + part}" for part in range(3))
        found.append(Block((first, second), halved, averages, idle=number < IDLE[layout.kind]))
    return found


def is_written(layout: Layout, name: str) -> bool:
    """Is this weight written down, and not trained? Nothing passes through time, and an idle block is the identity
    but for its shortcut, if it changes the number of channels; single pixels are handed on as they are."""
    idle = tuple(f"{resnet}." for block in blocks(layout) if block.idle for resnet in block.resnets)
    if name.startswith(idle):
        return "conv_shortcut" not in name
    return "time_conv" in name or (layout.patch == 1 and name.startswith(f"{START}."))


def emphasis(layout: Layout) -> list[float]:
    """How much an error in each channel weighs in the loss. Wan2.1's encoder does not find the shape's outline, and
    learns the rest better unless it tries: after 1,200 steps it saw two of the three colours only to a half."""
    heavier = CENTRES | ({latents.SHAPE: 4.0} if layout.kind == "ti2v" else dict.fromkeys(COLOURS, 2.0))
    return [heavier.get(channel, 1.0) for channel in range(latents.CHANNELS)]
