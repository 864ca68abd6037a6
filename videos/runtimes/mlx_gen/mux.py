"""Frames to MP4 as they come: H.264, yuv420p, index in front, colours tagged BT.709."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from av.video.reformatter import ColorRange, Colorspace
from PIL.Image import Image

CRF = "18"  # mlx-gen's own choice: visually lossless (x264 documentation)
BROADCAST_ROUNDING = 0.005  # 29.97 for 29.97003, the coarsest in use
BT709 = 1  # ITU-T H.273: primaries, transfer and matrix share the number


class Mp4:
    """An MP4 being written. Frames are encoded one by one and not kept."""

    def __init__(self, path: Path, *, fps: float, width: int, height: int) -> None:
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._stream = self._container.add_stream("libx264", rate=rate(fps), options={"crf": CRF})
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        context = self._stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = ColorRange.MPEG

    def add(self, image: Image) -> None:
        frame = av.VideoFrame.from_image(image)
        frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Flush the encoder and move the index to the front."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def __enter__(self) -> "Mp4":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._container.close()


def rate(fps: float) -> Fraction:
    """Frames per second as a fraction; a broadcast rate as what its decimals stand for (23.976 is 24000/1001)."""
    broadcast = Fraction(round(fps * 1.001) * 1000, 1001)
    if not float(fps).is_integer() and abs(float(broadcast) - fps) < BROADCAST_ROUNDING:
        return broadcast
    return Fraction(fps).limit_denominator(1000)
