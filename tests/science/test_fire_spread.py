"""Rothermel's surface fire and the step into the crowns: fuel tables, printed results of others, and an independent program's."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tocsin.science import fire_spread, fire_steps
from tocsin.science.fire_growth import Weather, spread_table
from tocsin.science.fire_spread import (
    KW_PER_M,
    M_PER_FT,
    Canopy,
    Moisture,
    beds,
    crown_critical_intensity_kw_per_m,
    crown_length_to_width,
    crown_rate_m_per_min,
    ember_distance_m,
    flame_length_m,
    head_fire,
    length_to_width,
    wind_adjustment,
)
from tocsin.science.fuel import cured_share, fuels, rows_of
from tocsin.vocabulary.errors import InputError

FT_PER_MIN_OF_MPH = 88.0
CHAINS_PER_H = 20.1168 / 60.0  # m/min
DRY = Moisture(0.06, 0.07, 0.08, 0.60, 0.90)
REFERENCE = Path(__file__).with_name("reference") / "fire_pyretechnics.csv"


def _behave(
    fuel: int, wind_mph: float, wind_from: float, slope: float, aspect: float, cover: float = 0.5, *, midflame: bool = False
):
    """The fire of behave's surface tests: trees 30 ft high with a crown ratio of 0.5, wind at 20 ft."""
    row = rows_of(fuel)
    reduced = 1.0 if midflame else float(wind_adjustment(fuels().depth_ft[row], Canopy(cover, 30 * M_PER_FT, 15 * M_PER_FT)))
    wind = wind_mph * FT_PER_MIN_OF_MPH * M_PER_FT * reduced
    toward, up = np.radians(wind_from + 180.0), np.radians(aspect + 180.0)
    return head_fire(beds(DRY), row, (wind * np.sin(toward), wind * np.cos(toward)), (slope * np.sin(up), slope * np.cos(up)))


def test_there_are_the_13_models_of_anderson_and_the_40_of_scott_and_burgan():
    assert [int(n) for n in fuels().number if n < 91] == list(range(1, 14))
    counts = {code: sum(c.startswith(code) for c in fuels().code) for code in ("GR", "GS", "SH", "TU", "TL", "SB")}
    assert counts == {"GR": 9, "GS": 4, "SH": 9, "TU": 5, "TL": 9, "SB": 4}


def test_a_number_that_is_no_fuel_model_is_refused_and_bare_ground_does_not_burn():
    assert rows_of([98, 99, 91]).tolist() == [-1, -1, -1]
    for wrong in (0, 14, 110, 300, -1, 1.5, float("nan")):
        with pytest.raises(InputError, match="fuel model"):
            rows_of([wrong])


def test_grass_is_dead_below_30_percent_and_live_from_120_percent_on():
    assert cured_share([0.2, 0.3, 0.75, 1.2, 2.0]) == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0])


# firelab/behave, src/testBehave/testBehave.cpp (public domain): chains per hour, printed to 6 digits; the tolerance is that of the print
@pytest.mark.parametrize(
    ("case", "chains_per_h"),
    [
        ((124, 5, 45, np.tan(np.radians(30)), 95), 19.677584),
        ((124, 5, 0, 0.30, 0), 8.876216),
        ((124, 5, 90, 0.30, 0), 7.091665),
        ((124, 5, 45, 0.30, 215), 4.113265),
        ((124, 5, 45, 0.30, 5), 8.503960),
        ((4, 5, 90, np.tan(np.radians(30)), 0, 0.4), 46.631688),
    ],
)
def test_rates_are_those_that_the_behave_tests_print(case, chains_per_h, monkeypatch):
    # behave rounds the share that is cured: 1.333 - 1.11 m in place of (1.2 - m) / 0.9
    monkeypatch.setattr(fire_spread, "cured_share", lambda m: 1.333 - 1.11 * np.asarray(m))
    assert float(_behave(*case).rate_m_per_min) / CHAINS_PER_H == pytest.approx(chains_per_h, abs=1e-6)


def test_intensity_and_shape_are_those_that_the_behave_tests_print(monkeypatch):
    monkeypatch.setattr(fire_spread, "cured_share", lambda m: 1.333 - 1.11 * np.asarray(m))
    assert float(_behave(124, 5, 0, 0.30, 0).intensity_kw_per_m) / KW_PER_M == pytest.approx(598.339039, rel=1e-6)
    assert float(_behave(124, 5, 0, 0, 0, midflame=True).length_to_width) == pytest.approx(1.590064, abs=1e-6)
    assert float(_behave(124, 5, 45, np.tan(np.radians(30)), 95).length_to_width) == pytest.approx(1.375624, abs=1e-6)
    assert float(_behave(124, 15, 45, np.tan(np.radians(30)), 95).length_to_width) == pytest.approx(1.519936, abs=1e-6)


