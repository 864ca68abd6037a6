"""From nothing to a demo model's folder: the part that the video models' training programs share."""

from pathlib import Path

import mlx.core as mx
from mlx import nn

from demo_models import denoiser, picture_lesson, vae_body, vae_encoder, vae_head
from demo_models.checkpoint import Folder
from demo_models.command import Command
from demo_models.elder import Elder
from demo_models.layouts import Layout
from demo_models.progress import say
from demo_models.prompt_pool import PromptPool


def program(layout: Layout, *, steps: dict[str, int], batch: int) -> int:
    """The command line of a training program. `steps` gives those of each expert, by component, of the decoder, and of
    the encoder and the first frame where the model is to start from a picture."""
    command = Command.read(layout.name, layout.elder or "nothing")
    train(command.folder, layout, {part: command.steps(count) for part, count in steps.items()}, batch)
    return command.end()


def train(root: Path, layout: Layout, steps: dict[str, int], batch: int) -> None:
    """Write the whole checkpoint into `root`."""
    folder = Folder(root, layout)
    pool = denoiser.LatentPool.draw(layout)
    prompts = PromptPool.encode(folder.checkpoint)
    say(f"{layout.name}: {len(pool.latents)} clips and {len(prompts.states)} prompts to learn from")
    elder = Elder(layout.elder) if layout.elder else None
    encoder = _train_vae(folder, pool, steps, elder)
    given = picture_lesson.Given.of(layout, encoder, pool) if elder else None
    for expert in layout.experts:
        model, count = folder.module(expert.component), steps[expert.component]
        if elder and given:
            start = picture_lesson.widened(elder.weights(expert.component), given, expert.seed)
            model.load_weights(list(start.items()))
            picture_lesson.teach(model, expert, pool, prompts, given, steps=count, batch=batch)
        else:
            denoiser.train(model, expert, pool, prompts, steps=count, batch=batch)
        if "first frame" in steps:
            denoiser.teach_first_frame(model, expert, pool, prompts, steps=steps["first frame"], batch=batch)
        folder.save(expert.component, model)


def _train_vae(
    folder: Folder, pool: denoiser.LatentPool, steps: dict[str, int], elder: Elder | None
) -> vae_encoder.Params:
    """Returns what the encoder learned, if there is one."""
    vae, encoder = folder.module("vae"), vae_encoder.Params()
    weights = elder.decoder() if elder else _decoder(vae, folder.layout, pool, steps["decoder"])
    if "encoder" in steps:
        encoder = vae_encoder.train(vae, folder.layout, pool.mean, pool.std, steps["encoder"])
        weights |= vae_encoder.stored(vae, encoder)
    vae.load_weights(list(weights.items()))
    folder.save("vae", vae)
    return encoder


def _decoder(vae: nn.Module, layout: Layout, pool: denoiser.LatentPool, steps: int) -> dict[str, mx.array]:
    weights = vae_body.weights(vae, layout)
    vae.load_weights(list(weights.items()))
    weights |= vae_head.train(vae, layout, steps)
    vae_body.fold(weights, pool.mean, pool.std, vae.latents_mean, vae.latents_std)
    return weights
