"""mlx-gen's Wan pipeline, fed by our text encoder and watched step by step."""

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
from mflux.models.common.config.model_config import ModelConfig
from mflux.models.wan import Wan2_2_TI2V
from mflux.models.wan.model.wan_vae import Wan2_2_VAE
from mlx import nn
from mlx.utils import tree_flatten

from memory.protocol import WorkerFailed
from videos.runtimes.mlx_gen import architecture, limits, mlxgen, readahead, weights
from videos.runtimes.mlx_gen.checkpoint import Checkpoint
from videos.runtimes.mlx_gen.phases import Phases
from videos.runtimes.mlx_gen.prompts import PromptEncoder
from videos.runtimes.mlx_gen.spec import Spec


class Decoder(Wan2_2_VAE):  # type: ignore[misc]
    """The VAE, reporting every latent slice when its frames have been taken."""

    on_slice: Callable[[int, int], None]

    def iter_decode_normalized_latent_slices(self, latents: mx.array, **options: Any) -> Iterator[mx.array]:
        total = latents.shape[2]
        self.on_slice(0, total)
        for done, decoded in enumerate(super().iter_decode_normalized_latent_slices(latents, **options), start=1):
            yield decoded
            self.on_slice(done, total)


class Wan(Wan2_2_TI2V):  # type: ignore[misc]
    """A checkpoint made ready to generate one video. Weights are read when first used."""

    def __init__(self, checkpoint: Checkpoint, phases: Phases) -> None:
        """Raises WorkerFailed `model_invalid` for a checkpoint that cannot be loaded, and Aborted."""
        nn.Module.__init__(self)
        ModelConfig.precision = limits.precision()
        os.environ["MFLUX_NO_WEIGHT_PREFETCH"] = "1"  # ours can be interrupted
        phases.begin("loading", len(checkpoint.components))
        checkpoint.check()
        self._phases, self._checkpoint = phases, checkpoint
        self._steps, self.prompt_truncated = 0, False
        mlxgen.prepare(self, architecture.model_config(checkpoint), checkpoint.root)
        self._text = PromptEncoder(checkpoint, clean=mlxgen.clean_prompt)
        self._load()

    def generate(self, spec: Spec) -> Any:
        """Encode and denoise; returns mlx-gen's GeneratedVideo, whose frames are decoded when they are taken."""
        second = {} if spec.guidance_scale_2 is None else {"guidance_2": self._second_guidance(spec.guidance_scale_2)}
        self._steps = spec.steps
        return self.generate_video(
            seed=spec.seed,
            prompt=spec.prompt,
            negative_prompt=spec.negative_prompt,
            num_inference_steps=spec.steps,
            height=spec.height,
            width=spec.width,
            num_frames=spec.frames,
            fps=spec.fps,
            guidance=spec.guidance_scale,
            flow_shift=spec.flow_shift,
            progress_callback=self._on_progress,
            release_inactive_denoiser=spec.low_ram,
            release_denoisers_before_decode=True,  # one video per process: they are not needed again
            clear_cache_each_step=spec.low_ram,
            clear_cache_each_transformer_block=spec.low_ram,
            **second,
        )

    def encode_prompt(
        self,
        prompt: str,
        negative_prompt: str | None,
        do_classifier_free_guidance: bool,
        max_sequence_length: int = 512,
        clean_prompts: bool = True,
    ) -> tuple[mx.array, mx.array | None]:
        texts = [prompt, negative_prompt or ""] if do_classifier_free_guidance else [prompt]
        self._phases.begin("encoding", self._text.layers)
        state, self.prompt_truncated = self._text.encode(texts, max_sequence_length, self._phases.step)
        embeds = state.astype(ModelConfig.precision)
        mx.eval(embeds)
        del state
        _drop_freed()
        self._phases.begin("denoising", self._steps)
        return embeds[0:1], embeds[1:2] if do_classifier_free_guidance else None

    def _on_progress(self, event: Any) -> None:
        if event.phase == "denoise":
            self._phases.step(event.step)

    def _second_guidance(self, value: float) -> float:
        if not self._checkpoint.has_second_expert:
            raise WorkerFailed(
                "worker_error",
                f"guidance_scale_2 is for models with two experts; {self._checkpoint.root.name} has one. Leave it out.",
            )
        return value

    def _load(self) -> None:
        for done, component in enumerate(mlxgen.components(self.model_config), start=1):
            readahead.warm(self._checkpoint.weight_files(component.name), self._phases.checkpoint)
            try:
                setattr(self, component.name, self._component(component))
            except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
                where = self._checkpoint.root / component.name
                raise WorkerFailed("model_invalid", f"mlx-gen cannot load {where}: {error}") from error
            _drop_freed()
            self._phases.step(done)

    def _component(self, component: Any) -> nn.Module:
        module = mlxgen.module(component.name, self.model_config, Decoder)
        read = mlxgen.read_weights(self._checkpoint.root, component)
        blank = dict(tree_flatten(module.parameters()))
        mlxgen.apply_weights(read, module, component)
        applied, loaded = (
            dict(tree_flatten(found)) for found in (module.parameters(), read.components[component.name])
        )
        weights.require_complete(self._checkpoint.root / component.name, blank, applied, loaded)
        if component.name == "vae":
            module.on_slice = self._on_slice
        return module

    def _on_slice(self, done: int, total: int) -> None:
        if done == 0:
            self._phases.begin("decoding", total)
        else:
            self._phases.step(done)


def _drop_freed() -> None:
    gc.collect()
    mx.synchronize()
    mx.clear_cache()