def _reference():
    with REFERENCE.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_all_53_fuels_burn_as_in_pyretechnics(monkeypatch):
    """With its loads (rounded to 1e-4 lb/ft2) and its live fuel of model 7 (1,550 per ft) the same to single precision: 7 digits through powers and
    exponentials, 1e-4; intensity is a product of two such numbers."""
    table = fuels()
    surface = table.surface_per_ft.copy()
    surface[table.number == 7, 5] = 1550.0
    theirs = table._replace(load_lb_per_ft2=np.round(table.load_lb_per_ft2, 4), surface_per_ft=surface)
    monkeypatch.setattr(fire_spread, "fuels", lambda: theirs)
    rows = _reference()
    assert len(rows) == 53 * 20
    for r in rows:
        row = rows_of(int(r["number"]))
        bed = beds(Moisture(r["dead_1h"], r["dead_10h"], r["dead_100h"], r["live_herbaceous"], r["live_woody"]))
        blows, up = np.radians(r["wind_from_deg"] + 180), np.radians(r["aspect_deg"] + 180)
        wind, slope = r["wind_m_per_min"], r["slope"]
        head = head_fire(bed, row, (wind * np.sin(blows), wind * np.cos(blows)), (slope * np.sin(up), slope * np.cos(up)))
        if r["base_rate_m_per_min"] < 1e-3:
            assert bed.rate_m_per_min[row] < 2e-3  # too wet to spread
            continue
        assert float(bed.rate_m_per_min[row]) == pytest.approx(r["base_rate_m_per_min"], rel=1e-4)
        assert float(bed.wind_most_m_per_min[row]) == pytest.approx(r["wind_most_m_per_min"], rel=1e-4)
        assert float(head.rate_m_per_min) == pytest.approx(r["rate_m_per_min"], rel=1e-4)
        # in Btu, of which it has 3.46165186 kW/m to the foot and second; weak fires come from a difference of nearly equal numbers
        assert float(head.intensity_kw_per_m) / KW_PER_M == pytest.approx(
            r["intensity_kw_per_m"] / 3.46165186, rel=2e-4, abs=1e-4
        )
        assert float(head.length_to_width) == pytest.approx(r["length_to_width"], rel=1e-4)
        assert float(head.flame_length_m) == pytest.approx(r["flame_length_m"], rel=1e-4, abs=1e-3)


def test_the_surface_of_live_fuel_in_model_7_changes_its_rate_by_less_than_a_percent(monkeypatch):
    table = fuels()
    surface = table.surface_per_ft.copy()
    surface[table.number == 7, 5] = 1550.0
    mine = beds(DRY).rate_m_per_min[rows_of(7)]
    monkeypatch.setattr(fire_spread, "fuels", lambda: table._replace(surface_per_ft=surface))
    assert beds(DRY).rate_m_per_min[rows_of(7)] == pytest.approx(mine, rel=0.01)


def test_the_compiled_rows_are_the_plain_ones():
    rng = np.random.default_rng(7)
    n = 2_000
    row = rng.integers(-1, fuels().number.size, n)
    up = rng.normal(0, 0.3, (2, n))
    up[:, :50] = 0.0
    for wind in (0.0, 6.0, 40.0):
        for limit in (False, True):
            weather = Weather(0.0, wind, 200.0, Moisture(0.08, 0.09, 0.1, 0.7, 1.1))
            table = spread_table([weather], wind_limit=limit)[0]
            got = [np.empty(n) for _ in range(4)]
            fire_steps.head_of_rows(row, up[0], up[1], table, *got, np.empty(n, np.bool_))
            blown = wind * 60.0 / 1.15 * wind_adjustment(fuels().depth_ft[np.maximum(row, 0)])
            toward = np.radians(20.0)
            plain = head_fire(
                beds(weather.moisture), row, (blown * np.sin(toward), blown * np.cos(toward)), (up[0], up[1]), wind_limit=limit
            )
            burns = row >= 0
            assert got[0] * 60.0 == pytest.approx(plain.rate_m_per_min, rel=1e-9, abs=1e-15)
            turn = np.abs((got[1] - plain.toward_deg + 180.0) % 360.0 - 180.0)[burns & (plain.wind_effective_m_per_min > 0)]
            assert turn.max() < 1e-6
            assert got[2][burns] == pytest.approx(plain.length_to_width[burns], rel=1e-9)
            assert got[3][burns] == pytest.approx(plain.intensity_kw_per_m[burns], rel=1e-9)


