"""The test suite in stages, each a process of its own: `python -m tools.suite [STAGE…]`."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.console import STOP_SECONDS, say, stop
from tools.places import PYTHON, ROOT, TEST_HOME, VENV

NO_TESTS = 5  # pytest's exit status
SLOWEST = 10  # tests of each run whose seconds are shown, so that the suite stays quick
# Two processes, as the smallest machine has two cores, and so twice the time for each test. A file stays in one, for
# what its tests share. The files keep their order: xdist would put those of few tests last, which are the long ones.
ABREAST = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "--timeout=240")
STARTING = "integration and not crash and not torch"
SUMMARY = re.compile(r"^(\x1b\[[\d;]*m)*=+ .*(passed|failed|skipped|error|no tests ran).* in .*=+")
DROPPED = ("FMLX_", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS")
KEPT = "FMLX_TEST_"


@dataclass(frozen=True, slots=True)
class Stage:
    """Commands that are all run, and pass if each of them does."""

    name: str
    commands: list[list[str | Path]]
    needs: Path = ROOT


@dataclass(slots=True)
class Outcome:
    name: str
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)


def stages() -> list[Stage]:
    return [
        Stage("lint", list(_lint())),
        Stage("types", [[VENV / "bin" / "mypy", "."]]),
        Stage("unit", [_python_tests("not integration and not crash and not torch", *ABREAST)]),
        Stage("integration", list(_starting())),
        Stage("services", [_on_services(_python_tests("servers and not crash"))]),
        Stage("browser", [_pytest("tests/e2e", *ABREAST)], needs=ROOT / "tests" / "e2e"),
        Stage("crash", [_python_tests("crash", "-s")]),
    ]


def run(chosen: list[str]) -> int:
    """Run the chosen stages, or all, each in order whatever the others did; 0 if all passed."""
    outcomes = [_stage(stage) for stage in stages() if stage.needs.exists() and (not chosen or stage.name in chosen)]
    say("")
    for outcome in outcomes:
        verdict = f"FAILED: {', '.join(outcome.failed)}" if outcome.failed else "passed"
        say(f"{outcome.name:11} {verdict} ({outcome.seconds:.0f} s)")
    for line in (line for outcome in outcomes for line in outcome.summaries):
        say(line)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def _lint() -> Iterator[list[str | Path]]:
    tools = VENV / "bin"
    yield [tools / "ruff", "check", "."]
    yield [tools / "ruff", "format", "--check", "."]
    if templates := sorted((ROOT / "templates").rglob("*.html")):
        yield [tools / "djhtml", "--check", *templates]
        yield [tools / "curlylint", *templates]
    yield [PYTHON, "manage.py", "check", "--fail-level", "WARNING"]
    yield [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"]


def _python_tests(marks: str, *arguments: str) -> list[str | Path]:
    return _pytest("tests", "--ignore", "tests/e2e", "-m", marks, *arguments)


def _pytest(*arguments: str) -> list[str | Path]:
    colour = ["--color=yes"] if sys.stdout.isatty() else []
    return [PYTHON, "-m", "pytest", *colour, f"--durations={SLOWEST}", *arguments]


def _starting() -> Iterator[list[str | Path]]:
    yield _python_tests(f"{STARTING} and not quiet", *ABREAST)
    yield _python_tests(f"{STARTING} and quiet")


def _on_services(command: list[str | Path]) -> list[str | Path]:
    """The same tests once more, on a PostgreSQL and a Redis started for them."""
    return [PYTHON, "-m", "tests.services", *command]


def _stage(stage: Stage) -> Outcome:
    outcome, began = Outcome(stage.name), time.monotonic()
    for command in stage.commands:
        words = [str(word) for word in command]
        say(f"\n{stage.name}: {_short(words)}")
        status = _run(words, outcome.summaries)
        if status not in ((0, NO_TESTS) if "pytest" in words else (0,)):
            outcome.failed.append(f"{_short(words)} ended with status {status}")
    outcome.seconds = time.monotonic() - began
    return outcome


def _short(words: list[str]) -> str:
    program = Path(words[0]).name
    named = [word for word in words[1:] if not word.endswith(".html")]
    return " ".join([program, *named])


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key.startswith(KEPT) or not key.startswith(DROPPED)}
    path = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return kept | {"FMLX_HOME": str(TEST_HOME), "FMLX_REQUIRE_SERVICES": "1", "PATH": path}


def _run(words: list[str], summaries: list[str]) -> int:
    """Run in a process group of its own, so that nothing it started outlives it."""
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
    ) as process:
        reader = threading.Thread(target=_show, args=(process, summaries), daemon=True)
        reader.start()
        try:
            return process.wait()
        finally:
            stop(process)  # what it left behind may hold the pipe open, so before the reader's end
            reader.join(STOP_SECONDS)


def _show(process: subprocess.Popen[str], summaries: list[str]) -> None:
    for line in process.stdout or ():
        print(line, end="", flush=True)
        if SUMMARY.match(line):
            summaries.append(line.rstrip())


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
