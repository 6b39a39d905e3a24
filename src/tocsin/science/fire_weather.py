"""How dangerous the weather is for fire: the Canadian Fire Weather Index, day after day from noon weather, and how dry dead fuel is now.

Van Wagner & Pickett 1985 (Canadian Forestry Service, Forestry Technical Report 33) and Van Wagner 1987 (FTR 35), equations by their numbers; day lengths of other latitudes as
in the Global Fire Weather Database (Field et al. 2015, Nat. Hazards Earth Syst. Sci. 15:1407-1423). Drought over winter: Lawson & Armitage 2008, as the R package cffdrs has it.

Made for pine stands in Canada; used the world over as a relative measure of danger. It knows no fuel, slope or season of growth. Weather is of local noon: temperature and
humidity then, wind at 10 m, rain of the 24 h before.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]

FFMC_SCALE = (
    147.2  # Van Wagner 1987, eqs. 1 and 10; the R package cffdrs has 147.27723 since 2013, which makes the code up to 0.1 lower
)
# Effective day length for the DMC (hours) by month, and what it adds to the DC; Van Wagner 1987, tables 1 and 2, for 30 N and more; the rest as GFWED has it
DMC_DAY_H = {
    "north": (6.5, 7.5, 9.0, 12.8, 13.9, 13.9, 12.4, 10.9, 9.4, 8.0, 7.0, 6.0),
    "north_tropic": (7.9, 8.4, 8.9, 9.5, 9.9, 10.2, 10.1, 9.7, 9.1, 8.6, 8.1, 7.8),
    "equator": (9.0,) * 12,
    "south_tropic": (10.1, 9.6, 9.1, 8.5, 8.1, 7.8, 7.9, 8.3, 8.9, 9.4, 9.9, 10.2),
    "south": (11.5, 10.5, 9.2, 7.9, 6.8, 6.2, 6.5, 7.4, 8.7, 10.0, 11.2, 11.8),
}
DC_DAY = {
    "north": (-1.6, -1.6, -1.6, 0.9, 3.8, 5.8, 6.4, 5.0, 2.4, 0.4, -1.6, -1.6),
    "equator": (1.39,) * 12,
    "south": (6.4, 5.0, 2.4, 0.4, -1.6, -1.6, -1.6, -1.6, -1.6, 0.9, 3.8, 5.8),
}


class Codes(NamedTuple):
    """The three moisture codes of a day and the four indices made of them; higher is drier and worse."""

    ffmc: Floats  # fine fuel moisture code, 0..101: litter; answers within a day
    dmc: Floats  # duff moisture code: loose organic layers; two weeks
    dc: Floats  # drought code: deep layers; two months
    isi: Floats  # initial spread index
    bui: Floats  # build-up index
    fwi: Floats  # fire weather index
    dsr: Floats  # daily severity rating


class Start(msgspec.Struct, frozen=True):
    """The codes of the day before the first: the usual values of spring after snow (Van Wagner & Pickett 1985)."""

    ffmc: float = 85.0
    dmc: float = 6.0
    dc: float = 15.0


def fire_weather(
    month: ArrayLike,
    temperature_c: ArrayLike,
    humidity_pct: ArrayLike,
    wind_km_per_h: ArrayLike,
    rain_mm: ArrayLike,
    *,
    latitude_deg: float,
    start: Start = Start(),  # noqa: B008
    ffmc_scale: float = FFMC_SCALE,
) -> Codes:
    """The codes of each day, days first. A day that lacks a number has none (NaN), and the codes of the day before are carried on.

    >>> day = fire_weather([4], [17.0], [42.0], [25.0], [0.0], latitude_deg=46.0)
    >>> [round(float(code[0]), 1) for code in day]
    [87.7, 8.5, 19.0, 10.9, 8.5, 10.1, 1.6]
    """
    values = (temperature_c, humidity_pct, wind_km_per_h, rain_mm)
    temperature, humidity, wind, rain = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in values))
    months = np.asarray(month, np.int64)
    if months.shape != temperature.shape[:1] or ((months < 1) | (months > 12)).any():
        raise InputError(f"fire weather: months {months.shape} for days {temperature.shape}; wanted one of 1..12 for each day")
    for name, told, low, high in (
        ("temperature_c", temperature, -60.0, 60.0),
        ("humidity_pct", humidity, 0.0, 100.0),
        ("wind_km_per_h", wind, 0.0, 300.0),
        ("rain_mm", rain, 0.0, 2_000.0),
    ):
        wrong = ~np.isnan(told) & ~((told >= low) & (told <= high))
        if wrong.any():
            day = int(np.argwhere(wrong)[0][0])
            raise InputError(
                f"fire weather, day {day + 1}: {name} = {told[wrong][0]:g}; wanted {low:g}..{high:g}; check the unit"
            )
    days = temperature.shape[0]
    out = [np.full(temperature.shape, np.nan) for _ in range(3)]
    before = [np.full(temperature.shape[1:], value) for value in (start.ffmc, start.dmc, start.dc)]
    for day in range(days):
        t, h, w, r = temperature[day], humidity[day], wind[day], rain[day]
        known = ~np.isnan(t + h + w + r)
        now = (
            fine_fuel_code(before[0], t, h, w, r, scale=ffmc_scale),
            duff_code(before[1], t, h, r, int(months[day]), latitude_deg),
            drought_code(before[2], t, r, int(months[day]), latitude_deg),
        )
        for k in range(3):
            out[k][day] = np.where(known, now[k], np.nan)
            before[k] = np.where(known, now[k], before[k])
    spread = initial_spread(out[0], wind, scale=ffmc_scale)
    build_up = build_up_index(out[1], out[2])
    index = fire_weather_index(spread, build_up)
    return Codes(out[0], out[1], out[2], spread, build_up, index, 0.0272 * index**1.77)  # eq. 31


def fine_fuel_code(
    before: Floats, temperature: Floats, humidity: Floats, wind: Floats, rain: Floats, *, scale: float = FFMC_SCALE
) -> Floats:
    """FFMC of today from that of yesterday; eqs. 1-10."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        m = scale * (101.0 - before) / (59.5 + before)
        wet = np.maximum(rain - 0.5, 0.0)
        soaked = m + 42.5 * wet * np.exp(-100.0 / (251.0 - m)) * (1.0 - np.exp(-6.93 / np.maximum(wet, 1e-300)))
        soaked += np.where(m > 150.0, 0.0015 * (m - 150.0) ** 2 * np.sqrt(wet), 0.0)
        m = np.where(rain > 0.5, np.minimum(soaked, 250.0), m)
        warm = 0.18 * (21.1 - temperature) * (1.0 - np.exp(-0.115 * humidity))
        dry = 0.942 * humidity**0.679 + 11.0 * np.exp((humidity - 100.0) / 10.0) + warm
        damp = 0.618 * humidity**0.753 + 10.0 * np.exp((humidity - 100.0) / 10.0) + warm
        pace = 0.581 * np.exp(0.0365 * temperature)

        def speed(share: Floats) -> Floats:
            return np.asarray((0.424 * (1.0 - share**1.7) + 0.0694 * np.sqrt(wind) * (1.0 - share**8)) * pace)

        drying = dry + (m - dry) * 10.0 ** -speed(humidity / 100.0)
        wetting = damp - (damp - m) * 10.0 ** -speed((100.0 - humidity) / 100.0)
        m = np.where(m > dry, drying, np.where(m < damp, wetting, m))
        return np.clip(59.5 * (250.0 - m) / (scale + m), 0.0, 101.0)


