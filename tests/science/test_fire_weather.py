"""The Canadian Fire Weather Index: the published test days, the Forest Service's own program, two independent programs and a global data set."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tocsin.science.fire_weather import (
    Start,
    build_up_index,
    dead_fuel_moisture,
    drought_after_winter,
    drought_code,
    duff_code,
    fine_fuel_code,
    fire_weather,
    fire_weather_index,
    initial_spread,
)
from tocsin.vocabulary.errors import InputError

# Van Wagner & Pickett 1985, FTR 33, the first days of their test weather: temperature, humidity, wind, rain; FFMC, DMC, DC, ISI, BUI, FWI
PUBLISHED = (
    ((17.0, 42, 25, 0.0), (87.7, 8.5, 19.0, 10.9, 8.5, 10.1)),
    ((20.0, 21, 25, 2.4), (86.2, 10.4, 23.6, 8.8, 10.4, 9.3)),
    ((8.5, 40, 17, 0.0), (87.0, 11.8, 26.1, 6.5, 11.7, 7.6)),
    ((6.5, 25, 6, 0.0), (88.8, 13.2, 28.2, 4.9, 13.1, 6.2)),
    ((13.0, 34, 24, 0.0), (89.1, 15.4, 31.5, 12.6, 15.3, 14.8)),
)
CFFDRS = Path(__file__).with_name("reference") / "fire_weather_cffdrs.csv"
GFWED = Path(__file__).parents[3] / "shared" / "data" / "fire-weather" / "xclim_GFWED_sample_2017.nc"


def test_the_published_days_come_out_to_their_printed_digit():
    """Half a unit of the one digit printed, and 0.01 for a value that lies on the border between two."""
    weather = np.array([day for day, _ in PUBLISHED])
    got = fire_weather([4] * 5, *weather.T, latitude_deg=46.0)
    for k, (_, codes) in enumerate(PUBLISHED):
        assert [float(code[k]) for code in got[:6]] == pytest.approx(codes, abs=0.06)


def test_48_days_come_out_as_in_the_forest_service_s_own_program():
    """cffdrs rounds to one digit (severity: two) and has a scale of 147.27723 in the fine fuel code; its severity also has a rounded 0.0272."""
    with CFFDRS.open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert len(rows) == 48
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    got = fire_weather(
        column["MON"].astype(int),
        column["TEMP"],
        column["RH"],
        column["WS"],
        column["PREC"],
        latitude_deg=40.0,
        ffmc_scale=147.27723,
    )
    for name, code in zip(("FFMC", "DMC", "DC", "ISI", "BUI", "FWI"), got, strict=False):
        assert np.abs(code - column[name]).max() <= 0.0501, name
    assert np.abs(got.dsr - column["DSR"]).max() <= 0.0101


def test_the_codes_are_those_of_xclim_for_any_weather_and_latitude():
    """1e-6 of the value: the same equations in the same precision."""
    cffwis = pytest.importorskip("xclim.indices.fire._cffwis")
    rng = np.random.default_rng(5)
    n = 400
    t, h, w = rng.uniform(-5, 40, n), rng.uniform(5, 100, n), rng.uniform(0, 60, n)
    rain = np.where(rng.random(n) < 0.5, 0.0, rng.gamma(0.8, 8.0, n))
    ffmc, dmc, dc = rng.uniform(10, 98, n), rng.uniform(0, 200, n), rng.uniform(0, 800, n)
    assert fine_fuel_code(ffmc, t, h, w, rain) == pytest.approx(cffwis._fine_fuel_moisture_code(t, rain, w, h, ffmc), rel=1e-6)
    for latitude in (-45.0, -20.0, 0.0, 20.0, 50.0):
        for month in range(1, 13):
            assert duff_code(dmc, t, h, rain, month, latitude) == pytest.approx(
                cffwis._duff_moisture_code(t, rain, h, month, latitude, dmc), rel=1e-6
            )
            assert drought_code(dc, t, rain, month, latitude) == pytest.approx(
                cffwis._drought_code(t, rain, month, latitude, dc), rel=1e-6
            )
    isi = initial_spread(ffmc, w)
    bui = build_up_index(dmc, dc)
    assert isi == pytest.approx(cffwis.initial_spread_index(w, ffmc), rel=1e-5)  # it has 19.1152 for 0.208 x 91.9
    assert bui == pytest.approx(cffwis.build_up_index(dmc, dc), rel=1e-6)
    assert fire_weather_index(isi, bui) == pytest.approx(cffwis.fire_weather_index(isi, bui), rel=1e-6)


@pytest.mark.real_data
def test_a_year_in_four_places_is_that_of_the_global_fire_weather_database():
    """Day by day from the day before, as GFWED has them (single precision; eq. 12 with 5.6348 for the logarithm of 280, a change of 1e-4 in the duff code)."""
    xr = pytest.importorskip("xarray")
    if not GFWED.exists():
        pytest.skip(f"needs {GFWED.name} from the shared data")
    data = xr.open_dataset(GFWED)
    checked = 0
    for place in range(data.sizes["loc"]):
        one = data.isel(loc=place)
        latitude = float(one.lat)
        month = one.time.dt.month.values
        value = {
            name: one[name].values.astype(float)
            for name in ("tas", "rh", "sfcwind", "prbc", "FFMC", "DMC", "DC", "ISI", "BUI", "FWI")
        }
        for day in range(1, len(month)):
            now = {name: values[day] for name, values in value.items()}
            before = {name: value[name][day - 1] for name in ("FFMC", "DMC", "DC")}
            if np.isnan([*now.values(), *before.values()]).any():
                continue
            got = fire_weather(
                [int(month[day])], [now["tas"]], [min(now["rh"], 100.0)], [now["sfcwind"]], [now["prbc"]],
                latitude_deg=latitude, start=Start(before["FFMC"], before["DMC"], before["DC"]),
            )  # fmt: skip
            for name, code in zip(("FFMC", "DMC", "DC", "ISI", "BUI", "FWI"), got, strict=False):
                assert float(code[0]) == pytest.approx(now[name], rel=2e-3, abs=2e-2), (name, str(one["loc"].values), day)
            checked += 1
    assert checked > 800


def test_a_day_without_a_number_has_no_codes_and_the_next_goes_on_from_the_day_before():
    whole = fire_weather([4, 4], [17.0, 20.0], [42.0, 21.0], [25.0, 25.0], [0.0, 2.4], latitude_deg=46.0)
    gap = fire_weather(
        [4, 4, 4], [17.0, np.nan, 20.0], [42.0, 30.0, 21.0], [25.0, 10.0, 25.0], [0.0, 0.0, 2.4], latitude_deg=46.0
    )
    for full, broken in zip(whole, gap, strict=True):
        assert np.isnan(broken[1])
        assert broken[2] == full[1]


def test_many_places_at_once_give_what_each_gives_alone():
    rng = np.random.default_rng(1)
    weather = [rng.uniform(5, 30, (6, 3)), rng.uniform(20, 90, (6, 3)), rng.uniform(0, 30, (6, 3)), rng.uniform(0, 5, (6, 3))]
    together = fire_weather([7] * 6, *weather, latitude_deg=46.0)
    for k in range(3):
        alone = fire_weather([7] * 6, *(part[:, k] for part in weather), latitude_deg=46.0)
        for one, all_of in zip(alone, together, strict=True):
            assert one == pytest.approx(all_of[:, k])


def test_a_wet_winter_ends_a_drought_and_a_dry_one_carries_it_on():
    assert drought_after_winter(300.0, 400.0) == 15.0
    assert drought_after_winter(300.0, 0.0) == pytest.approx(400 * np.log(800 / (0.75 * 800 * np.exp(-0.75))))  # by hand


def test_winter_s_drought_is_that_of_xclim():
    cffwis = pytest.importorskip("xclim.indices.fire._cffwis")
    autumn, rain = np.meshgrid([50.0, 300.0, 700.0], [0.0, 60.0, 300.0])
    theirs = cffwis._overwintering_drought_code(autumn, rain, 0.75, 0.75, 15)
    assert drought_after_winter(autumn, rain) == pytest.approx(theirs, rel=1e-6)


def test_hot_dry_air_dries_fuel_and_damp_air_wets_it():
    dry, mild, damp = dead_fuel_moisture([38.0, 20.0, 10.0], [8.0, 45.0, 95.0])
    assert dry < 0.03 < mild < 0.10 < damp < 0.30
    # Cohen & Deeming 1985, eq. 1b, by hand at 86 F and 20 %: 2.22749 + 0.160107 x 20 - 0.014784 x 86
    assert dead_fuel_moisture(30.0, 20.0) == pytest.approx(0.0415821, abs=1e-6)


def test_numbers_in_wrong_units_are_refused():
    with pytest.raises(InputError, match="temperature_c = 80"):
        fire_weather([4], [80.0], [42.0], [25.0], [0.0], latitude_deg=46.0)
    with pytest.raises(InputError, match="latitude"):
        fire_weather([4], [20.0], [42.0], [25.0], [0.0], latitude_deg=146.0)
    with pytest.raises(InputError, match="month"):
        fire_weather([13], [20.0], [42.0], [25.0], [0.0], latitude_deg=46.0)
