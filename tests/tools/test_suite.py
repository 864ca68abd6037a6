"""`make test` tells the truth: its exit status, the last lines, and nothing left running."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import wait_for
from tests.tools.test_steps import is_running
from tools import suite
from tools.suite import Stage

GOOD: list[str | Path] = [sys.executable, "-c", "print('==== 3 passed in 0.01s ====')"]
BAD: list[str | Path] = [sys.executable, "-c", "print('==== 1 failed, 2 passed in 0.01s ===='); raise SystemExit(1)"]


def test_one_failure_fails_the_run_and_the_other_stages_still_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "stages", lambda: [Stage("tests", [BAD]), Stage("browser", [GOOD])])
    assert suite.run([]) == 1
    *_, tests, browser, first, last = capsys.readouterr().out.splitlines()
    assert tests.startswith("tests       FAILED: ")
    assert "ended with status 1" in tests
    assert browser.startswith("browser     passed")
    assert (first, last) == ("==== 1 failed, 2 passed in 0.01s ====", "==== 3 passed in 0.01s ====")


def test_only_the_chosen_stages_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "stages", lambda: [Stage("tests", [BAD]), Stage("browser", [GOOD])])
    assert suite.run(["browser"]) == 0


def test_a_stage_without_tests_yet_does_not_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Stage("crash", [suite._pytest("-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path))])
    absent = Stage("browser", [BAD], needs=tmp_path / "e2e")
    monkeypatch.setattr(suite, "stages", lambda: [empty, absent])
    assert suite.run([]) == 0


def test_what_a_stage_started_is_gone_when_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import subprocess; print(subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL).pid)"
    left = subprocess.list2cmdline([sys.executable, "-c", script])
    monkeypatch.setattr(suite, "stages", lambda: [Stage("tests", [["sh", "-c", f"{left} > {tmp_path}/pid"]])])
    assert suite.run([]) == 0
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not is_running(pid), what="the process that the stage left ending")


def test_the_developers_own_server_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "FMLX_API_KEY", "FMLX_HOME"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("FMLX_TEST_HOME", "/kept")
    seen = suite._environment()
    assert "mine" not in seen.values()
    assert seen["FMLX_TEST_HOME"] == "/kept"
