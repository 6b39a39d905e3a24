"""What the tests of the exchange share."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree


@pytest.fixture(scope="session")
def cap12(shared_data: Path) -> etree.XMLSchema:
    """The schema of OASIS, which is not ours to ship."""
    return etree.XMLSchema(etree.parse(shared_data / "cap" / "xsd" / "cap12.xsd"))
