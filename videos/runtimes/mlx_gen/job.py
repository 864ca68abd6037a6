"""One generation from spec to manifest: load, encode, denoise, decode, mux, verify."""

import hashlib
from typing import Any

from mflux.utils.tensor_health import TensorHealthError

from memory.protocol import Channel, Message, WorkerFailed
from videos.runtimes.mlx_gen import limits, mlxgen, output, verify
from videos.runtimes.mlx_gen.checkpoint import Checkpoint
from videos.runtimes.mlx_gen.mux import Mp4
from videos.runtimes.mlx_gen.phases import Phases
from videos.runtimes.mlx_gen.pictures import Pictures
from videos.runtimes.mlx_gen.pipeline import Wan
from videos.runtimes.mlx_gen.spec import Spec
from videos.runtimes.mlx_gen.versions import versions

VIDEO, THUMBNAIL, SHEET = "video.mp4", "thumbnail.webp", "spritesheet.webp"


def run(channel: Channel, message: Message) -> Message:
    """Make one video in `output_dir`.

    Returns:
        The manifest: what was made, with which settings, in which time and memory.

    Raises:
        WorkerFailed: `model_invalid` or `output_invalid`.
        Aborted: the node asked for the end; nothing is left in `output_dir`.
    """
    spec = Spec.of(message)
    restore = limits.apply(spec.lease_bytes, low_ram=spec.low_ram)
    try:
        return _generate(channel, spec)
    finally:
        restore()


def _generate(channel: Channel, spec: Spec) -> Message:
    phases, checkpoint = Phases(channel), Checkpoint(spec.model_dir)
    model = Wan(checkpoint, phases)
    try:
        video = model.generate(spec)
        files, digest = _write(video, spec, phases)
    except TensorHealthError as error:
        raise WorkerFailed("output_invalid", f"The model computed values that are not finite: {error}") from error
    wall = phases.finish()
    return {
        "files": files,
        "pipeline": checkpoint.pipeline,
        "frames_sha256": digest,
        "prompt_truncated": model.prompt_truncated,
        **_settings(video),
        "phase_seconds": phases.seconds,
        "wall_seconds": round(wall, 4),
        "mlx_peak_bytes": limits.mlx_peak_bytes(),
        "peak_memory_bytes": limits.peak_memory_bytes(),
        "versions": versions(),
    }


def _settings(video: Any) -> dict[str, Any]:
    """What was used, which differs from what was asked where the model has defaults or needs other sizes."""
    return {
        "frames": video.num_frames,
        "fps": video.fps,
        "width": video.width,
        "height": video.height,
        "duration_seconds": round(video.duration_seconds, 6),
        "steps": video.steps,
        "seed": video.seed,
        "guidance_scale": video.guidance,
        "guidance_scale_2": video.guidance_2,
        "flow_shift": video.flow_shift,
    }


def _write(video: Any, spec: Spec, phases: Phases) -> tuple[dict[str, Any], str]:
    with output.Output(spec.output_dir) as files:
        pictures = Pictures(video.num_frames)
        part = files.path(VIDEO)
        with Mp4(part, fps=video.fps, width=video.width, height=video.height) as mp4:
            digest = _decode(video, mp4, pictures)
            phases.begin("muxing", 1)
            mp4.finish()
        pictures.save_thumbnail(files.path(THUMBNAIL))
        grid = pictures.save_sheet(files.path(SHEET))
        phases.step(1)
        if spec.verify:
            _verify(video, files, phases)
        manifest = {
            "video": output.describe(part, VIDEO, "video/mp4"),
            "thumbnail": output.describe(files.path(THUMBNAIL), THUMBNAIL, "image/webp"),
            "spritesheet": output.describe(files.path(SHEET), SHEET, "image/webp") | grid,
        }
        files.commit()
    return manifest, digest


def _decode(video: Any, mp4: Mp4, pictures: Pictures) -> str:
    """Take the frames one slice at a time. Returns the SHA-256 of their raw RGB bytes."""
    digest, count = hashlib.sha256(), 0
    for batch in mlxgen.frame_batches(video):
        for frame in batch:
            mp4.add(frame)
            pictures.add(count, frame)
            digest.update(frame.tobytes())
            count += 1
    return digest.hexdigest()


def _verify(video: Any, files: output.Output, phases: Phases) -> None:
    phases.begin("verifying", 1)
    verify.require_playable(
        files.path(VIDEO),
        frames=video.num_frames,
        fps=video.fps,
        width=video.width,
        height=video.height,
        checkpoint=phases.checkpoint,
    )
    phases.step(1)
