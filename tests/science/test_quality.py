"""The QARTOD tests, against ioos_qc and against numbers that one can check by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tocsin.science import quality
from tocsin.science.quality import FAIL, PASS, SUSPECT, UNTRIED
from tocsin.vocabulary import InputError

NO_LIMIT = np.inf
STEP_US = 360_000_000


def made_up_series(seed: int, size: int = 400) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """A rough series in steps of 1 cm, every 6 minutes, with spikes and a stuck stretch."""
    rng = np.random.default_rng(seed)
    value = np.round(2.0 + np.cumsum(rng.normal(0.0, 0.02, size)), 2)
    value[rng.integers(0, size, 12)] += rng.choice([-0.5, 0.15, 0.5, 4.0], 12)
    value[200:230] = value[200]
    return np.arange(size) * STEP_US, np.round(value, 2)


def as_flags(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.array([2, 1, 3, 4], np.uint8)[codes]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("method", ["average", "differential"])
def test_spikes_are_those_that_ioos_qc_finds(seed: int, method: str) -> None:
    oracle = pytest.importorskip("ioos_qc.qartod")
    time_us, value = made_up_series(seed)
    # thresholds that lie between the differences of a series in whole and half centimetres: no tie hangs on rounding
    ours = quality.spike(time_us[None], value[None], suspect=0.1013, fail=0.2013, apart_s=3600.0, method=method)
    theirs = oracle.spike_test(value, suspect_threshold=0.1013, fail_threshold=0.2013, method=method)
    assert as_flags(ours[0]).tolist() == np.asarray(theirs).tolist()
    assert (ours == FAIL).any()


@pytest.mark.parametrize("seed", range(5))
def test_gross_range_is_that_of_ioos_qc(seed: int) -> None:
    oracle = pytest.importorskip("ioos_qc.qartod")
    value = made_up_series(seed)[1]
    ours = quality.gross_range(value[None], 1.5, 5.0, 1.8, 2.2)
    theirs = oracle.gross_range_test(value, fail_span=(1.5, 5.0), suspect_span=(1.8, 2.2))
    assert as_flags(ours[0]).tolist() == np.asarray(theirs).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_rate_of_change_is_that_of_ioos_qc_but_for_the_first_reading(seed: int) -> None:
    oracle = pytest.importorskip("ioos_qc.qartod")
    time_us, value = made_up_series(seed)
    per_h = 0.253
    ours = quality.rate_of_change(time_us[None], value[None], suspect_per_h=per_h)
    theirs = oracle.rate_of_change_test(value, time_us.astype("datetime64[us]"), threshold=per_h / 3600.0)
    assert ours[0, 0] == UNTRIED
    assert as_flags(ours[0])[1:].tolist() == np.asarray(theirs)[1:].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_flat_lines_are_those_that_ioos_qc_finds(seed: int) -> None:
    oracle = pytest.importorskip("ioos_qc.qartod")
    time_us, value = made_up_series(seed)
    ours = quality.flat_line(time_us[None], value[None], first=0, tolerance=0.005, suspect_s=1800.0, fail_s=3600.0, context=100)
    theirs = oracle.flat_line_test(value, time_us.astype("datetime64[us]"), 1800, 3600, tolerance=0.005)
    assert as_flags(ours[0]).tolist() == np.asarray(theirs).tolist()
    assert (ours == FAIL).sum() >= 20


def test_the_manuals_flat_line_is_suspect_at_three_and_fails_at_five() -> None:
    time_us = np.arange(6)[None] * STEP_US
    value = np.array([[1.0, 2.0, 2.0, 2.0, 2.0, 2.0]])
    codes = quality.flat_line(time_us, value, first=0, tolerance=0.001, suspect_s=720.0, fail_s=1440.0, context=20)
    assert codes[0].tolist() == [PASS, PASS, PASS, SUSPECT, SUSPECT, FAIL]


def test_a_steady_fall_is_no_flat_line() -> None:
    """The manual's instruction, read literally, compares without the absolute value: any fall would be flat."""
    time_us = np.arange(8)[None] * STEP_US
    value = 5.0 - 0.1 * np.arange(8)[None]
    codes = quality.flat_line(time_us, value, first=0, tolerance=0.001, suspect_s=720.0, fail_s=1440.0, context=20)
    assert (codes == PASS).all()


def test_the_front_of_a_flood_wave_is_no_spike_by_differences_but_is_by_the_manuals_average() -> None:
    time_us = np.arange(5)[None] * STEP_US
    wave = np.array([[1.0, 1.0, 2.0, 2.0, 2.0]])
    spike = {
        method: quality.spike(time_us, wave, suspect=0.1, fail=0.2, apart_s=3600.0, method=method)[0].tolist()
        for method in ("average", "differential")
    }
    assert spike["differential"] == [UNTRIED, PASS, PASS, PASS, UNTRIED]
    assert spike["average"] == [UNTRIED, FAIL, FAIL, PASS, UNTRIED]


