"""The suite is held to the page: every requirement that the page lists has rows, and every row names a requirement of the page."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import test_conformance_extensions
import test_conformance_filter
import test_conformance_hostile
import test_conformance_mqtt
import test_conformance_query
import test_conformance_read
import test_conformance_write

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "reference" / "sensorthings.md").read_text()
ROWS = [
    *test_conformance_read.ROWS,
    *test_conformance_query.ROWS,
    *test_conformance_filter.ROWS,
    *test_conformance_write.REFUSALS,
    *(row for story in test_conformance_write.STORIES.values() for row in story),
    *test_conformance_extensions.ROWS,
]
BATCHES = test_conformance_extensions.BATCHES + test_conformance_extensions.JSON_BATCHES
ABOUT = Counter([row.about for row in ROWS] + [about for about, _ in test_conformance_mqtt.ROWS])
ABOUT["batch-request/batch-request"] += sum(len(one[2]) for one in BATCHES)


def listed() -> set[str]:
    """The requirements of the table; "a/b/properties, relations" is two."""
    found: set[str] = set()
    for line in PAGE.splitlines():
        match = re.match(r"\| ([a-z-]+/[^|]+) \|", line)
        if match:
            first, *more = (part.strip() for part in match.group(1).split(","))
            found |= {first, *(f"{first.rpartition('/')[0]}/{part}" for part in more)}
    return found


def test_every_requirement_of_the_page_has_rows_and_every_row_a_requirement() -> None:
    assert set(ABOUT) == listed()


def test_the_page_says_how_many_requests_there_are() -> None:
    total = ABOUT.total() + len(test_conformance_hostile.ROWS)
    assert total > 700
    match = re.search(r"over ([\d,]+) requests", PAGE)
    assert match is not None
    assert total - 100 < int(match.group(1).replace(",", "")) < total
