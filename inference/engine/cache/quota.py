"""How large the cache may be."""

from pathlib import Path

from inference.engine.cache.files import free_bytes

DEFAULT_BYTES = 20 * 10**9
DEFAULT_SHARE = 0.1


class Quota:
    """The smaller of a size and a share of what the disk would have free without the cache. Bytes."""

    def __init__(self, folder: Path, setting: int, share: float) -> None:
        self._folder, self.setting, self.share = folder, setting, share

    def limit(self, held: int) -> int:
        """With `held` bytes in the cache now. Raises OSError."""
        return max(0, min(self.setting, int(self.share * (free_bytes(self._folder) + held))))
