"""Observations that are a number at a moment, read column by column: a page of a thousand makes no thousand entities of them.

What `is_plain` says lies in the table as a generated column and in the index of a stream's times, so that a page of a stream is read
from that index alone: a thousand neighbours, where the rows of a hundred streams that came together lie on a thousand pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tocsin.platform.things.model import EntityType
from tocsin.platform.things.query import Query

COLUMNS = (
    *("id", "datastream_id", "feature_id", "phenomenon_us"),
    *("value", "resulted_us", "result_quality", "is_plain"),
)
IS_PLAIN = """multi_datastream_id IS NULL AND phenomenon_end_us IS NULL AND phenomenon_text IS NULL
    AND (result IS NULL OR (value IS NULL AND result = 'null')) AND resulted_text IS NULL AND valid_us IS NULL AND parameters IS NULL"""
ONES = ("Datastream", "MultiDatastream", "FeatureOfInterest")
E = TypeVar("E")


@dataclass
class Plain(Generic[E]):
    """Observations as columns. `others` are those that are more than a number at a moment, as entities by their place.

    `expanded` has for each relation that was asked for the entities by their ids; a plain Observation has no MultiDatastream.
    """

    id: Sequence[int]
    stream: Sequence[int | None]
    feature: Sequence[int]
    time_us: Sequence[int]
    value: Sequence[float | int | None]
    resulted_us: Sequence[int | None]
    quality: Sequence[str | None]
    is_plain: Sequence[int]
    others: dict[int, E] = field(default_factory=dict)
    expanded: dict[str, dict[int, E]] = field(default_factory=dict)

    @staticmethod
    def of(rows: Sequence[tuple[Any, ...]]) -> Plain[Any]:
        """Rows that have COLUMNS."""
        return Plain(*(zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)))


def is_all_plain(found: Plain[Any]) -> bool:
    """True if no row has to be read again as an entity."""
    return all(found.is_plain)


def is_plain_query(kind: EntityType, query: Query) -> bool:
    """True if a query on a set of that kind can be answered from COLUMNS: Observations, with nothing but ways to one expanded."""
    return kind.name == "Observation" and all(part.link in ONES for part in query.expand)
