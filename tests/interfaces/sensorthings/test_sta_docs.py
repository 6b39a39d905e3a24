"""docs/reference/sensorthings.md is held to the tests that it names and to what the service says of itself."""

from __future__ import annotations

import re
from pathlib import Path

from tocsin.interfaces.sensorthings.conformance import CONFORMANCE, CONFORMANCE_BY_MQTT

HERE = Path(__file__).resolve().parent
PAGE = (HERE.parents[2] / "docs" / "reference" / "sensorthings.md").read_text()
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|")) for line in PAGE.splitlines() if re.match(r"\| [a-z-]+/", line)
]


def test_every_test_that_the_page_names_is_there() -> None:
    known = {
        name for path in HERE.glob("**/test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 30
    assert named <= known


def test_the_service_claims_the_classes_of_the_page_and_no_other() -> None:
    """Each class, and each requirement that holds by its own name: suites look for either."""
    holding = {name for requirement, _, state in ROWS if state.startswith("holds") for name in names(requirement)}
    classes = {one.partition("/")[0] for one in holding}
    claimed = {one.partition("/req/")[2] for one in CONFORMANCE}
    assert len(claimed) == len(CONFORMANCE)
    assert {one for one in claimed if "/" in one} == holding
    assert {one for one in claimed if "/" not in one} <= classes
    by_mqtt = {requirement for requirement, _, state in ROWS if state.startswith(("claimed where there is an MQTT", "as above"))}
    assert by_mqtt == {one.partition("/req/")[2] for one in CONFORMANCE_BY_MQTT}


def names(requirement: str) -> list[str]:
    """The requirements of a cell: "a/b/properties, relations" is two."""
    first, *more = (part.strip() for part in requirement.split(","))
    return [first, *(f"{first.rpartition('/')[0]}/{part}" for part in more)]