def test_the_wind_limit_cuts_what_a_strong_wind_adds_to_a_weak_fire():
    bed, row = beds(Moisture(0.11)), rows_of([1])
    free, cut = (head_fire(bed, row, (0.0, 600.0), (0.0, 0.0), wind_limit=limit) for limit in (False, True))
    assert cut.wind_effective_m_per_min[0] == pytest.approx(bed.wind_most_m_per_min[0])
    assert cut.rate_m_per_min[0] < free.rate_m_per_min[0]


def test_nothing_spreads_from_the_moisture_of_extinction_on():
    bed = beds(Moisture(0.121, 0.121, 0.121))
    assert bed.rate_m_per_min[rows_of(1)] == fire_spread.SLOWEST_M_PER_MIN


def test_moisture_in_percent_is_refused():
    with pytest.raises(InputError, match="6 % is 0.06"):
        Moisture(dead_1h=6.0)


def test_the_ellipse_seen_from_above_is_pressed_together_uphill_only():
    """A steep slope without wind: across it the ellipse is as wide as on the slope's plane, up it shorter by the cosine of the slope."""
    bed = spread_table([Weather(0.0, 0.0, 0.0)])[0][rows_of(4)]
    slope = 0.75
    cx, cy, wxx, wxy, wyy, rate, *_ = fire_steps.ellipse(bed, slope, 0.0)
    shape = float(length_to_width(head_fire(beds(Moisture()), rows_of(4), (0.0, 0.0), (slope, 0.0)).wind_effective_m_per_min))
    off = np.sqrt(1 - 1 / shape**2)
    cos = 1 / np.hypot(1, slope)
    assert cx + np.sqrt(wxx + cx**2) == pytest.approx(rate * cos, rel=1e-9)  # its most easterly point
    assert np.sqrt(wyy + cy**2) == pytest.approx(rate / (1 + off) / shape, rel=1e-9)
    assert cy == 0.0
    assert wxy == 0.0


def test_crowns_catch_fire_after_van_wagner_and_run_after_cruz():
    canopy = Canopy(0.6, 15.0, 2.0, 0.15, 1.0)
    assert crown_critical_intensity_kw_per_m(canopy) == pytest.approx(
        476.4, abs=0.1
    )  # by hand: (0.010 x 2 x (460 + 2590))^1.5 = 61^1.5
    assert crown_critical_intensity_kw_per_m(Canopy()) == float("inf")


def test_crown_rate_turns_passive_where_the_needles_are_too_thin():
    thick, thin = (crown_rate_m_per_min(Canopy(0.6, 15.0, 2.0, density, 1.0), 30 / 3.6, 0.06) for density in (0.2, 0.05))
    active = [11.02 * 30**0.9 * density**0.19 * np.exp(-0.17 * 6.0) for density in (0.2, 0.05)]  # Cruz et al. 2005, by hand
    assert thick == pytest.approx(active[0])
    assert thin == pytest.approx(active[1] * np.exp(-active[1] / 60.0))
    assert crown_length_to_width(10.0) == pytest.approx(1 + 0.125 * 10.0 / 1.15 / 0.44704)


def test_flame_length_of_500_btu_per_foot_and_second_is_that_of_byram():
    assert flame_length_m(500 * KW_PER_M) / M_PER_FT == pytest.approx(0.45 * 500**0.46)


def test_embers_fly_as_far_as_the_behave_tests_print(monkeypatch):
    monkeypatch.setattr(fire_spread, "cured_share", lambda m: 1.333 - 1.11 * np.asarray(m))
    intensity = _behave(124, 5, 0, 0.30, 0).intensity_kw_per_m
    far = ember_distance_m(intensity, 5 * fire_spread.MPH * 1.15, 30 * M_PER_FT)
    assert float(far) / 1609.344 == pytest.approx(0.132964, abs=1e-6)  # miles, over level ground


def test_embers_fly_nowhere_without_wind_or_fire():
    assert ember_distance_m([0.0, 500.0, 500.0], [5.0, 0.0, 5.0])[:2].tolist() == [0.0, 0.0]
