"""The denoise loop, one step after another, on mlx-gen's transformers and solvers.

`Wan2_2_TI2V.generate_video` of mlx-gen 0.38.0 in the order of its operations, so that the latents are the same to the
bit, but with a state between steps that can be written down and taken up again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mflux.models.common.config.model_config import ModelConfig
from mflux.models.wan.latent_creator import WanTimestepPolicy
from mflux.models.wan.scheduler import WanEulerScheduler, WanUniPCMultistepScheduler
from mflux.utils.tensor_health import TensorHealth

from videos.runtimes.mlx_gen.components import Components, drop_freed
from videos.runtimes.mlx_gen.conditions import Condition
from videos.runtimes.mlx_gen.recipe import Recipe

FIRST, SECOND = "transformer", "transformer_2"


@dataclass(slots=True)
class State:
    """Between two steps: `step` are done. `latents` is float32 [B, C, T, H, W]."""

    step: int
    latents: mx.array
    solver: Any

    def arrays(self) -> dict[str, mx.array]:
        """Everything that the next step reads, with the random generator's own state."""
        found = {"latents": self.latents, "random": mx.random.state[0]}
        if isinstance(self.solver, WanUniPCMultistepScheduler):
            past = {f"output_{place}": output for place, output in enumerate(self.solver.model_outputs)}
            found |= {"last_sample": self.solver.last_sample, **past}
        return {name: array for name, array in found.items() if array is not None}

    @property
    def outlook(self) -> mx.array:
        """What the latents will be by the last prediction, where the solver keeps that; else what they are."""
        expected = self.solver.model_outputs[-1] if isinstance(self.solver, WanUniPCMultistepScheduler) else None
        return self.latents if expected is None else expected

    def facts(self) -> dict[str, Any]:
        names = ("timestep_list", "lower_order_nums", "this_order", "step_index")
        solver = {name: getattr(self.solver, name) for name in names if hasattr(self.solver, name)}
        return {"step": self.step, "solver": solver}


def begin(recipe: Recipe, condition: Condition | None) -> State:
    """Noise from the seed; over the latents of an earlier clip where that is what is made anew."""
    noise, solver = _noise(recipe), _solver(recipe)
    if recipe.way == "edit" and condition:
        timestep = mx.full((recipe.latents[0],), solver.timesteps.tolist()[recipe.skipped], dtype=mx.float32)
        noise = solver.scale_noise(condition.latents, timestep, noise).astype(mx.float32)
        mx.eval(noise)
    return State(0, noise, solver)


def _noise(recipe: Recipe) -> mx.array:
    mx.random.seed(recipe.seed)
    return mx.random.normal(recipe.latents, dtype=mx.float32)


def take_up(recipe: Recipe, arrays: dict[str, mx.array], facts: dict[str, Any]) -> State:
    """The state that was written down with `State.arrays` and `State.facts`."""
    solver = _solver(recipe)
    for name, value in facts["solver"].items():
        setattr(solver, name, value)
    if isinstance(solver, WanUniPCMultistepScheduler):
        solver.last_sample = arrays.get("last_sample")
        solver.model_outputs = [arrays.get(f"output_{place}") for place in range(solver.solver_order)]
    high, low = arrays["random"].tolist()
    mx.random.seed(high << 32 | low)  # MLX's state is its seed's two words
    return State(int(facts["step"]), arrays["latents"], solver)


def _solver(recipe: Recipe) -> Any:
    if recipe.solver == "euler":
        solver = WanEulerScheduler(flow_shift=recipe.flow_shift)
    else:
        schedule = {"flow_sigma_schedule": recipe.sigma_schedule} if recipe.sigma_schedule else {}
        solver = WanUniPCMultistepScheduler(flow_shift=recipe.flow_shift, **schedule)
    solver.set_timesteps(recipe.steps)
    if recipe.skipped:
        solver.set_begin_index(recipe.skipped)
    return solver


def experts(recipe: Recipe, done: int) -> list[str]:
    """The transformers that the steps after the first `done` need, in the order of their use."""
    timesteps = _solver(recipe).timesteps.tolist()[recipe.skipped + done :]
    return list(dict.fromkeys(_expert(recipe, timestep) for timestep in timesteps))


def _expert(recipe: Recipe, timestep: float) -> str:
    return FIRST if recipe.boundary is None or timestep >= recipe.boundary else SECOND


def steps(
    recipe: Recipe,
    state: State,
    embeds: tuple[mx.array, mx.array | None],
    condition: Condition | None,
    components: Components,
    *,
    frugal: bool,
) -> Iterator[State]:
    """Yields the state after each step that is left. `frugal`: give MLX's freed buffers back between blocks."""
    timesteps = state.solver.timesteps.tolist()
    held = _noise_again(recipe) if condition and condition.way == "held" else None
    for timestep in timesteps[recipe.skipped + state.step :]:
        expert = _expert(recipe, timestep)
        transformer = components.use(expert)
        guidance = recipe.guidance if expert == FIRST or recipe.guidance_2 is None else recipe.guidance_2
        shown = condition.seen(recipe, state.latents) if condition else state.latents
        times = condition.timesteps(recipe, timestep, transformer.patch_size) if condition else None
        times = _timestep(recipe, timestep, transformer) if times is None else times
        noise = _predict(shown, times, embeds, transformer, guidance=guidance, frugal=frugal)
        state.latents = state.solver.step(noise.astype(mx.float32), timestep, state.latents, return_dict=False)[0]
        if condition and held is not None:
            state.latents = condition.after(recipe, state.solver, state.latents, held)
        del transformer, noise
        mx.eval(state.latents)
        state.step += 1
        yield state
        if frugal:
            drop_freed()


def _noise_again(recipe: Recipe) -> mx.array:
    """What it began with, without a trace in the random generator."""
    high, low = mx.random.state[0].tolist()
    noise = _noise(recipe)
    mx.eval(noise)
    mx.random.seed(high << 32 | low)
    return noise


def _predict(
    latents: mx.array,
    timesteps: mx.array,
    embeds: tuple[mx.array, mx.array | None],
    transformer: Any,
    *,
    guidance: float,
    frugal: bool,
) -> mx.array:
    """The noise as the model sees it: with guidance, what the prompt adds to the negative prompt, amplified."""
    fields = {
        "hidden_states": latents.astype(ModelConfig.precision),
        "timestep": timesteps,
        "clear_cache_each_block": frugal,
    }
    positive, negative = embeds
    noise = _settled(transformer(encoder_hidden_states=positive, **fields), frugal=frugal)
    if negative is None:
        return noise
    without = _settled(transformer(encoder_hidden_states=negative, **fields), frugal=frugal)
    return _settled(without + guidance * (noise - without), frugal=frugal)


def _settled(prediction: mx.array, *, frugal: bool) -> mx.array:
    if frugal:
        mx.eval(prediction)
        mx.synchronize()
        mx.clear_cache()
    return prediction


def _timestep(recipe: Recipe, timestep: float, transformer: Any) -> mx.array:
    if recipe.expanded_timesteps:
        return WanTimestepPolicy.expand_for_text_to_video(
            latent_shape=recipe.latents, timestep=timestep, patch_size=transformer.patch_size
        )
    return mx.full((recipe.latents[0],), timestep, dtype=mx.float32)


def require_finite(array: mx.array, phase: str, name: str) -> None:
    """Raises mlx-gen's TensorHealthError."""
    TensorHealth.ensure_finite(array, name=name, phase=f"wan-{phase}")
