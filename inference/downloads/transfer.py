"""One file from a hub, in the mlx-lm runtime: over Xet where the hub has it, else over HTTP, where a part that is there
is gone on with. huggingface_hub 2.4 itself begins every file anew that a process did not finish.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.file_download import http_get

CHUNK_BYTES = 2**22


class Damaged(Exception):
    """What came is not what the hub says it has."""


@dataclass(frozen=True, slots=True)
class File:
    """`sha256` is empty for small files, of which a hub keeps another digest."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """A repository at one commit. `token` may be empty: what the user of this machine is logged in with is not used."""

    endpoint: str
    token: str
    repository: str
    commit: str

    @property
    def credential(self) -> str | bool:
        return self.token or False

    @property
    def headers(self) -> dict[str, str]:
        return {"user-agent": "fmlx"} | ({"authorization": f"Bearer {self.token}"} if self.token else {})

    def url(self, file: File) -> str:
        return hf_hub_url(self.repository, file.path, revision=self.commit, endpoint=self.endpoint)

    def has_xet(self, file: File) -> bool:
        if not file.sha256 or constants.HF_HUB_DISABLE_XET:
            return False
        found = get_hf_file_metadata(self.url(file), token=self.credential, endpoint=self.endpoint)
        return found.xet_file_data is not None


def take(source: Source, file: File, folder: Path) -> None:
    """Have it, whole and on the disk, in `folder/model`. Raises Damaged, and what huggingface_hub raises."""
    target = folder / "model" / file.path
    if target.is_file() and target.stat().st_size == file.size:
        return
    came = _over_xet(source, file, folder) if source.has_xet(file) else _over_http(source, file, folder)
    _check(came, file)
    target.parent.mkdir(parents=True, exist_ok=True)
    came.replace(target)


def _over_xet(source: Source, file: File, folder: Path) -> Path:
    came = hf_hub_download(
        source.repository,
        file.path,
        revision=source.commit,
        local_dir=folder / "xet",
        endpoint=source.endpoint,
        token=source.credential,
    )
    return Path(came)


def _over_http(source: Source, file: File, folder: Path) -> Path:
    part = folder / "parts" / hashlib.sha256(file.path.encode()).hexdigest()
    part.parent.mkdir(exist_ok=True)
    with part.open("ab") as kept:
        if kept.tell() > file.size:
            kept.truncate(0)
            kept.seek(0)
        there = kept.tell()
        http_get(source.url(file), kept, resume_size=there, headers=source.headers, expected_size=file.size)
    return part


def _check(came: Path, file: File) -> None:
    """That it is what it should be, and on the disk."""
    with came.open("rb+") as content:
        os.fsync(content.fileno())
    if came.stat().st_size == file.size and (not file.sha256 or _digest(came) == file.sha256):
        return
    came.unlink()
    raise Damaged(file.path)


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()
