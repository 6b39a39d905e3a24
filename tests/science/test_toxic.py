"""Units, guideline levels, toxic load, lethality and air indoors are those of their publications and exact solutions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tocsin.science.toxic import indoors, lethal_share, level_for, mg_per_m3, peak_mean, ppm, toxic_load
from tocsin.vocabulary import InputError


def test_parts_per_million_and_milligrams_are_the_same_thing() -> None:
    assert mg_per_m3(1.0, 24.465) == pytest.approx(1.0, rel=1e-4)  # a mole of gas is 24.465 l at 25 degrees and one atmosphere
    assert ppm(mg_per_m3(7.5, 70.906), 70.906) == pytest.approx(7.5)


def test_chlorine_kills_half_at_the_concentrations_of_withers_and_lees() -> None:
    # Withers & Lees 1985, J. Hazard. Mater. 12:283-302: 433 ppm for 10 min and 250 ppm for 30 min, regular population; printed to three digits
    for concentration, minutes in ((433.0, 10), (250.0, 30)):
        load = toxic_load(np.full(minutes, concentration), 1.0, 2.0)
        assert lethal_share(load, -8.29, 0.92) == pytest.approx(0.5, abs=0.002)
    assert lethal_share(0.0, -8.29, 0.92) == 0.0


def test_a_level_between_two_durations_keeps_the_load() -> None:
    hydrogen_sulphide = [41.0, 32.0, 27.0, 20.0, 17.0]
    assert level_for([10.0, 30.0, 60.0, 240.0, 480.0], hydrogen_sulphide) == pytest.approx(hydrogen_sulphide)
    n = np.log(240 / 60) / np.log(27 / 20)
    assert level_for(120.0, hydrogen_sulphide) ** n * 120.0 == pytest.approx(27.0**n * 60.0)
    assert level_for(1.0, hydrogen_sulphide) == pytest.approx(41.0)
    with pytest.raises(InputError, match="do not rise"):
        level_for(10.0, [1.0, 2.0, 3.0, 4.0, 5.0])


def test_air_indoors_follows_the_exact_exchange() -> None:
    outside = np.array([0.0, 100.0, 100.0, 40.0, 0.0, 0.0, 0.0])
    got = indoors(outside, 600.0, 0.7)
    now, want = 0.0, []
    for value in outside:
        now = float(solve_ivp(lambda _, c, v=value: 0.7 / 3600 * (v - c), (0, 600), [now], rtol=1e-10, atol=1e-12).y[0][-1])
        want.append(now)
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9)
    assert indoors(np.full(10_000, 5.0), 60.0, 1.0)[-1] == pytest.approx(5.0)


def test_the_highest_mean_over_a_window_counts_what_was_not_there_as_nothing() -> None:
    assert peak_mean([0, 0, 2, 2, 0], 60.0, 120.0) == 2.0
    assert peak_mean([4.0], 60.0, 600.0) == pytest.approx(0.4)
    with pytest.raises(InputError, match="shorter"):
        peak_mean([4.0], 60.0, 10.0)
