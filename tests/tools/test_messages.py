"""Translations are compiled without gettext on the machine."""

import gettext
import shutil
from pathlib import Path

import pytest

from tests.early import ROOT
from tools import messages


@pytest.mark.parametrize(("language", "said"), [("zh_Hans", "视频"), ("ru", "Видео")])
def test_what_is_compiled_is_what_readers_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, said: str
) -> None:
    shutil.copytree(ROOT / "locale", tmp_path / "locale", ignore=shutil.ignore_patterns("*.mo"))
    monkeypatch.setattr(messages, "ROOT", tmp_path)
    messages.main()
    assert gettext.translation("django", tmp_path / "locale", [language]).gettext("Videos") == said
    written = {path.name for path in (tmp_path / "locale" / language / "LC_MESSAGES").iterdir()}
    assert written == {"django.po", "django.mo"}