def duff_code(before: Floats, temperature: Floats, humidity: Floats, rain: Floats, month: int, latitude_deg: float) -> Floats:
    """DMC of today from that of yesterday; eqs. 11-17."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = 1.894 * (np.maximum(temperature, -1.1) + 1.1) * (100.0 - humidity) * _dmc_day_h(latitude_deg)[month - 1] * 1e-4
        effective = 0.92 * rain - 1.27
        moisture = 20.0 + 280.0 * np.exp(-0.023 * before)  # eq. 12, as the Canadian Forest Service's own programs have it
        log = np.log(np.maximum(before, 1e-9))
        slope = np.where(
            before <= 33.0, 100.0 / (0.5 + 0.3 * before), np.where(before <= 65.0, 14.0 - 1.3 * log, 6.2 * log - 17.2)
        )
        wetter = moisture + 1000.0 * effective / (48.77 + slope * effective)
        after = np.maximum(43.43 * (5.6348 - np.log(np.maximum(wetter - 20.0, 1e-9))), 0.0)
        return np.asarray(np.where(rain > 1.5, after, before) + rate)


def drought_code(before: Floats, temperature: Floats, rain: Floats, month: int, latitude_deg: float) -> Floats:
    """DC of today from that of yesterday; eqs. 18-23."""
    with np.errstate(invalid="ignore", divide="ignore"):
        dried = np.maximum(0.36 * (np.maximum(temperature, -2.8) + 2.8) + _dc_day(latitude_deg)[month - 1], 0.0) / 2.0
        effective = 0.83 * rain - 1.27
        stored = 800.0 * np.exp(-before / 400.0)
        after = np.maximum(before - 400.0 * np.log(1.0 + 3.937 * np.maximum(effective, 0.0) / stored), 0.0)
        return np.asarray(np.where(rain > 2.8, after, before) + dried)


def initial_spread(ffmc: Floats, wind_km_per_h: Floats, *, scale: float = FFMC_SCALE) -> Floats:
    """ISI; eqs. 24-26."""
    m = scale * (101.0 - ffmc) / (59.5 + ffmc)
    return np.asarray(0.208 * 91.9 * np.exp(-0.1386 * m) * (1.0 + m**5.31 / 4.93e7) * np.exp(0.05039 * wind_km_per_h))


def build_up_index(dmc: Floats, dc: Floats) -> Floats:
    """BUI; eqs. 27a and 27b."""
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(dmc + 0.4 * dc > 0.0, 0.8 * dc / (dmc + 0.4 * dc), 0.0)
        low = part * dmc
        high = dmc - (1.0 - part) * (0.92 + (0.0114 * dmc) ** 1.7)
        return np.maximum(np.where(dmc <= 0.4 * dc, low, high), 0.0)


def fire_weather_index(isi: Floats, bui: Floats) -> Floats:
    """FWI; eqs. 28-30."""
    with np.errstate(invalid="ignore", divide="ignore"):
        duff = np.where(bui <= 80.0, 0.626 * bui**0.809 + 2.0, 1000.0 / (25.0 + 108.64 * np.exp(-0.023 * bui)))
        b = 0.1 * isi * duff
        return np.asarray(np.where(b > 1.0, np.exp(2.72 * (0.434 * np.log(np.maximum(b, 1.0))) ** 0.647), b))


def drought_after_winter(
    dc_autumn: ArrayLike, rain_winter_mm: ArrayLike, *, carried: float = 0.75, wetting: float = 0.75, least: float = 15.0
) -> Floats:
    """DC with which a season starts: what drought of the autumn the winter's rain and snow did not fill up.

    `carried` is the share of the autumn's moisture deficit that counts, `wetting` the share of precipitation that soaks in: 0.5..1 and 0.5..0.9 in their tables.
    >>> drought_after_winter(300.0, 110.0).round(1).tolist()
    109.5
    """
    left = 800.0 * np.exp(-np.asarray(dc_autumn, np.float64) / 400.0)
    spring = carried * left + wetting * 3.94 * np.asarray(rain_winter_mm, np.float64)
    return np.asarray(np.maximum(400.0 * np.log(800.0 / spring), least))


def dead_fuel_moisture(temperature_c: ArrayLike, humidity_pct: ArrayLike) -> Floats:
    """Moisture of the finest dead fuel in equilibrium with the air, share of its dry weight; shaded, no rain for days.

    Cohen & Deeming 1985, PSW-82, eqs. 1a-1c (regressions of Simard 1968 on data of wood), with which the US National Fire Danger Rating System begins. Older rain, sun and dew
    are not in it: fuel in full sun is drier by day, and after rain wetter.
    >>> dead_fuel_moisture(30.0, 20.0).round(3).tolist()
    0.042
    """
    f = np.asarray(temperature_c, np.float64) * 1.8 + 32.0
    h = np.asarray(humidity_pct, np.float64)
    low = 0.03229 + 0.281073 * h - 0.000578 * f * h
    middle = 2.22749 + 0.160107 * h - 0.014784 * f
    high = 21.0606 + 0.005565 * h**2 - 0.00035 * h * f - 0.483199 * h
    return np.asarray(np.maximum(np.where(h < 10.0, low, np.where(h < 50.0, middle, high)), 0.5) / 100.0)


def _dmc_day_h(latitude_deg: float) -> tuple[float, ...]:
    if not -90.0 <= latitude_deg <= 90.0:
        raise InputError(f"fire weather: latitude {latitude_deg}; wanted -90..90")
    if latitude_deg >= 30.0:
        return DMC_DAY_H["north"]
    if latitude_deg >= 15.0:
        return DMC_DAY_H["north_tropic"]
    if latitude_deg >= -15.0:
        return DMC_DAY_H["equator"]
    return DMC_DAY_H["south_tropic" if latitude_deg >= -30.0 else "south"]


def _dc_day(latitude_deg: float) -> tuple[float, ...]:
    if latitude_deg >= 15.0:
        return DC_DAY["north"]
    return DC_DAY["equator" if latitude_deg >= -15.0 else "south"]
