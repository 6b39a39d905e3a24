"""The heat pack keeps what every pack promises, and its heat index is that of the published chart."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from tocsin_heat import DANGER_C, FEELS_HOT, HUMIDITY, PACK, TEMPERATURE, heat_index_c

from tocsin.pack import Model, Pack, Scenario, Spread
from tocsin.testing.pack_promises import PackPromises
from tocsin.testing.tiny import Thing, TinyWorld
from tocsin.vocabulary import Level, Quantity, Series, Window


class TestHeatPack(PackPromises):
    """A hot afternoon over the tiny world, with a large house in one cell."""

    def pack(self) -> Pack:
        return PACK

    def world(self, *, without: Collection[str] = ()) -> TinyWorld:
        return TinyWorld(things={"buildings": [Thing("block", 8, 70.0)]}, without=without)

    def scenario(self, _model: Model) -> Scenario:
        warm = Series.of([0.0, 3 * 3600.0, 6 * 3600.0], [30.0, 37.0, 30.0])
        series = {"temperature": warm, "humidity": Series.constant(50.0)}
        return Scenario(6 * 3600.0, 4, 1, {"forecast_error_degC": Spread(-1.0, 0.0, 1.0)}, series)


# National Weather Service (Tulsa), srh.noaa.gov/tsa/?n=heatindex, degF: by air temperature (rows) and relative humidity from 40 % on in
# steps of 5 %, as far as the chart goes.
CHART_F = {
    110: (136,),
    108: (130, 137),
    106: (124, 130, 137),
    104: (119, 124, 131, 137),
    102: (114, 119, 124, 130, 137),
    100: (109, 114, 118, 124, 129, 136),
    98: (105, 109, 113, 117, 123, 128, 134),
    96: (101, 104, 108, 112, 116, 121, 126, 132),
    94: (97, 100, 103, 106, 110, 114, 119, 124, 129, 135),
    92: (94, 96, 99, 101, 105, 108, 112, 116, 121, 126, 131),
    90: (91, 93, 95, 97, 100, 103, 106, 109, 113, 117, 122, 127, 132),
    88: (88, 89, 91, 93, 95, 98, 100, 103, 106, 110, 113, 117, 121),
    86: (85, 87, 88, 89, 91, 93, 95, 97, 100, 102, 105, 108, 112),
    84: (83, 84, 85, 86, 88, 89, 90, 92, 94, 96, 98, 100, 103),
    82: (81, 82, 83, 84, 84, 85, 86, 88, 89, 90, 91, 93, 95),
    80: (80, 80, 81, 81, 82, 82, 83, 84, 84, 85, 86, 86, 87),
}


def test_the_heat_index_is_that_of_the_chart() -> None:
    """To 1 degF: it is the regression in whole degrees, and two of its numbers (90 degF at 45 and 70 %) are known to be rounded wrongly.

    Damp air below 87 degF has the published adjustment on top of what the chart says.
    """
    rows = [(t, 40.0 + 5.0 * k, felt) for t, row in CHART_F.items() for k, felt in enumerate(row)]
    air_f, humidity, chart_f = np.array(rows, np.float64).T
    adjusted = (humidity > 85.0) & (air_f < 87.0)
    more_f = np.where(adjusted, (humidity - 85.0) / 10.0 * (87.0 - air_f) / 5.0, 0.0)
    felt_f = heat_index_c((air_f - 32.0) / 1.8, humidity) * 1.8 + 32.0
    assert len(rows) == 135
    np.testing.assert_allclose(felt_f - more_f, chart_f, rtol=0.0, atol=1.0)


def test_cool_air_is_as_warm_as_it_is_and_dry_heat_feels_less() -> None:
    cool, dry, damp = heat_index_c(np.array([20.0, 40.0, 40.0]), np.array([50.0, 10.0, 45.0]))
    assert abs(cool - 20.0) < 1.0
    assert dry < 40.0 < DANGER_C < damp


def window(quantity: Quantity, *values: float) -> Window:
    value = np.array([values])
    return Window(quantity, ("station",), np.zeros_like(value), value, np.isfinite(value))


def test_the_rule_reads_both_quantities_at_a_site() -> None:
    judge = FEELS_HOT.judge_all
    assert judge is not None
    before = np.zeros(1, np.int8)
    hot = {"air_temperature": window(TEMPERATURE, 20.0, 36.0), "relative_humidity": window(HUMIDITY, 60.0)}
    assert judge(hot, before).level.tolist() == [Level.ORANGE]  # the chart: 96 degF and 60 % feel like 116 degF
    assert judge(hot | {"air_temperature": window(TEMPERATURE, 25.0)}, before).level.tolist() == [Level.NONE]
    assert judge(hot | {"relative_humidity": window(HUMIDITY, np.nan)}, before).level.tolist() == [Level.BLIND]
    assert FEELS_HOT.judge(hot["air_temperature"], before).level.tolist() == [Level.BLIND]


def test_built_ground_feels_hotter_by_what_the_knob_says() -> None:
    promises = TestHeatPack()
    (model,) = PACK.models
    peak = model.play(promises.world(), promises.future(model)).peak
    assert peak.argmax() == 6  # the tiny world's house covers its whole cell
    assert peak[8] < peak[6]
    assert peak[0] < peak[8]
    assert np.ptp(model.play(promises.world(), promises.future(model, built_over_degC=0.0)).peak) == 0.0
