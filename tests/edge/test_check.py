"""Checks as data: what a settings file can say, and how codes of many tests share one number."""

from __future__ import annotations

import tomllib

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tocsin.edge.check import Check, blamed, code_of, flags, pack, worst_of
from tocsin.edge.check import Test as QartodTest
from tocsin.vocabulary import Flag

TABLE = """
quantity = { name = "water_temperature", unit = "degC", low = -5.0, high = 45.0 }
interval_s = 600.0
source = "a test"
sensor_span = [-2.0, 40.0]
depth_m = { buoy = 12.0 }
attenuated_suspect = 0.05
attenuated_s = 86400.0
attenuated_method = "std"
neighbours = { buoy = ["pier"] }
neighbour_suspect = 3.0
neighbour_least = 1
[[climates]]
first = 12
last = 2
usual = [0.0, 12.0]
possible = [-2.0, 20.0]
depth_m = [0.0, 20.0]
[location]
box = [5.0, 53.0, 9.0, 55.0]
moved_m = 200.0
home = { buoy = [6.5, 54.0] }
away_m = 1000.0
"""


def test_a_settings_file_can_say_all_of_a_check() -> None:
    check = msgspec.convert(tomllib.loads(TABLE), type=Check)
    assert check.climates[0].usual == (0.0, 12.0)
    assert check.location is not None
    assert check.location.homes(("pier", "buoy"))[1].tolist() == [6.5, 54.0]
    assert np.isnan(check.location.homes(("pier",))).all()
    assert check.spans(("buoy", "pier"))[:, 4].tolist()[0] == 12.0
    assert np.isnan(check.spans(("buoy", "pier"))[1, 4])
    assert check.context >= 86400 / 600


codes = st.lists(st.integers(0, 3), min_size=len(QartodTest), max_size=len(QartodTest))


@given(codes)
def test_every_test_keeps_its_code_and_the_worst_of_all_is_found(told: list[int]) -> None:
    packed = pack({test: np.array([code], np.uint8) for test, code in zip(QartodTest, told, strict=True)}, (1,))
    assert [int(code_of(packed, test)[0]) for test in QartodTest] == told
    assert int(worst_of(packed)[0]) == max(told)
    words = blamed(int(packed[0]), Flag.NOT_EVALUATED)
    assert words == ("" if max(told) < 2 else QartodTest(told.index(max(told))).name.lower().replace("_", " "))


@given(codes, st.sampled_from([Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.FAIL]))
def test_the_flag_is_never_better_than_what_any_test_or_the_source_said(told: list[int], given_flag: Flag) -> None:
    packed = pack({test: np.array([code], np.uint8) for test, code in zip(QartodTest, told, strict=True)}, (1,))
    flag = int(flags(packed, np.array([given_flag], np.uint8), np.ones(1))[0])
    severity = {Flag.NOT_EVALUATED: 0, Flag.GOOD: 1, Flag.SUSPECT: 2, Flag.FAIL: 3}
    assert severity[Flag(flag)] == max(*told, severity[given_flag])
