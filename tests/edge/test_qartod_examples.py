"""The defaults for water level are the examples of the QARTOD manual, and the flags mean what it says they mean."""

from __future__ import annotations

import pytest

from tocsin.edge.check import qartod_water_level
from tocsin.vocabulary import Flag, Quantity

LEVEL = Quantity("river_level", "m")
# Manual for Real-Time Quality Control of Water Level Data, as read at github.com/ioos/qartod_manuals, Water_Level v0.2.3
TEST_4 = {"SENSOR_MAX": 10.0, "SENSOR_MIN": -0.5, "USER_MAX": 5.0, "USER_MIN": -0.5}
TEST_6 = {"THRSHLD_LOW": 0.1, "THRSHLD_HIGH": 0.2}
TEST_8 = {"REP_CNT_FAIL": 5, "REP_CNT_SUSPECT": 3, "EPS": 0.001}
FLAGS = {1: "pass", 2: "not evaluated", 3: "suspect or of high interest", 4: "fail", 9: "missing data"}


def test_the_defaults_are_the_examples_that_the_manual_prints() -> None:
    check = qartod_water_level(LEVEL)
    assert check.sensor_span == (TEST_4["SENSOR_MIN"], TEST_4["SENSOR_MAX"])
    assert check.usual_span == (TEST_4["USER_MIN"], TEST_4["USER_MAX"])
    assert (check.spike_suspect, check.spike_fail) == (TEST_6["THRSHLD_LOW"], TEST_6["THRSHLD_HIGH"])
    assert check.flat_tolerance == TEST_8["EPS"]
    # "when the five (three) most recent observations are equal": four (two) intervals
    assert check.flat_fail_s == (TEST_8["REP_CNT_FAIL"] - 1) * check.interval_s
    assert check.flat_suspect_s == (TEST_8["REP_CNT_SUSPECT"] - 1) * check.interval_s
    assert check.spike_method == "average"  # SPK_REF is the mean of the two neighbours
    assert check.verified


def test_a_local_number_is_no_longer_the_manuals() -> None:
    assert not qartod_water_level(LEVEL, usual_span=(-0.5, 8.0)).verified


@pytest.mark.parametrize(("number", "meaning"), FLAGS.items())
def test_flags_have_the_manuals_numbers(number: int, meaning: str) -> None:
    ours = {
        "GOOD": "pass",
        "PASS": "pass",
        "UNTESTED": "not evaluated",
        "NOT_EVALUATED": "not evaluated",
        "MISSING": "missing data",
    }
    name = Flag(number).name
    assert ours.get(name, name.lower()) in meaning
