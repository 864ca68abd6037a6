"""Where worker environments are, how they are built, and what is said when one does not work."""

import sys
from pathlib import Path

import pytest

from memory import environments
from tests.early import KEPT_HOME

DRIVER_580 = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (root@build)\n"
    "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
)
DRIVER_535 = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"


@pytest.mark.parametrize(("text", "major"), [(DRIVER_580, 580), (DRIVER_535, 535), ("something else", None)])
def test_the_driver_version_is_read_from_what_the_kernel_module_says(
    tmp_path: Path, text: str, major: int | None
) -> None:
    (tmp_path / "version").write_text(text)
    assert environments.nvidia_driver(tmp_path / "version") == major


def test_no_driver_is_no_version(tmp_path: Path) -> None:
    assert environments.nvidia_driver(tmp_path / "version") is None


@pytest.mark.parametrize(
    ("platform", "machine", "driver", "expected"),
    [
        ("darwin", "arm64", None, "macos-arm64"),
        ("linux", "x86_64", None, "linux-cpu"),
        ("linux", "x86_64", 580, "linux-cuda13"),
        ("linux", "x86_64", 535, "linux-cpu"),
    ],
)
def test_the_lock_file_is_the_platforms(
    monkeypatch: pytest.MonkeyPatch, platform: str, machine: str, driver: int | None, expected: str
) -> None:
    monkeypatch.delenv("FMLX_RUNTIME_VARIANT", raising=False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(environments, "nvidia_driver", lambda: driver)
    assert environments.lock_file("mlx-gen").name == f"mlx-gen-{expected}.txt"


def test_a_machine_without_a_lock_file_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FMLX_RUNTIME_VARIANT", raising=False)
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(environments.BuildError, match="this machine is darwin x86_64"):
        environments.lock_file("mlx-gen")
    monkeypatch.setenv("FMLX_RUNTIME_VARIANT", "amiga")
    with pytest.raises(environments.BuildError, match=r"no lock file mlx-gen-amiga\.txt.*mlx-gen-linux-cpu"):
        environments.lock_file("mlx-gen")


@pytest.mark.parametrize("variant", ["linux-cpu", "linux-cuda13", "macos-arm64"])
def test_every_lock_file_is_pinned_by_hash_and_names_no_index(monkeypatch: pytest.MonkeyPatch, variant: str) -> None:
    monkeypatch.setenv("FMLX_RUNTIME_VARIANT", variant)
    text = environments.lock_file("mlx-gen").read_text()
    entries = [entry for entry in text.split("\n") if entry and entry[0] not in " #"]
    assert "mlx-gen==0.38.0 \\" in entries
    assert all("==" in entry and entry.endswith("\\") for entry in entries)
    assert text.count("--hash=sha256:") > len(entries)
    assert "http" not in text
    assert not [entry for entry in entries if entry.startswith(("torch", "transformers", "opencv"))]


def test_a_runtime_that_is_not_built_says_which_command_builds_it(tmp_path: Path) -> None:
    found = environments.probe(environments.runtime_python(tmp_path, "mlx-gen"))
    assert not found.ok
    assert "is not built" in found.problem
    assert found.mend_command == "python manage.py buildworker mlx-gen"


def test_a_python_that_lacks_a_package_says_which(tmp_path: Path) -> None:
    found = environments.probe(Path(sys.executable))
    assert not found.ok
    assert "mlx" in found.problem
    assert found.mend_command == "python manage.py buildworker mlx-gen"


@pytest.mark.runtime
def test_an_interrupted_build_is_made_good_and_a_finished_one_is_left_alone(tmp_path: Path) -> None:
    target = environments.runtime_dir(tmp_path, "mlx-gen")
    (target / "lib").mkdir(parents=True)
    (target / "lib" / "half-installed").touch()
    lines: list[str] = []
    python = environments.build(tmp_path, "mlx-gen", say=lines.append)
    assert not (target / "lib" / "half-installed").exists()
    assert [line[:5] for line in lines[:3]] == ["[1/3]", "[2/3]", "[3/3]"]
    found = environments.probe(python)
    assert found.ok, found.problem
    assert found.versions["mlx-gen"] == "0.38.0"
    again: list[str] = []
    environments.build(tmp_path, "mlx-gen", say=again.append)
    assert again == [f"The mlx-gen runtime is ready in {target}."]


@pytest.mark.runtime
def test_another_lock_file_makes_the_environment_out_of_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environments.build(KEPT_HOME, "mlx-gen")
    assert environments.is_built(KEPT_HOME, "mlx-gen")
    changed = tmp_path / "mlx-gen-linux-cpu.txt"
    changed.write_text(environments.lock_file("mlx-gen").read_text() + "# changed\n")
    monkeypatch.setattr(environments, "lock_file", lambda name: changed)
    assert not environments.is_built(KEPT_HOME, "mlx-gen")


def test_a_package_whose_hash_differs_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "mlx-gen-test.txt"
    lock.write_text("toml==0.10.2 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(environments, "lock_file", lambda name: lock)
    with pytest.raises(environments.BuildError, match=r"mlx-gen-test\.txt could not be installed"):
        environments.build(tmp_path, "mlx-gen", say=lambda line: None)
    assert not environments.is_built(tmp_path, "mlx-gen")
