"""From a bare Python to a running server: `python -m tools.setup run`. The Makefile's targets are its commands."""

import os
import shutil
import signal
import sys
from types import FrameType

from tools import assets, house, lock, messages, suite, system, venv
from tools.console import Failed, Step, perform, say
from tools.places import MAKE, PYTHON, ROOT, TEST_HOME, VENV, home


def to_run() -> list[Step]:
    return [
        system.packages_to_run(),
        venv.environment(),
        venv.dependencies(venv.SITE),
        *house.worker_environments(home()),
        assets.assets(),
        messages.messages(),
        house.migrations(),
        house.demo_models(),
        house.credentials(),
    ]


def to_develop() -> list[Step]:
    return [venv.environment(), venv.dependencies(venv.DEV), assets.assets(), messages.messages()]


def to_test() -> list[Step]:
    return [
        system.packages_to_test(),
        venv.environment(),
        venv.dependencies(venv.DEV),
        *house.worker_environments(TEST_HOME),
        assets.assets(),
        messages.messages(),
    ]


def run() -> int:
    perform(to_run())
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(PYTHON, [str(PYTHON), "manage.py", "serve"])  # noqa: S606 - the server takes this process's place


def setup() -> int:
    perform(to_run())
    return 0


def develop() -> int:
    perform(to_develop())
    return 0


def test() -> int:
    perform(to_test())
    return suite.run(sys.argv[2:])


def translate() -> int:
    perform(to_develop())
    messages.extract()
    perform([messages.messages()])
    return 0


def relock() -> int:
    perform(to_develop())
    lock.lock()
    return 0


def clean() -> int:
    """Remove what set-up made in the project's folder. FMLX_HOME, with the models and the jobs, stays."""
    for folder in (VENV, MAKE, ROOT / "node_modules"):
        shutil.rmtree(folder, ignore_errors=True)
    for compiled in (ROOT / "locale").rglob("*.mo"):
        compiled.unlink()
    say(f"Removed what set-up made here. Models, jobs and credentials stay in {home()}.")
    return 0


COMMANDS = {
    "run": run,
    "setup": setup,
    "develop": develop,
    "test": test,
    "messages": translate,
    "lock": relock,
    "clean": clean,
}


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    asked = sys.argv[1] if sys.argv[1:] else ""
    if asked not in COMMANDS:
        say(f"Say what to do: {', '.join(COMMANDS)}.")
        return 2
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, _terminate)  # also where a shell started this in the background and had it ignored
    try:
        return COMMANDS[asked]()
    except Failed as failure:
        say(f"\n{failure}")
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted. What is done stays done; run it again to go on from here.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
