"""Looking at what somebody sent, in a process of its own: the site decodes nothing.

The program is the mlx-gen runtime's (`ingest.py`), so its decoders are the ones that the worker's environment has; it
bounds its own memory and CPU time, and is killed when the clock runs out.
"""

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.utils.translation import gettext as _

from fmlx_site.errors import Unavailable
from memory.allowlist import worker_environment
from memory.environments import runtime_python
from videos import options
from videos.errors import InputRefused

log = structlog.get_logger(__name__)
RUNTIME, MODULE = "mlx-gen", "videos.runtimes.mlx_gen.ingest"
SECONDS = 120.0
_places = threading.BoundedSemaphore(2)  # decoders at one time in each site process


def look(path: Path, param: str, task: str = "check", **wanted: Any) -> dict[str, Any]:
    """What `ingest.py` says of the file. Takes a part of a second, or as long as a video takes to decode; not for the
    event loop.

    Raises:
        InputRefused: it is not what it should be, or cannot be decoded.
        Unavailable: the runtime is not built here.
    """
    python = runtime_python(settings.FMLX.home, RUNTIME)
    if not python.exists():
        raise Unavailable(
            _("Pictures and videos are looked at by the %(runtime)s runtime, which is not built on this machine.")
            % {"runtime": RUNTIME}
        )
    asked = {"task": task, "path": str(path), "most_pixels": options.INPUT_MAX_PIXELS.value, **wanted}
    with _places:
        answer = _answer(python, asked, param)
    if "refused" in answer:
        raise InputRefused(f"{param} {answer['refused']}.", param=param)
    return answer


def _environment() -> dict[str, str]:
    """Without OpenBLAS, whose buffers for each core would count against the decoder's memory."""
    found = worker_environment(settings.FMLX.work, {}, {})
    return {name: value for name, value in found.items() if name != "LD_PRELOAD"}


def _answer(python: Path, asked: dict[str, Any], param: str) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [str(python), "-m", MODULE],
            input=json.dumps(asked),
            env=_environment(),
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputRefused(f"{param} took longer than {SECONDS:.0f} s to decode.", param=param) from None
    if done.returncode:
        log.warning("A file that was sent ended its decoder.", status=done.returncode, said=done.stderr[-2000:])
        raise InputRefused(f"{param} cannot be decoded: its decoder did not survive it.", param=param)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
