"""The library of default thresholds: each number names its source, and only what was read may warn the public."""

from __future__ import annotations

import numpy as np
import pytest
from test_ready_rules import judged, window

from tocsin.pack.thresholds import Threshold, default_rule, find_threshold, limits_of, thresholds
from tocsin.vocabulary import InputError, Level, NotFound, Quantity, Refused

RAIN = Quantity("rain_amount", "mm", low=0, high=500)
FIRE = Quantity("fire_weather_index", "1")
GOOD: dict[str, object] = {
    "quantity": "rain_amount",
    "unit": "mm",
    "statistic": "sum",
    "averaging_h": 1.0,
    "at": {"red": 1.0},
    "printed": "p",
    "region": "r",
    "title": "t",
    "publisher": "p",
    "where": "w",
    "status": "unverified",
}


@pytest.mark.parametrize("name", sorted(thresholds()))
def test_every_threshold_names_its_source_and_makes_limits_that_say_if_it_was_read(name: str) -> None:
    one = find_threshold(name)
    assert one.limits.verified is (one.status == "verified")
    assert one.publisher in one.limits.source
    assert one.limits.source.endswith("(unverified)") is not one.verified
    assert set(one.limits.at) <= set(Level)
    if one.verified:
        assert one.where.startswith("http")


@pytest.mark.parametrize("name", sorted(thresholds()))
def test_a_rule_for_the_public_is_refused_where_nobody_read_the_source(name: str) -> None:
    one = find_threshold(name)
    quantity = Quantity(one.quantity, one.unit)
    assert limits_of(name, quantity, public=False) == one.limits
    if one.verified and one.for_public:
        assert limits_of(name, quantity, public=True).verified
    else:
        with pytest.raises(Refused, match="may not warn the public"):
            limits_of(name, quantity, public=True)
        with pytest.raises(Refused):
            default_rule("r", quantity, [name], max_age_s=600.0, interval_s=600.0, public=True)
        assert default_rule("r", quantity, [name], max_age_s=600.0, interval_s=600.0).verified is one.verified


def test_limits_for_workers_never_warn_the_public_though_they_were_read() -> None:
    workers = {name: one for name, one in thresholds().items() if not one.for_public}
    assert {name: (dict(one.at), one.averaging_h) for name, one in workers.items()} == {
        "carbon_monoxide_8h_work_us": ({"orange": 50.0}, 8.0),  # 29 CFR 1910.1000, table Z-1
        "carbon_monoxide_ceiling_work_us": ({"red": 200.0}, None),  # NIOSH 1972
    }
    for name, one in workers.items():
        assert one.verified
        assert "workplaces" in one.region
        with pytest.raises(Refused, match="for grown workers; it may not warn the public"):
            limits_of(name, Quantity(one.quantity, one.unit), public=True)


def test_some_are_verified_and_most_are_not() -> None:
    verified = {name for name, one in thresholds().items() if one.verified}
    assert verified == {
        "rain_1h_hong_kong",
        "rain_1h_germany_severe",
        "rain_6h_germany_severe",
        "wind_tropical_cyclone",
        "wind_gust_severe_thunderstorm_us",
        "heat_index_us",
        "fire_weather_index_europe",
        "dose_rate_australia",
        "carbon_monoxide_8h_work_us",
        "carbon_monoxide_ceiling_work_us",
    }


def test_numbers_printed_in_other_units_are_converted_exactly() -> None:
    assert find_threshold("wind_gust_severe_thunderstorm_us").at["orange"] == pytest.approx(58 * 0.44704, abs=1e-9)
    cyclone, knot = find_threshold("wind_tropical_cyclone").at, 1852 / 3600
    assert list(cyclone.values()) == pytest.approx([64 * knot, 83 * knot, 96 * knot], abs=1e-9)
    heat = find_threshold("heat_index_us").at
    assert [heat["orange"], heat["red"]] == pytest.approx([(105 - 32) / 1.8, (130 - 32) / 1.8], abs=1e-9)


def test_sums_over_several_hours_make_one_rule_on_rain() -> None:
    rule = default_rule("heavy_rain", RAIN, ["rain_3h_china", "rain_6h_china", "rain_12h_china"], max_age_s=1800, interval_s=3600)
    rain = np.zeros((2, 12))
    rain[0, -6:] = 9.0  # 54 mm in 6 h, 27 in 3 h
    rain[1, -2:] = 60.0
    told = judged(rule, window(*rain.tolist(), step_s=3600.0, quantity=RAIN))
    assert told.level.tolist() == [Level.YELLOW, Level.RED]
    assert "China Meteorological Administration" in rule.source


def test_a_verified_threshold_makes_a_rule_for_the_public() -> None:
    rule = default_rule("fire_danger", FIRE, ["fire_weather_index_europe"], max_age_s=86_400, public=True)
    assert rule.verified
    assert judged(rule, window([10.0], [11.2], [49.9], [50.0], quantity=FIRE)).level.tolist() == [
        Level.NONE,
        Level.BLUE,
        Level.ORANGE,
        Level.RED,
    ]


def test_cold_that_bites_is_below_its_limits() -> None:
    chill = Quantity("wind_chill", "degC")
    rule = default_rule("cold", chill, ["wind_chill_canada"], max_age_s=3600)
    assert judged(rule, window([0.0], [-41.0], [-60.0], quantity=chill)).level.tolist() == [Level.NONE, Level.YELLOW, Level.RED]


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(NotFound, match="no default threshold 'rain_1h_mars'"):
        find_threshold("rain_1h_mars")
    with pytest.raises(InputError, match="is in mm, and rain_amount in cm"):
        limits_of("rain_1h_hong_kong", Quantity("rain_amount", "cm"), public=False)
    with pytest.raises(InputError, match="wanted interval_s"):
        default_rule("r", RAIN, ["rain_1h_hong_kong"], max_age_s=60.0)
    with pytest.raises(InputError, match="a different number of hours"):
        default_rule("r", RAIN, ["rain_1h_hong_kong", "rain_1h_germany"], max_age_s=60.0, interval_s=60.0)
    with pytest.raises(InputError, match="wanted one, or several sums"):
        default_rule("r", FIRE, ["fire_weather_index_europe", "fire_weather_index_europe"], max_age_s=60.0)


@pytest.mark.parametrize(
    "nonsense",
    [{"at": {}}, {"at": {"purple": 1.0}}, {"averaging_h": None}, {"where": ""}, {"at": {"blue": 2.0, "yellow": 3.0, "red": 1.0}}],
)
def test_a_threshold_of_nonsense_is_refused(nonsense: dict[str, object]) -> None:
    Threshold(**GOOD)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        Threshold(**{**GOOD, **nonsense})  # type: ignore[arg-type]
