"""The world of the conformance suite: one that is only read, and a fresh copy of it for each row that writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance_world import build
from sta_place import Sta, open_sta


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the world, closed."""
    folder = tmp_path_factory.mktemp("conformance")
    build(folder).things.close()
    return folder


@pytest.fixture(scope="session")
def world(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sta]:
    folder = tmp_path_factory.mktemp("read")
    shutil.copytree(built, folder, dirs_exist_ok=True)
    sta = open_sta(folder)
    yield sta
    sta.things.close()


@pytest.fixture
def fresh(built: Path, tmp_path: Path) -> Iterator[Sta]:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    sta = open_sta(tmp_path)
    yield sta
    sta.things.close()
