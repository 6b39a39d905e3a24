"""The words refuse nonsense when they are made."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.vocabulary import (
    Curve,
    Estimate,
    Flag,
    Footprint,
    Grid,
    InputError,
    Level,
    Member,
    Note,
    NotFound,
    Observations,
    Quantity,
    Roads,
    Series,
    Warning,
    Zones,
    column,
    decode_record,
    encode_record,
    record_id,
    stack,
)

LEVEL = Quantity("river_level", "m", -5.0, 60.0)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_quantity_believes_only_finite_values_in_its_range() -> None:
    assert LEVEL.believable(np.array([-5.0, 60.0, 60.1, np.nan, np.inf])).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(("name", "low", "high"), [("", 0, 1), ("river level", 0, 1), ("x", 1, 1), ("x", float("nan"), 1)])
def test_a_quantity_without_a_name_or_a_range_is_refused(name: str, low: float, high: float) -> None:
    with pytest.raises(InputError):
        Quantity(name, "m", low, high)


def test_a_missing_value_is_flagged_and_never_only_nan() -> None:
    seen = Observations.of(LEVEL, ("a",), [0, 0], [0, 1], [1.0, np.nan])
    assert seen.flag.tolist() == [Flag.NOT_EVALUATED, Flag.MISSING]
    with pytest.raises(InputError, match="1 NaN without flag 9"):
        Observations.of(LEVEL, ("a",), [0], [0], [1.0], flag=[1]).__class__(
            LEVEL,
            ("a",),
            column([0], np.int32),
            column([0], np.int64),
            column([np.nan], float),
            column([1], np.uint8),
            column([0], np.int64),
        )


def test_a_reading_of_a_site_that_nobody_named_is_refused() -> None:
    with pytest.raises(InputError, match="outside the 1 sites"):
        Observations.of(LEVEL, ("a",), [1], [0], [1.0])


def test_columns_that_were_handed_out_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Observations.of(LEVEL, ("a",), [0], [0], [1.0]).value[0] = 2.0


def test_the_digest_of_a_batch_changes_with_any_of_its_columns() -> None:
    digests = {
        Observations.of(LEVEL, ("a", "b"), site, time, value, arrived_us=arrived, flag=flag).digest()
        for site, time, value, arrived, flag in (
            ([0], [0], [1.0], [0], [1]),
            ([1], [0], [1.0], [0], [1]),
            ([0], [1], [1.0], [0], [1]),
            ([0], [0], [1.5], [0], [1]),
            ([0], [0], [1.0], [1], [1]),
            ([0], [0], [1.0], [0], [3]),
        )
    }
    assert len(digests) == 6


def test_a_series_is_flat_outside_and_linear_inside() -> None:
    rise = Series.of([10, 20], [1.0, 3.0])
    assert [rise.at(t) for t in (0, 10, 15, 20, 99)] == [1.0, 1.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize(("times", "values"), [([0, 0], [1, 2]), ([1, 0], [1, 2]), ([0], [np.nan]), ([], []), ([0, 1], [1])])
def test_a_series_that_does_not_rise_in_time_or_holds_no_number_is_refused(times: list[float], values: list[float]) -> None:
    with pytest.raises(InputError, match="series"):
        Series.of(times, values)


def test_a_curve_is_linear_between_its_points_and_flat_outside() -> None:
    curve = Curve(LEVEL, ((0.0, 0.0), (2.0, 0.5)), source="a table", valid="a place")
    assert curve.share(np.array([-1.0, 0.0, 1.0, 9.0])).tolist() == [0.0, 0.0, 0.25, 0.5]


@pytest.mark.parametrize(
    "points",
    [((0, 0),), ((0, 0), (0, 1)), ((0, 0.5), (1, 0.4)), ((0, 0), (1, 1.2)), ((0, -0.1), (1, 1)), ((0, 0), (1, float("nan")))],
)
def test_a_curve_that_falls_or_leaves_the_shares_is_refused(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(InputError, match="curve"):
        Curve(LEVEL, points, source="a table", valid="a place")


def test_a_curve_without_a_source_is_refused() -> None:
    with pytest.raises(InputError, match="no source"):
        Curve(LEVEL, ((0, 0), (1, 1)), source="", valid="a place")


def test_futures_of_different_shapes_are_not_stacked() -> None:
    def member(n: int) -> Member:
        return Member(*(np.zeros(n, np.float32) for _ in range(3)))

    assert stack(LEVEL, 1.0, [member(2), member(2)]).members == 2
    with pytest.raises(InputError, match="futures differ in shape"):
        stack(LEVEL, 1.0, [member(2), member(3)])
    with pytest.raises(InputError, match="no future"):
        stack(LEVEL, 1.0, [])


def test_a_footprint_with_one_short_array_is_refused() -> None:
    with pytest.raises(InputError, match="wanted all"):
        Footprint(LEVEL, 1.0, np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32))


GRID = Grid("EPSG:32631", 1000.0, 2000.0, 10.0, 4, 5)


@given(st.integers(0, 19))
def test_the_middle_of_a_cell_lies_in_that_cell(place: int) -> None:
    assert GRID.place(*GRID.centre(place)) == place


def test_a_point_outside_the_grid_has_no_place() -> None:
    assert GRID.place([999.9, 1000.0, 1049.9, 1050.0], [1995.0] * 4).tolist() == [-1, 0, 4, -1]


def test_a_grid_of_a_million_by_a_million_is_refused_before_anything_is_allocated() -> None:
    with pytest.raises(InputError, match="1000000 x 1000000 cells; wanted 1..200,000,000"):
        Grid("EPSG:32631", 0.0, 0.0, 1.0, 1_000_000, 1_000_000)


def roads(bridge: bool) -> Roads:
    return Roads(
        node_x_m=column([0, 1, 2], float),
        node_y_m=column([0, 0, 0], float),
        source=column([0, 1], np.int32),
        target=column([1, 2], np.int32),
        length_m=column([10, 10], float),
        speed_km_per_h=column([50, 50], float),
        way=column([1, 2], np.int64),
        highway=("primary", "primary"),
        name=("a", "b"),
        bridge=column([bridge, False], bool),
        start=column([0, 2, 2], np.int64),
        places=column([3, 4], np.int64),
        line_start=column([0, 2, 4], np.int64),
        line_x_m=column([0, 1, 1, 2], float),
        line_y_m=column([0, 0, 0, 0], float),
    )


def test_a_road_meets_the_worst_of_its_cells_and_nothing_outside_the_grid() -> None:
    field = np.zeros(20)
    field[[3, 4, 0]] = 0.2, 0.7, 9.0
    assert roads(bridge=False).worst_along(field).tolist() == [0.7, 0.0]


def test_a_bridge_stands_above_the_water() -> None:
    assert roads(bridge=True).worst_along(np.ones(20)).tolist() == [0.0, 0.0]


def test_a_zone_that_is_not_there_is_refused_with_those_that_are() -> None:
    zones = Zones(("north", "south"), column([-1, 0, 1, 1], np.int32))
    assert zones.places("south").tolist() == [2, 3]
    with pytest.raises(NotFound, match="no zone 'east'; there are: north, south"):
        zones.places("east")


def test_a_record_is_named_by_what_it_says() -> None:
    line = Note(time=NOON, subject="a", text="x")
    assert record_id(line) == record_id(Note(time=NOON, subject="a", text="x"))
    assert record_id(line) != record_id(Note(time=NOON, subject="a", text="y"))
    assert record_id(line).startswith("note-")
    assert len(record_id(line)) == len("note-") + 32


def test_every_record_is_read_back_as_it_was_written() -> None:
    raised = Warning(
        time=NOON,
        subject="a",
        hazard="flood",
        rule="r",
        level=Level.RED,
        before=Level.NONE,
        reason="r",
        value=None,
        unit="m",
        public=False,
    )
    assert decode_record(encode_record(raised)) == raised


@pytest.mark.parametrize("row", [b"", b"{}", b'{"kind":"nothing"}', b'{"kind":"note","time":"2026-01-01T00:00:00Z"}', b"\xff"])
def test_a_row_that_is_no_record_is_refused(row: bytes) -> None:
    with pytest.raises(InputError, match="record:"):
        decode_record(row)


def test_a_record_without_a_time_zone_is_refused() -> None:
    with pytest.raises(InputError, match="has no zone"):
        Note(time=datetime(2026, 1, 1), subject="a", text="x")  # noqa: DTZ001


def test_an_estimate_keeps_its_unit() -> None:
    assert Estimate(1.0, 0.0, 1.0, 2.0, "persons").unit == "persons"


def test_of_many_names_those_are_told_that_may_have_been_meant_and_a_dozen() -> None:
    from tocsin.vocabulary.errors import named

    assert named("Quai", ["Hill", "Quay"]) == "Hill, Quay"
    assert named("Quai", []) == "none"
    assert named("Quai", [*"abcdefghijklmn", "Quay"]) == "did you mean Quay? a, b, c, d, e, f, g, h, i, j, k, l and 3 more"
