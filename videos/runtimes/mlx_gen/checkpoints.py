"""The denoise state on disk while it is computed, so that a job whose worker dies goes on from there."""

import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor

from videos.runtimes.mlx_gen import arrays, denoise
from videos.runtimes.mlx_gen.artifacts import Kept, Shelf
from videos.runtimes.mlx_gen.denoise import State
from videos.runtimes.mlx_gen.recipe import Recipe

KEPT = 2  # the one being written never replaces the only one there is


class Checkpoints:
    """Of one denoising, named by its key. Copying the state holds up the compute thread; all else is another's work.

    One is begun when half of `every_steps` or of `every_seconds` has passed, and only when the one before is whole: so
    whenever the worker dies, no more than `every_steps` steps are done again.
    """

    def __init__(self, shelf: Shelf, key: str, *, every_steps: int, every_seconds: float) -> None:
        self._shelf, self._prefix = shelf, f"state-{key}"
        self._every_steps, self._every_seconds = max(1, every_steps // 2), every_seconds / 2
        self._writer = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None
        self._step, self._at = 0, time.monotonic()
        self.written, self.bytes, self.copy_seconds, self.write_seconds = 0, 0, 0.0, 0.0

    def newest(self, recipe: Recipe) -> State | None:
        """The furthest state there is; a broken one is passed over."""
        for name in reversed(self._shelf.named(self._prefix)):
            if found := self._shelf.read(name):
                self._step = found.facts["step"]
                return denoise.take_up(recipe, arrays.of(found), found.facts)
        return None

    def offer(self, state: State) -> None:
        """Write it down if it is time to."""
        due = time.monotonic() - self._at >= self._every_seconds
        if due or state.step - self._step >= self._every_steps:
            self._begin(state)

    def last(self, state: State) -> None:
        """The work is ending early: write it down before it is gone."""
        self._settle()
        if state.step > self._step:
            self._begin(state)
            self._settle()

    def close(self) -> None:
        self._settle()
        self._writer.shutdown()

    def forget(self) -> None:
        """The latents are there: no state is needed any more."""
        self.close()
        for name in self._shelf.named(self._prefix):
            self._shelf.remove(name)

    def account(self) -> dict[str, float]:
        """For the manifest: how many were written, their bytes, and the seconds of the compute thread and the other."""
        return {
            "written": self.written,
            "bytes": self.bytes,
            "compute_seconds": round(self.copy_seconds, 6),
            "writer_seconds": round(self.write_seconds, 6),
        }

    def _begin(self, state: State) -> None:
        began = time.monotonic()
        self._settle()
        tensors, facts, name = arrays.to_bytes(state.arrays()), state.facts(), f"{self._prefix}-{state.step:06d}"
        self._step, self._at = state.step, time.monotonic()
        self.copy_seconds += self._at - began
        self._writing = self._writer.submit(self._write, name, tensors, facts)

    def _write(self, name: str, tensors: arrays.Bytes, facts: dict[str, object]) -> None:
        began = time.monotonic()
        kept: Kept = arrays.write(self._shelf, name, tensors, facts, durable=False)
        for old in self._shelf.named(self._prefix)[:-KEPT]:
            self._shelf.remove(old)
        self.written, self.bytes = self.written + 1, self.bytes + kept.bytes
        self.write_seconds += time.monotonic() - began

    def _settle(self) -> None:
        """A checkpoint that could not be written costs the job nothing but the checkpoint."""
        if self._writing and (error := self._writing.exception()):
            sys.stderr.write(f"The denoise state after step {self._step} could not be written down: {error}\n")
        self._writing = None
