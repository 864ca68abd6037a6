"""From nothing to a demo model's folder: the part that both training programs share."""

import argparse
from pathlib import Path

import mlx.core as mx

from demo_models import denoiser, vae_body, vae_encoder, vae_head
from demo_models.checkpoint import Folder
from demo_models.layouts import Layout
from demo_models.progress import say
from demo_models.prompt_pool import PromptPool


def program(layout: Layout, *, steps: dict[str, int], batch: int) -> int:
    """The command line of a training program. `steps` gives those of each expert, by component, of the decoder, and of
    the encoder and the first frame where the model is to start from a picture."""
    parser = argparse.ArgumentParser(description=f"Train {layout.name} from nothing.")
    parser.add_argument("folder", type=Path, help="where the checkpoint is written")
    parser.add_argument("--share", type=float, default=1.0, help="of the full number of steps, for a quick trial")
    options = parser.parse_args()
    mx.set_default_device(mx.cpu)  # other devices add in another order, and the bytes would differ
    shortened = {part: max(1, round(count * options.share)) for part, count in steps.items()}
    train(options.folder.absolute(), layout, shortened, batch)
    return 0


def train(root: Path, layout: Layout, steps: dict[str, int], batch: int) -> None:
    """Write the whole checkpoint into `root`."""
    folder = Folder(root, layout)
    pool = denoiser.LatentPool.draw(layout)
    prompts = PromptPool.encode(folder.checkpoint)
    say(f"{layout.name}: {len(pool.latents)} clips and {len(prompts.states)} prompts to learn from")
    _train_vae(folder, pool, steps)
    for expert in layout.experts:
        model = folder.module(expert.component)
        denoiser.train(model, expert, pool, prompts, steps=steps[expert.component], batch=batch)
        if "first frame" in steps:
            denoiser.teach_first_frame(model, expert, pool, prompts, steps=steps["first frame"], batch=batch)
        folder.save(expert.component, model)
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    say(f"{layout.name} is in {root}: {size / 1e6:.1f} MB")


def _train_vae(folder: Folder, pool: denoiser.LatentPool, steps: dict[str, int]) -> None:
    vae = folder.module("vae")
    weights = vae_body.weights(vae, folder.layout)
    vae.load_weights(list(weights.items()))
    weights |= vae_head.train(vae, folder.layout, steps["decoder"])
    vae_body.fold(weights, pool.mean, pool.std, vae.latents_mean, vae.latents_std)
    if "encoder" in steps:
        weights |= vae_encoder.train(vae, folder.layout, pool.mean, pool.std, steps["encoder"])
    vae.load_weights(list(weights.items()))
    folder.save("vae", vae)
