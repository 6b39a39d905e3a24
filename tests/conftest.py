"""What all tests share: where the real data is, and what a missing part of the machine means."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def missing(what: str) -> None:
    """Skip by name on a person's machine, fail in CI: a silent skip would be a hole in the checks."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing in CI; .ci/run has to install it")
    pytest.skip(f"{what} is not on this machine")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; a test that needs it is skipped by name where it is absent."""
    folder = Path(os.environ.get("TOCSIN_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data: {folder} is absent")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium, with which the console is tested."""
    found = shutil.which("chromium")
    if found is None:
        missing("chromium (apt-get install chromium)")
    return str(found)
