"""Set-up as a newcomer meets it: steps are shown, skipped when done, and can be interrupted and repeated."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.early import ROOT
from tests.helpers import wait_for
from tools import console, house, venv
from tools.console import Failed, Step


def file_step(path: Path) -> Step:
    return Step(path.name, path.touch, path.exists)


def test_each_step_is_numbered_and_a_second_run_skips_them_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [file_step(tmp_path / name) for name in ("first", "second")]
    console.perform(steps)
    assert re.fullmatch(
        r"\[1/2\] first …\n\[1/2\] first … done in 0 s\n\[2/2\] second …\n\[2/2\] second … done in 0 s\n",
        capsys.readouterr().out,
    )
    console.perform(steps)
    assert capsys.readouterr().out == "[1/2] first … already done\n[2/2] second … already done\n"


def test_a_step_that_fails_says_which_command_and_what_to_do() -> None:
    with pytest.raises(Failed, match=r"'sh -c exit 3' ended with status 3\. Mend the network\."):
        console.command(["sh", "-c", "exit 3"], failed="Mend the network.")


def test_what_a_command_prints_is_shown_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    console.command(["sh", "-c", "echo one; echo two >&2"])
    assert capsys.readouterr().out == "      one\n      two\n"


LONG = """
import sys
from pathlib import Path
from tools import setup
from tools.console import Step, command, perform
step = Step("Long", lambda: command(["sh", "-c", "sleep 600 & echo $! > {pid}; echo begun; wait"]), lambda: False)
setup.COMMANDS["run"] = lambda: perform([step]) or 0
sys.argv = ["setup", "run"]
sys.exit(setup.main())
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_step_leaves_no_process_and_says_how_to_go_on(tmp_path: Path, signum: int) -> None:
    written = tmp_path / "pid"
    with subprocess.Popen(
        [sys.executable, "-c", LONG.replace("{pid}", str(written))], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert any("begun" in line for line in process.stdout)  # the step reads its command's lines
        process.send_signal(signum)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "run it again to go on from here" in output
    wait_for(lambda: not is_running(int(written.read_text())), what="the command ending")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return not state.startswith("Z")


def test_what_the_tests_need_is_enough_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Going from `make test` to `make run` and back installs nothing."""
    monkeypatch.setattr(venv, "INSTALLED", tmp_path / "installed")
    assert not venv.dependencies(venv.SITE).done()
    (tmp_path / "installed").write_text(venv._mark(venv.SITE))
    assert venv.dependencies(venv.SITE).done()
    assert not venv.dependencies(venv.DEV).done()
    (tmp_path / "installed").write_text(venv._mark(venv.DEV))
    assert venv.dependencies(venv.SITE).done()
    assert venv.dependencies(venv.DEV).done()


@pytest.mark.parametrize(
    "place",
    ["flat/config.json", "org/name/model_index.json", "models--org--name/snapshots/abc/config.json", "config.json"],
)
def test_no_demo_is_made_where_a_model_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("FMLX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FMLX_MODEL_DIRS", str(tmp_path / "disk"))
    assert not house.demo_models().done()
    (tmp_path / "disk" / ".half-made").mkdir(parents=True)
    (tmp_path / "disk" / ".half-made" / "config.json").touch()
    assert not house.demo_models().done()
    (tmp_path / "disk" / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "disk" / place).touch()
    assert house.demo_models().done()
