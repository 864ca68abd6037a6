"""Models that make a finished video larger: which this server has, and how much memory one needs for a clip."""

from fmlx_site.environment import GIB
from fmlx_site.errors import InvalidRequest
from inference.catalog import find_model, read_catalog, served_models
from inference.errors import ModelNotFound
from inference.models import ModelFolder
from memory.options import VIDEO_MARGIN
from videos.models import UPSCALE_FACTOR

BEST = "auto"
TYPE = ModelFolder.Type.UPSCALE
# Pixels of what is made, and frames: mlx-gen 0.38.0's own (TilingConfig, SeedVR2.restore_video_to_path).
TILE, OVERLAP = 512, 64
CHUNK, CONTEXT = 49, 16
PATCH = 16  # pixels each way, of what the denoiser reads as one
WINDOW_FRAMES = 16  # its attention sees a quarter of at most 120 frames, and text (WindowPartitioner)
LATENT = 8  # pixels each way
CANVAS_BYTES = 24  # of a pixel of each frame of a chunk: its colours in float32, as they come and as they are blended

# On a GPU: mlx-gen 0.38.0's own estimate (SeedVR2Util.estimate_video_restore_working_set_bytes) and the slack it leaves
# beside it; not measured by this project.
GPU_SLACK = 6_000_000_000
TEXT_SHARE = {"seedvr2-3b": 2.0, "seedvr2-7b": 2.75}  # its attention_multiplier
# On a CPU: for each pixel of a tile and channel of the VAE, whose convolutions are laid out as matrices there. Tiles of
# 64x64 and 5 frames, 128x128 and 256x256 and 17 frames took 1547, 2539 and 2524 bytes (MLX's peak; the demo's VAE, 32
# channels); x86_64 Linux, 2 cores, OpenBLAS, MLX 0.32.4, mlx-gen 0.38.0, 2026-12-01.
CPU_PIXEL_BYTES = 2600
CPU_BASE = 700_000_000  # as of the videos themselves (videos/predictor.py)
MARGIN = GIB


async def named(asked: str | None) -> str:
    """The name of the one that is meant, `auto` being the best; empty for none.

    Raises:
        ModelNotFound, or InvalidRequest for a model that does something else.
    """
    if not asked:
        return ""
    able = served_models().filter(type=TYPE, name__in=list((await read_catalog()).models)).order_by("-rank", "name")
    names = [name async for name in able.values_list("name", flat=True)]
    if asked == BEST and names:
        return str(names[0])
    if asked == BEST:
        raise InvalidRequest("No model on this server makes videos larger.", param="upscale")
    try:
        found = await find_model(asked)
    except ModelNotFound as error:
        error.param = "upscale"
        raise
    if found.type != TYPE:
        others = ", ".join(names) or "none on this server"
        raise InvalidRequest(f"{found.name} does not make videos larger. Models that do: {others}.", param="upscale")
    return str(found.name)


def on_node(name: str, node_id: int) -> ModelFolder | None:
    """Synchronous."""
    return ModelFolder.objects.select_related("node").filter(node=node_id, name=name, type=TYPE).first()


def predict(folder: ModelFolder, width: int, height: int, frames: int) -> int:
    """Bytes to promise a worker that makes a clip of this shape larger. Synchronous."""
    wide, high, long = UPSCALE_FACTOR * width, UPSCALE_FACTOR * height, min(frames, CHUNK)
    tile = min(wide, TILE), min(high, TILE)
    canvas = CANVAS_BYTES * wide * high * long
    working = _on_cpu(folder, *tile, long) if folder.node.backend == "cpu" else _on_gpu(folder, *tile, long)
    return int((working + canvas + MARGIN) * (1 + VIDEO_MARGIN.value))


def _on_gpu(folder: ModelFolder, width: int, height: int, frames: int) -> int:
    tokens = frames * (width // PATCH) * (height // PATCH)
    attention = tokens * 3 * folder.sizes["inner_dim"] * 2 * TEXT_SHARE[folder.pipeline]
    pixels = frames * width * height * 3 * (4 + 2)
    latents = frames * (width // LATENT) * (height // LATENT) * 16 * 2 * 4
    return folder.resident_bytes + int(attention) + pixels + latents + GPU_SLACK


def _on_cpu(folder: ModelFolder, width: int, height: int, frames: int) -> int:
    """Weights of 2 bytes are computed with in 4, and attention holds all scores of a window."""
    window = (width // PATCH) * (height // PATCH) * (frames // WINDOW_FRAMES + 2)
    scores: int = 4 * folder.sizes["heads"] * window**2
    vae: int = CPU_PIXEL_BYTES * width * height * folder.sizes["vae_width"]
    return CPU_BASE + 2 * folder.resident_bytes + max(vae, scores)
