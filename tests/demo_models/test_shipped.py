"""The demo models come whole, are small, and are put into a model folder whole or not at all."""

import json
from pathlib import Path

import pytest

from demo_models import shipped
from inference import discovery
from tests.servers import manage

LARGEST_BYTES = 8_000_000
NAMES = shipped.names()
VIDEOS = [name for name in NAMES if name.startswith("demo-video")]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / VIDEOS[0]


@pytest.fixture
def installed(target: Path) -> Path:
    target.parent.mkdir()
    assert shipped.install(target.name, target)
    return target


def changed(folder: Path) -> list[str]:
    return shipped.differing(folder, shipped.read_sums(shipped.WEIGHTS / folder.name))


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_in_the_list_and_is_what_it_says(name: str) -> None:
    folder = shipped.WEIGHTS / name
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files - {shipped.SUMS} == set(shipped.read_sums(folder))
    assert changed(folder) == []
    assert "README.md" in files
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < LARGEST_BYTES


@pytest.mark.parametrize("name", VIDEOS)
def test_the_site_serves_it_with_defaults_of_its_own(name: str) -> None:
    (found,) = discovery.scan([shipped.WEIGHTS / name])
    assert (found.type, found.skipped_because) == ("video", "")
    assert {"size", "frames", "fps", "steps", "guidance_scale"} <= set(found.defaults)


@pytest.mark.parametrize(("name", "rank"), [("demo-chat", -1), ("demo-hybrid", -2), ("demo-swa", -2)])
def test_a_chat_model_is_served_after_real_ones(name: str, rank: int) -> None:
    (found,) = discovery.scan([shipped.WEIGHTS / name])
    assert (found.type, found.skipped_because, found.rank) == ("chat", "", rank)
    assert (found.context_window or 0) >= 2048


def test_installing_again_changes_nothing(installed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in installed.rglob("*")}
    assert not shipped.install(installed.name, installed)
    assert {path: path.stat().st_mtime_ns for path in installed.rglob("*")} == before


def test_a_damaged_copy_is_replaced(installed: Path) -> None:
    (installed / "vae" / "config.json").write_text("{}")
    (installed / "model_index.json").unlink()
    assert shipped.install(installed.name, installed)
    assert changed(installed) == []
    assert [path.name for path in installed.parent.iterdir()] == [installed.name], "nothing temporary is left"


def test_the_owners_request_defaults_are_kept(installed: Path) -> None:
    (installed / "fmlx.json").write_text(json.dumps({"defaults": {"steps": 3}}))
    assert not shipped.install(installed.name, installed)
    assert json.loads((installed / "fmlx.json").read_text()) == {"defaults": {"steps": 3}}


def test_a_random_demo_model_of_an_older_version_is_replaced(target: Path) -> None:
    target.mkdir(parents=True)
    (target / "fmlx-demo.json").write_text('{"recipe": 1, "kind": "t2v"}')
    assert shipped.install(target.name, target)
    assert changed(target) == []


def test_a_folder_of_the_users_is_left_alone(target: Path) -> None:
    target.mkdir(parents=True)
    (target / "weights.bin").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="is not a demo model"):
        shipped.install(target.name, target)
    assert [path.name for path in target.parent.rglob("*")] == [target.name, "weights.bin"]


def test_a_shipped_model_that_was_damaged_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Path
) -> None:
    shipped.install(target.name, tmp_path / "weights" / target.name)
    (tmp_path / "weights" / target.name / "vae" / "config.json").write_text("{}")
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path / "weights")
    with pytest.raises(shipped.Damaged, match=r"vae/config\.json"):
        shipped.install(target.name, target)
    assert not target.exists()


@pytest.mark.integration
def test_makedemo_installs_them_all_and_says_so(home: Path) -> None:
    said = manage("makedemo", home=home)
    assert all(f"{name} is installed in " in said for name in NAMES)
    assert all(changed(home / "models" / name) == [] for name in NAMES)
    assert {path.name for path in (home / "models").iterdir()} == set(NAMES)
    again = manage("makedemo", home=home).splitlines()
    assert again
    assert all("there already" in line for line in again)
