"""The lock files: everything by exact version and hash, and no index is named in them."""

import json
import re
from pathlib import Path

import pytest

from tests.early import ROOT

REQUIREMENTS = ROOT / "requirements"
LOCKS = sorted(path for path in REQUIREMENTS.glob("*.txt"))
PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?P<marker> ; .*?)? \\$", re.MULTILINE)


def pins(lock: Path) -> set[str]:
    return {match[0] for match in PIN.finditer(lock.read_text())}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_each_package_is_pinned_with_its_hashes(lock: Path) -> None:
    text = lock.read_text()
    blocks = [block for block in re.split(r"\n(?=[a-zA-Z0-9])", text) if not block.startswith("#")]
    assert blocks
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block or not PIN.match(block)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_index_is_named(lock: Path) -> None:
    assert re.findall(r"https?://|file://|--index|--extra-index|--find-links", lock.read_text()) == []


def test_what_the_tests_install_holds_what_the_server_runs_on() -> None:
    assert pins(REQUIREMENTS / "site.txt") - pins(REQUIREMENTS / "dev.txt") == set()


def test_javascript_is_pinned_by_version_and_integrity() -> None:
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    assert locked[""]["dependencies"] == wanted
    packages = {name: package for name, package in locked.items() if name}
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []
