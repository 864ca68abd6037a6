"""Browser tests run on the Chromium that the machine has; Playwright downloads none."""

import os
import shutil
from typing import Any

import pytest

from tools.system import CHROME_ON_MACOS, CHROMIUM


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    found = next(filter(None, map(shutil.which, CHROMIUM)), None) or (CHROME_ON_MACOS.exists() and str(CHROME_ON_MACOS))
    if not found:
        assert not os.environ.get("FMLX_REQUIRE_SERVICES"), "Chromium is not installed; 'make test' installs it."
        pytest.skip("Chromium is not installed; 'make test' says how to install it.")
    sandboxless = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox refuses root
    return {"executable_path": found, "args": ["--disable-dev-shm-usage", *sandboxless]}
