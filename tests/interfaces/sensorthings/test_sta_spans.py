"""Intervals in filters: before, after, inside and equal, for moments and intervals on both sides."""

from __future__ import annotations

from typing import Any

import pytest
from sta_place import Sta, open_sta, place, stream, thing

# hours; a moment is one number. The moment or interval compared with is 7, or 7 to 8.
SEEN: dict[str, tuple[float, ...]] = {
    "at6": (6,),
    "at7": (7,),
    "at7.5": (7.5,),
    "at8": (8,),
    "at9": (9,),
    "6-7": (6, 7),
    "6-7.5": (6, 7.5),
    "7-7.5": (7, 7.5),
    "7-8": (7, 8),
    "7-9": (7, 9),
    "7.5-9": (7.5, 9),
    "8-9": (8, 9),
}


def clock(hour: float) -> str:
    return f"2026-01-01T{int(hour):02}:{int(hour % 1 * 60):02}:00Z"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    sta = open_sta(tmp_path_factory.mktemp("spans"))
    rows = [{"result": name, "phenomenonTime": "/".join(clock(hour) for hour in hours)} for name, hours in SEEN.items()]
    sta.made("Things", thing(Locations=[place(8, 51)], Datastreams=[stream(Observations=rows), stream("empty")]))
    yield sta
    sta.things.close()


AT, OVER = clock(7), f"{clock(7)}/{clock(8)}"


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (f"phenomenonTime lt {AT}", "at6 6-7"),
        (f"phenomenonTime gt {AT}", "at7.5 at8 at9 7.5-9 8-9"),
        (f"phenomenonTime le {AT}", "at6 at7 6-7"),
        (f"phenomenonTime ge {AT}", "at7 at7.5 at8 at9 7-7.5 7-8 7-9 7.5-9 8-9"),
        (f"phenomenonTime eq {AT}", "at7"),
        (f"{AT} gt phenomenonTime", "at6 6-7"),
        (f"{AT} le phenomenonTime", "at7 at7.5 at8 at9 7-7.5 7-8 7-9 7.5-9 8-9"),
        (f"phenomenonTime lt {OVER}", "at6 6-7"),
        (f"phenomenonTime gt {OVER}", "at8 at9 8-9"),
        (f"phenomenonTime le {OVER}", "at6 at7 6-7 6-7.5 7-7.5 7-8"),
        (f"phenomenonTime ge {OVER}", "at8 at9 7-8 7-9 7.5-9 8-9"),
        (f"phenomenonTime eq {OVER}", "7-8"),
        (f"not (phenomenonTime ne {OVER})", "7-8"),
        (f"before(phenomenonTime, {OVER})", "at6 6-7"),
        (f"after(phenomenonTime, {OVER})", "at8 at9 8-9"),
        (f"meets(phenomenonTime, {AT})", "at7 6-7 7-7.5 7-8 7-9"),
        (f"meets(phenomenonTime, {OVER})", "at7 at8 6-7 8-9"),
        (f"during(phenomenonTime, {OVER})", "at7 at7.5 7-7.5 7-8"),
        (f"during({AT}, phenomenonTime)", "6-7.5 7-7.5 7-8 7-9"),
        (f"overlaps(phenomenonTime, {AT})", "at7 6-7.5 7-7.5 7-8 7-9"),
        (f"overlaps(phenomenonTime, {OVER})", "at7 at7.5 6-7.5 7-7.5 7-8 7-9 7.5-9"),
        (f"starts(phenomenonTime, {OVER})", "at7 7-7.5 7-8 7-9"),
        (f"finishes(phenomenonTime, {OVER})", "at8 7-8"),
        (f"phenomenonTime add duration'PT1H' eq {clock(8)}/{clock(9)}", "7-8"),
    ],
)
def test_a_moment_and_an_interval_compare_by_where_they_begin_and_end(seen: Sta, condition: str, wanted: str) -> None:
    assert set(seen.results(condition)) == set(wanted.split())


def test_a_stream_without_observations_has_no_time_and_is_found_by_that(seen: Sta) -> None:
    assert seen.names("Datastreams", filter="phenomenonTime eq null") == ["empty"]
    assert seen.names("Datastreams", filter=f"phenomenonTime ge {clock(6)}") == ["level at quay"]
    assert seen.names("Datastreams", filter=f"phenomenonTime gt {clock(6)}") == []
    assert seen.names("Datastreams", filter=f"phenomenonTime eq {clock(6)}/{clock(9)}") == ["level at quay"]
    assert seen.names("Datastreams", filter=f"overlaps(phenomenonTime, {AT})") == ["level at quay"]
