"""The process that downloads a repository, in the mlx-lm runtime: standard library and huggingface_hub only.

Its first line of input says what is wanted (`Spec`); when the input ends, its node is gone, and so is it. It says,
in lines of JSON, `found` (commit, bytes), `progress` (bytes) twice a second, and at last `done`, or `failed` with a
code and its figures.
"""

import fcntl
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from inference.downloads.transfer import Damaged, File, Source, take
from inference.downloads.wanted import is_model, is_wanted

SAY_SECONDS = 0.5
SERVER_ERRORS = 500
UNAUTHORIZED = (401, 403)
_saying = threading.Lock()


@dataclass(frozen=True, slots=True)
class Spec:
    """`folder` is this download's own, `keep_free` the bytes of its disk that stay free."""

    repository: str
    revision: str
    endpoint: str
    token: str
    folder: str
    keep_free: int


class Refused(Exception):
    """It cannot be had. `code` is the end of a sentence's name in `inference/sentences.py`, with its figures."""

    def __init__(self, code: str, **figures: Any) -> None:
        super().__init__(code)
        self.code, self.figures = code, figures


def main() -> int:
    spec = Spec(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_node, daemon=True).start()
    try:
        with _alone_in(Path(spec.folder)):
            _fetch(spec)
    except Refused as why:
        _say("failed", code=why.code, figures=why.figures)
        return 1
    except OSError as error:
        _say("failed", **_of_system(error))
        return 1
    _say("done")
    return 0


def _fetch(spec: Spec) -> None:
    folder = Path(spec.folder)
    with _in_words():
        source, files = _listing(spec)
    _begin(folder, source.commit)
    total = sum(file.size for file in files)
    _check_room(spec, total - _there(folder))
    _say("found", commit=source.commit, bytes=total)
    with _reporting(folder), _in_words():
        for file in files:
            take(source, file, folder)


def _listing(spec: Spec) -> tuple[Source, list[File]]:
    api = HfApi(endpoint=spec.endpoint, token=spec.token or False, library_name="fmlx")
    info = api.model_info(spec.repository, revision=spec.revision, files_metadata=True)
    found = [one for one in info.siblings or [] if is_wanted(one.rfilename)]
    if not is_model(one.rfilename for one in found):
        raise Refused("no_model")
    files = [File(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else "") for one in found]
    return Source(spec.endpoint, spec.token, spec.repository, info.sha or spec.revision), files


def _begin(folder: Path, commit: str) -> None:
    """What is there of another commit is not gone on with, nor what Xet did not finish."""
    marker = folder / "commit"
    old = not marker.exists() or marker.read_text() != commit
    for name in ("model", "parts", "xet") if old else ("xet",):
        shutil.rmtree(folder / name, ignore_errors=True)
    marker.write_text(commit)
    (folder / "model").mkdir(exist_ok=True)


def _check_room(spec: Spec, missing: int) -> None:
    free = shutil.disk_usage(spec.folder).free
    if missing + spec.keep_free > free:
        raise Refused("no_room", need=missing, kept=spec.keep_free, free=free)


def _there(folder: Path) -> int:
    """Bytes of the model that are on the disk."""
    return sum(_size(Path(parent, name)) for parent, _folders, names in os.walk(folder) for name in names)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # it was moved meanwhile


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Another node's process that has not ended yet is waited for."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _reporting(folder: Path) -> Iterator[None]:
    ended = threading.Event()

    def report() -> None:
        while not ended.wait(SAY_SECONDS):
            _say("progress", bytes=_there(folder))

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        ended.set()
        reporter.join()


@contextmanager
def _in_words() -> Iterator[None]:
    """What huggingface_hub raises, as what is said of it."""
    try:
        yield
    except GatedRepoError as error:
        raise Refused("gated") from error
    except RepositoryNotFoundError as error:
        raise Refused("no_repository") from error
    except RevisionNotFoundError as error:
        raise Refused("no_revision") from error
    except LocalEntryNotFoundError as error:
        raise Refused("unreachable", why=str(error).splitlines()[0]) from error
    except HfHubHTTPError as error:
        raise _of_status(error.response.status_code) from error
    except httpx2.HTTPError as error:
        raise Refused("unreachable", why=str(error) or type(error).__name__) from error
    except Damaged as error:
        raise Refused("damaged", file=str(error)) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise Refused("unreachable", why=str(error).splitlines()[0]) from error  # an answer that was cut off


def _of_status(status: int) -> Refused:
    if status in UNAUTHORIZED:
        return Refused("unauthorized", status=status)
    if status >= SERVER_ERRORS:
        return Refused("unreachable", why=f"HTTP {status}")
    return Refused("refused", status=status)


def _of_system(error: OSError) -> dict[str, Any]:
    return {"code": "disk", "figures": {"why": error.strerror or str(error)}}


def _end_with_node() -> None:
    sys.stdin.read()
    os._exit(1)


def _say(event: str, **fields: Any) -> None:
    with _saying:
        print(json.dumps({"event": event, **fields}), flush=True)  # noqa: T201 - the node reads it


if __name__ == "__main__":
    sys.exit(main())
