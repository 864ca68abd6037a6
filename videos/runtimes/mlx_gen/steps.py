"""The steps of a job, from what is kept of it already to the frames: encode, condition (if it starts from pictures),
denoise, decode.

Each step's output is on the shelf under its key, so a step that was done, for this job or for another, is not done
again. Mux, the last, makes the files and is in `files.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import numpy as np
from mflux.models.common.config.model_config import ModelConfig
from PIL.Image import Image

from memory.protocol import Aborted, WorkerFailed
from videos.runtimes.mlx_gen import arrays, conditions, denoise, keys, mlxgen
from videos.runtimes.mlx_gen.artifacts import Found, Kept, Shelf
from videos.runtimes.mlx_gen.checkpoint import Checkpoint
from videos.runtimes.mlx_gen.checkpoints import Checkpoints
from videos.runtimes.mlx_gen.colours import Colours, Watcher
from videos.runtimes.mlx_gen.components import Components, drop_freed
from videos.runtimes.mlx_gen.lookout import Lookout
from videos.runtimes.mlx_gen.phases import Phases
from videos.runtimes.mlx_gen.prompts import PromptEncoder
from videos.runtimes.mlx_gen.recipe import PROMPT_TOKENS, Recipe
from videos.runtimes.mlx_gen.spec import Spec

KINDS = {"encode": "embeds", "condition": "condition", "denoise": "latents", "decode": "frames"}


@dataclass
class Steps:
    """One job's. `made` says of each step that was asked for what it gave, and whether that was there before."""

    spec: Spec
    recipe: Recipe
    checkpoint: Checkpoint
    components: Components
    shelf: Shelf
    phases: Phases
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    account: dict[str, float] = field(default_factory=dict)
    warm_components: int = 0

    def __post_init__(self) -> None:
        prints, precision = self.components.fingerprints, str(ModelConfig.precision)
        tokens = {"limit": PROMPT_TOKENS, "tokenizer": keys.digest(self.checkpoint.tokenizer)}
        encode = keys.key(
            "encode", texts=self.recipe.texts, encoder=prints["text_encoder"], precision=precision, **tokens
        )
        experts = {name: self.components.latents_depend_on(name) for name in self.checkpoint.denoisers}
        given = {}
        if self.recipe.way:
            settings = self.recipe.conditioning
            given["condition"] = keys.key("condition", settings=settings, vae=prints["vae"], precision=precision)
        settings = self.recipe.denoising
        latents = keys.key("denoise", embeds=encode, settings=settings, experts=experts, precision=precision, **given)
        frames = keys.key("decode", latents=latents, vae=prints["vae"], frames=self.recipe.frames, precision=precision)
        self.keys = {"encode": encode, **given, "denoise": latents, "decode": frames}
        self.names = {step: f"{KINDS[step]}-{key}" for step, key in self.keys.items()}
        self._checkpoints = Checkpoints(
            self.shelf, latents, every_steps=self.spec.checkpoint_steps, every_seconds=self.spec.checkpoint_seconds
        )
        self._colours = Colours(self.spec.previews_dir, prints["vae"]) if self.spec.previews_dir else None
        self.lookout = Lookout(self._colours, self.spec.output_dir, self.recipe.fps, self._tell_of_preview)
        self._state: denoise.State | None = None
        self.phases.tell("planned", keys=self.keys)

    def _tell_of_preview(self, number: int) -> None:
        self.phases.mention("preview", number=number)

    def run(self, step: str) -> Found:
        """What `step` gives: found on the shelf, or made from what the step before gives.

        Raises:
            WorkerFailed: `model_invalid`, `output_invalid`, or `artifact_missing` for a worker of one step alone.
            Aborted: the node asked for the end. What was computed of the denoising is written down.
        """
        if found := self._there(step):
            return found
        given = [self.given(before) for before in self._before(step)]
        if not self.phases.begun:
            self._load(step)
        kept = getattr(self, f"_{step}")(*given)
        self._tell(step, kept, reused=False)
        return self._require(step)

    def _before(self, step: str) -> list[str]:
        befores = {"denoise": ["encode", "condition"], "decode": ["denoise"]}.get(step, [])
        return [name for name in befores if name in self.keys]

    def source(self, kind: str, key: str) -> Found | None:
        """Pixels that the clip is made from. They were put on the shelf when the job was accepted."""
        if not key:
            return None
        if found := self.shelf.read(f"{kind}-{key}"):
            return found
        raise WorkerFailed("input_missing", f"The {kind} that the video was to start from is not there any more.")

    def given(self, step: str) -> Found:
        if not self.spec.step:
            return self.run(step)
        if found := self._there(step):
            return found
        raise WorkerFailed("artifact_missing", f"What the step {step} gave is not there any more; it is made again.")

    def _there(self, step: str) -> Found | None:
        found = self.shelf.read(self.names[step])
        if found:
            self._tell(step, found.kept, reused=True)
        return found

    def _require(self, step: str) -> Found:
        found = self.shelf.read(self.names[step])
        if not found:
            raise WorkerFailed("artifact_missing", f"What the step {step} gave was taken away as it was made.")
        return found

    def _tell(self, step: str, kept: Kept, *, reused: bool) -> None:
        self.made[step] = {"key": self.keys[step], "bytes": kept.bytes, "sha256": kept.sha256, "reused": reused}
        self.phases.tell("made", made=step, **self.made[step])

    def _load(self, first: str) -> None:
        """Prepare the modules of this step and those that follow in this process."""
        rest: Sequence[str] = list(self.keys) if not self.spec.step else (first,)
        rest = rest[rest.index(first) :]
        names = []
        if "denoise" in rest:
            self._state = self._checkpoints.newest(self.recipe)
            names += denoise.experts(self.recipe, self._state.step if self._state else 0)
        self.warm_components = self.components.load(names + (["vae"] if {"condition", "decode"} & set(rest) else []))

    def _encode(self) -> Kept:
        encoder = PromptEncoder(self.checkpoint, clean=mlxgen.clean_prompt)
        self.components.make_room()
        self.phases.begin("encoding", encoder.layers)
        state, truncated = encoder.encode(self.recipe.texts, PROMPT_TOKENS, self.phases.step)
        embeds = state.astype(ModelConfig.precision)
        del state
        denoise.require_finite(embeds, "prompt-encoding", "prompt_embeds")
        tensors = arrays.to_bytes({"embeds": embeds})
        drop_freed()
        return arrays.write(self.shelf, self.names["encode"], tensors, {"prompt_truncated": truncated})

    def _condition(self) -> Kept:
        recipe = self.recipe
        sources = conditions.Sources(
            self.source("picture", recipe.picture),
            self.source("picture", recipe.last_picture),
            self.source("clip", recipe.clip),
        )
        self.phases.begin("conditioning", 1)
        found = conditions.encode(recipe, self.components.use("vae"), sources, frugal=self.spec.low_ram)
        denoise.require_finite(found, "image-conditioning", "condition")
        tensors = arrays.to_bytes({"condition": found})
        del found
        drop_freed()
        self.phases.step(1)
        return arrays.write(self.shelf, self.names["condition"], tensors, {})

    def _denoise(self, given: Found, start: Found | None = None) -> Kept:
        embeds = arrays.of(given)["embeds"]
        condition = conditions.Condition(self.recipe.way, arrays.of(start)["condition"]) if start else None
        pair = (embeds[0:1], embeds[1:2] if self.recipe.negative_prompt is not None else None)
        state, kept_up = self._state, self._checkpoints
        total = self.recipe.steps_left
        self.phases.begin("denoising", total)
        if state:
            self.phases.tell("resumed", at=state.step, of=total)
        state = state or denoise.begin(self.recipe, condition)
        stepping = denoise.steps(self.recipe, state, pair, condition, self.components, frugal=self.spec.low_ram)
        try:
            for reached in stepping:
                if reached.step < total:
                    kept_up.offer(reached)
                    self.lookout.offer(reached.outlook)
                self.phases.step(reached.step)
        except Aborted:
            kept_up.last(state)
            raise
        finally:
            kept_up.close()
        latents = condition.last(self.recipe, state.latents) if condition else state.latents
        denoise.require_finite(latents, "pre-decode", "latents")
        tensors = arrays.to_bytes({"latents": latents})
        self.account = kept_up.account()
        kept = arrays.write(self.shelf, self.names["denoise"], tensors, given.facts)
        kept_up.forget()
        return kept

    def _decode(self, given: Found) -> Kept:
        decoder = self.components.use("vae")
        latents = arrays.of(given)["latents"].astype(ModelConfig.precision)
        mx.eval(latents)
        drop_freed()
        recipe = self.recipe
        layout = {"frames": ("U8", (recipe.frames, recipe.height, recipe.width, 3))}
        with self.shelf.draft(self.names["decode"], layout, given.facts) as draft:
            for frame in self._learning(latents, self._frames(decoder, latents)):
                draft.add(frame.tobytes())
            return draft.commit(durable=False)  # needed until the file is made

    def _frames(self, decoder: Any, latents: mx.array) -> Iterator[Image]:
        slices = decoder.iter_decode_normalized_latent_slices(latents, clear_cache_each_slice=self.spec.low_ram)
        for batch in mlxgen.frame_batches(slices, self.recipe.frames):
            yield from batch

    def _learning(self, latents: mx.array, frames: Iterator[Image]) -> Iterator[Image]:
        """The same frames. The first few clips of a VAE are how it is known what its latents look like."""
        if not (self._colours and self._colours.wanting):
            yield from frames
            return
        watcher = Watcher(*latents.shape[2:])
        yield from watcher.watch(frames)
        self._colours.learn(np.array(latents[0].astype(mx.float32)), watcher.seen())
