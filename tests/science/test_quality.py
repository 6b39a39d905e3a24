"""The QARTOD tests, against ioos_qc and against numbers that one can check by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tocsin.science import quality
from tocsin.science.quality import FAIL, PASS, SUSPECT, UNTRIED

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