def test_tests_look_past_a_missing_reading_but_not_past_a_long_silence() -> None:
    value = np.array([[1.0, np.nan, 2.0, np.nan, 1.0]])
    near, far = np.arange(5)[None] * STEP_US, np.arange(5)[None] * 100 * STEP_US
    assert quality.spike(near, value, suspect=0.1, fail=0.2, apart_s=3600.0)[0, 2] == FAIL
    assert quality.spike(far, value, suspect=0.1, fail=0.2, apart_s=3600.0)[0, 2] == UNTRIED
    assert quality.rate_of_change(near, value, suspect_per_h=1.0)[0].tolist() == [UNTRIED, UNTRIED, SUSPECT, UNTRIED, SUSPECT]


def test_a_test_at_its_threshold_passes() -> None:
    assert quality.gross_range(np.array([[-0.5, 10.0]]), -0.5, 10.0, -NO_LIMIT, NO_LIMIT)[0].tolist() == [PASS, PASS]
    exact = np.array([[1.0, 1.25, 1.0]])
    assert quality.spike(np.arange(3)[None], exact, suspect=0.25, fail=0.5, apart_s=1.0)[0, 1] == PASS


def test_moved_since_names_the_last_moment_from_which_the_value_moved_so_far() -> None:
    time_us = np.arange(5)[None]
    there_and_back = np.array([[1.0, 1.0, 1.5, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    moved = quality.moved_since(np.repeat(time_us, 2, 0), there_and_back, by=0.3)
    assert moved.tolist() == [2, np.iinfo(np.int64).min]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("method", ["std", "range"])
def test_an_attenuated_signal_is_what_ioos_qc_calls_one(seed: int, method: str) -> None:
    oracle = pytest.importorskip("ioos_qc.qartod")
    time_us, value = made_up_series(seed)
    if method == "std":  # beside a missing value the oracle knows no range
        value[[37, 38, 90, 210]] = np.nan
    ours = quality.attenuated_signal(
        time_us[None], value[None], first=0, period_s=3600.0, suspect=0.1213, fail=0.0313, least=5, context=12, method=method
    )
    theirs = oracle.attenuated_signal_test(
        value, time_us.astype("datetime64[us]"), 0.1213, 0.0313, test_period=3600, min_obs=5, check_type=method
    )
    theirs = np.where(np.asarray(theirs) == 9, 2, np.asarray(theirs))  # where there is no number we say UNTRIED
    assert as_flags(ours[0]).tolist() == theirs.tolist()
    assert {SUSPECT, FAIL, PASS} <= set(ours[0].tolist())


def test_what_an_attenuated_signal_says_of_a_reading_does_not_depend_on_what_stands_beside_its_window() -> None:
    time_us, value = made_up_series(1)
    settings = {"period_s": 3600.0, "suspect": 0.1213, "fail": 0.0313, "least": 5, "context": 12, "method": "std"}
    whole = quality.attenuated_signal(time_us[None], value[None], first=0, **settings)[0]
    for begin in (3, 50, 201):
        part = quality.attenuated_signal(time_us[None, begin:], value[None, begin:], first=12, **settings)[0]
        assert part.tolist() == whole[begin + 12 :].tolist()


@pytest.mark.filterwarnings("ignore:.*dayofyear is deprecated")
@pytest.mark.parametrize("seed", range(3))
def test_climatology_by_month_and_depth_is_that_of_ioos_qc(seed: int) -> None:
    oracle = pytest.importorskip("ioos_qc.qartod")
    rng = np.random.default_rng(seed)
    time_us = np.sort(rng.integers(0, 730, 300)) * 86_400_000_000 + 1_700_000_000_000_000
    value, depth = rng.normal(10.0, 8.0, 300), rng.choice([0.0, 5.0, 10.0, 30.0], 300)
    climates = [
        quality.Climate(first=1, last=3, usual=(0.0, 12.0), possible=(-5.0, 20.0)),
        quality.Climate(first=4, last=9, usual=(5.0, 22.0), possible=(-2.0, 28.0)),
        quality.Climate(first=4, last=9, usual=(5.0, 15.0), depth_m=(10.0, 30.0)),
        quality.Climate(first=300, last=330, usual=(8.0, 10.0), period="day_of_year"),
    ]
    members = [
        {
            "tspan": (c.first, c.last),
            "vspan": c.usual,
            "fspan": c.possible,
            "zspan": c.depth_m,
            "period": {"month": "month", "day_of_year": "dayofyear"}[c.period],
        }
        for c in climates
    ]
    theirs = np.asarray(oracle.climatology_test(members, value, time_us.astype("datetime64[us]"), depth))
    ours = quality.climatology(time_us[None], value[None], depth[None], climates)
    assert as_flags(ours[0]).tolist() == theirs.tolist()
    assert set(ours[0].tolist()) == {UNTRIED, PASS, SUSPECT, FAIL}


def test_a_climate_of_some_depths_says_nothing_where_the_depth_is_not_known_and_none_where_the_value_is_not() -> None:
    deep = quality.Climate(first=1, last=12, usual=(2.0, 6.0), depth_m=(100.0, 500.0))
    codes = quality.climatology(
        np.zeros((3, 2), np.int64), np.array([[9.0, np.nan]] * 3), np.array([[200.0], [10.0], [np.nan]]), [deep]
    )
    assert codes.tolist() == [[SUSPECT, UNTRIED], [UNTRIED, UNTRIED], [UNTRIED, UNTRIED]]


def test_a_winter_goes_over_the_new_year() -> None:
    winter = quality.Climate(first=12, last=2, usual=(-10.0, 10.0))
    days = np.array(["2024-11-30", "2024-12-01", "2025-02-28", "2025-03-01"], "datetime64[us]").astype(np.int64)
    codes = quality.climatology(days[None], np.full((1, 4), 12.0), np.full((1, 1), np.nan), [winter])
    assert codes[0].tolist() == [UNTRIED, SUSPECT, SUSPECT, UNTRIED]


@pytest.mark.parametrize(
    "nonsense",
    [{"first": 0}, {"last": 13}, {"usual": (2.0, 1.0)}, {"possible": (1.0, 1.0)}, {"depth_m": (5.0, 1.0)}, {"period": "week"}],
)
def test_a_climate_of_nonsense_is_refused(nonsense: dict[str, object]) -> None:
    settings: dict[str, object] = {"first": 1, "last": 12, "usual": (0.0, 1.0), **nonsense}
    with pytest.raises(InputError, match="climatology"):
        quality.Climate(**settings)  # type: ignore[arg-type]


def test_a_leap_of_position_is_what_ioos_qc_finds_with_the_haversine() -> None:
    oracle = pytest.importorskip("ioos_qc.qartod")
    pytest.importorskip("gsw")
    rng = np.random.default_rng(3)
    lon, lat = 5.0 + np.cumsum(rng.normal(0, 0.01, 200)), 50.0 + np.cumsum(rng.normal(0, 0.01, 200))
    lon[40], lat[80] = 181.0, -95.0
    ours = quality.location(lon[None], lat[None], moved_m=1503.0)
    theirs = oracle.location_test(lon, lat, range_max=1503.0)
    assert as_flags(ours[0]).tolist() == np.asarray(theirs).tolist()
    assert (ours == SUSPECT).sum() > 10


def test_a_position_outside_the_box_fails_and_one_far_from_home_is_suspect() -> None:
    lon, lat = np.array([[-51.20, -51.20, -51.25, -52.0]]), np.array([[-30.0, -30.1, -30.0, -30.0]])
    home = np.array([[-51.20, -30.0]])
    codes = quality.location(lon, lat, box=(-51.5, -30.5, -51.0, -29.5), home=home, away_m=8000.0)
    assert codes[0].tolist() == [PASS, SUSPECT, PASS, FAIL]  # 0.1 degrees of latitude are 11.1 km, 0.05 of longitude 4.8 km
    over_180 = quality.location(np.array([[179.9, -179.9, 0.0]]), np.zeros((1, 3)), box=(170.0, -10.0, -170.0, 10.0))
    assert over_180[0].tolist() == [PASS, PASS, FAIL]


def test_a_degree_of_the_equator_is_a_360th_of_the_circle() -> None:
    one = quality.distance_m(np.array(0.0), np.array(0.0), np.array(1.0), np.array(0.0))
    assert float(one) == pytest.approx(2 * np.pi * 6_371_000.0 / 360, rel=1e-12)


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=12, unique=True),
    st.lists(st.integers(0, 60), min_size=1, max_size=12, unique=True),
    st.integers(0, 2**12 - 1),
    st.integers(1, 20),
)
def test_the_number_at_the_same_time_is_the_nearest_one(mine: list[int], theirs: list[int], holes: int, apart: int) -> None:
    time_us, other_us = (np.array(sorted(t), np.int64)[None] * 1_000_000 for t in (mine, theirs))
    other = np.array([[np.nan if holes >> k & 1 else float(k) for k in range(len(theirs))]])
    found = quality.at_same_time(time_us, other_us, other, apart_s=float(apart))[0]
    for at, number in zip(sorted(mine), found.tolist(), strict=True):
        near = [(abs(t - at), t, k) for k, t in enumerate(sorted(theirs)) if not holes >> k & 1 and abs(t - at) <= apart]
        assert (number == min(near)[2]) if near else np.isnan(number)


def test_a_reading_far_from_the_median_of_its_neighbours_is_suspect_and_fails_only_if_asked() -> None:
    value = np.array([[1.0, 1.0, 5.0, 5.0]])
    beside = np.array([[[1.1, np.nan, 1.0, 1.0]], [[0.9, 1.0, 1.2, np.nan]], [[9.0, np.nan, 0.8, np.nan]]])
    assert quality.neighbour(value, beside, suspect=0.5, least=2)[0].tolist() == [PASS, UNTRIED, SUSPECT, UNTRIED]
    assert quality.neighbour(value, beside, suspect=0.5, fail=3.0, least=1)[0].tolist() == [PASS, PASS, FAIL, FAIL]
