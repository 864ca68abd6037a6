"""What set-up shows: numbered steps, the last line of what runs, and on failure everything."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.places import ROOT

KEPT_LINES = 60
STOP_SECONDS = 10.0
INDENT = " " * 6


class Failed(Exception):
    """A step that cannot be done. The message is a full sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to be done, and how to see that it is done already."""

    title: str
    run: Callable[[], None]
    done: Callable[[], bool]


def perform(steps: list[Step]) -> None:
    """Do the steps that are not done yet, in order, showing each.

    Raises:
        Failed: a step could not be done; those before it stay done.
    """
    for number, step in enumerate(steps, 1):
        heading = f"[{number}/{len(steps)}] {step.title} …"
        if step.done():
            say(f"{heading} already done")
            continue
        say(heading, lasting=False)
        began = time.monotonic()
        step.run()
        say(f"{heading} done in {time.monotonic() - began:.0f} s")


def say(line: str, *, lasting: bool = True) -> None:
    """Print a line; on a terminal one that is not lasting is overwritten by the next."""
    if not sys.stdout.isatty():
        print(line, flush=True)
        return
    shown = line if lasting else line[: shutil.get_terminal_size().columns - 1]
    print(f"\r\x1b[K{shown}", end="\n" if lasting else "", flush=True)


def command(
    arguments: Iterable[str | Path],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    failed: str = "",
    lasting: bool = False,
) -> None:
    """Run a command of a step, showing its lines as they come.

    Raises:
        Failed: it ended with another status than 0. `failed` says what that means for the user.
    """
    words = [str(argument) for argument in arguments]
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    with subprocess.Popen(
        words,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
    ) as process:
        try:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                say(f"{INDENT}{line.rstrip()}", lasting=lasting)
        except BaseException:
            stop(process)
            raise
    if process.returncode:
        shown = "\n".join(lines) if sys.stdout.isatty() else ""
        meaning = f" {failed}" if failed else ""
        raise Failed(f"{shown}\n'{' '.join(words)}' ended with status {process.returncode}.{meaning}".lstrip())


def succeeds(*arguments: str | Path) -> bool:
    """Whether a quick command ends with status 0, whatever it prints."""
    try:
        done = subprocess.run(
            [str(argument) for argument in arguments], cwd=ROOT, capture_output=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def stop(process: subprocess.Popen[str]) -> None:
    """End a process and all it started in its group: ask, wait, then kill what is left."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
        os.killpg(process.pid, signal.SIGKILL)
