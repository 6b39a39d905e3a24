"""The question where gas comes from: a table of sensors goes in, a place and a rate with their doubt come out."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.flows.questions import ask
from tocsin.pack import find_pack
from tocsin.science.dispersion import plume
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import InputError

LON, LAT = -51.2000, -30.0300
EAST_M = 111_195.0 * np.cos(np.deg2rad(LAT))


def table(rate: float = 1.0) -> bytes:
    """Twelve sensors 300 to 900 m east of a source, as the plume has it in a wind from the west."""
    lines = ["sensor,longitude,latitude,concentration [mg/m3],sees_from [mg/m3],wind_speed [m/s],wind_from [deg]"]
    for k, x in enumerate((300.0, 600.0, 900.0)):
        for m, y in enumerate((-120.0, -40.0, 40.0, 120.0)):
            value = 1e6 * rate * float(plume(1.0, x, y, wind_m_per_s=3.0, stability=4))
            lines.append(f"s{k}{m},{LON + x / EAST_M:.6f},{LAT + y / 111_195.0:.6f},{value:.5f},0.01,3,270")
    return "\n".join(lines).encode()


def test_the_source_lies_in_its_region_and_the_rate_in_its_span() -> None:
    answer = ask("chemical", "source", table(2.0), settings={"reach_km": 0.4})
    lon, lat, rate = (answer.figures[name] for name in ("longitude", "latitude", "rate"))
    off_m = np.hypot((answer.table["longitude"] - LON) * EAST_M, (answer.table["latitude"] - LAT) * 111_195.0)
    assert off_m.min() <= answer.figures["cell"].mean  # its cell is one of those of the region of 90 %
    assert abs(lon.mean - LON) * EAST_M < 100.0
    assert abs(lat.mean - LAT) * 111_195.0 < 30.0
    assert rate.low <= 2.0 <= rate.high
    assert rate.unit == "kg/s"
    assert answer.figures["region_50"].mean < answer.figures["region_90"].mean
    assert answer.table["chance"].sum() >= 0.9 * (1 - 1e-9)
    assert (np.diff(answer.table["chance"]) <= 0).all()


def test_less_trust_in_model_and_wind_makes_the_region_larger() -> None:
    sure, unsure = (
        ask("chemical", "source", table(), settings={"reach_km": 0.4, "scatter_factor": f, "wind_error_deg": w})
        .figures["region_90"]
        .mean
        for f, w in ((1.3, 2.0), (4.0, 20.0))
    )
    assert sure < unsure


def test_sensors_that_saw_nothing_say_so_and_a_table_without_wind_is_refused() -> None:
    heading = b"longitude,latitude,concentration [mg/m3],wind_speed [m/s],wind_from [deg]\n"
    quiet = ask("chemical", "source", heading + b"-51.2,-30.03,0,3,270\n-51.19,-30.03,0,3,270\n")
    assert quiet.figures["sensors_that_saw_gas"].mean == 0.0
    assert any("no sensor saw gas" in remark for remark in quiet.remarks)
    with pytest.raises(InputError, match="no row has a reading"):
        ask("chemical", "source", heading + b"-51.2,-30.03,1,,\n")


def test_on_a_twin_the_source_is_sought_within_it() -> None:
    with pytest.raises(InputError, match="outside the twin"):
        ask("chemical", "source", table(), world=TinyWorld())
    assert [question.name for question in find_pack("chemical").questions] == ["source"]
