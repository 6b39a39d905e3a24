"""One process for all rows that only read, and one for the stories that write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from served_place import WEIR, Wire, ids_of, serving


@pytest.fixture(scope="session")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with serving(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(scope="session")
def ids(wire: Wire) -> dict[str, int]:
    return ids_of(wire, wire.made("Things", WEIR))


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with serving(tmp_path_factory.mktemp("written")) as found:
        yield found
