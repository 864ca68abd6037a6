"""A video's still pictures, taken from the frames as they pass: one thumbnail and one sheet of small frames."""

from pathlib import Path
from typing import Any

from PIL import Image

THUMBNAIL_SIDE = 512
SHEET_COLUMNS = 4
SHEET_FRAMES = 16
SHEET_SIDE = 256
QUALITY = 82


class Pictures:
    """Keeps the middle frame and at most `SHEET_FRAMES` small ones, whatever the length of the video."""

    def __init__(self, total: int) -> None:
        count = min(total, SHEET_FRAMES)
        self._wanted = {round(place * (total - 1) / max(count - 1, 1)) for place in range(count)}
        self._middle = total // 2
        self._thumbnail: Image.Image | None = None
        self._small: list[Image.Image] = []

    def add(self, index: int, frame: Image.Image) -> None:
        if index == self._middle:
            self._thumbnail = _within(frame, THUMBNAIL_SIDE)
        if index in self._wanted:
            self._small.append(_within(frame, SHEET_SIDE))

    def save_thumbnail(self, path: Path) -> None:
        if self._thumbnail is None:
            raise ValueError("No middle frame has been added.")
        self._thumbnail.save(path, format="WEBP", quality=QUALITY)

    def save_sheet(self, path: Path) -> dict[str, Any]:
        """Rows of small frames in time order. Returns columns, rows and count for whoever cuts it up."""
        columns = min(SHEET_COLUMNS, len(self._small))
        rows = -(-len(self._small) // columns)
        width, height = self._small[0].size
        sheet = Image.new("RGB", (columns * width, rows * height))
        for place, frame in enumerate(self._small):
            sheet.paste(frame, (place % columns * width, place // columns * height))
        sheet.save(path, format="WEBP", quality=QUALITY)
        return {"columns": columns, "rows": rows, "count": len(self._small)}


def _within(frame: Image.Image, side: int) -> Image.Image:
    small = frame.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small
