"""How many people each case infects, from counts, held to what R's EpiEstim printed for the influenza of 2009 in a school in Pennsylvania."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.science.renewal import expected_cases, forecast, infectiousness, reproduction, serial_interval
from tocsin.vocabulary import InputError

# counts and table: mrc-ide/EpiEstim, tests/testthat/_snaps/estimate_R.md, examples 1 and 3 (numbers only)
FLU_2009 = np.array(
    [1, 1, 0, 2, 5, 3, 3, 3, 6, 2, 5, 9, 13, 12, 13, 11, 12, 6, 6, 6, 3, 1, 0, 2, 0, 0, 0, 0, 2, 0, 2, 0], np.float64
)
NON_PARAMETRIC = np.r_[0.0, 0.233, 0.359, 0.198, 0.103, 0.053, 0.027, 0.014, 0.007, 0.003, 0.002, 0.001]
MEAN_1 = [1.7356089, 1.7490494, 1.5370427, 1.4316392, 1.4223487, 1.6349410, 1.6636221, 1.6156800, 1.4340033, 1.4083724, 1.2477516, 1.0819346, 0.9369319,
          0.8194289, 0.6908048, 0.5894141, 0.4989223, 0.4726133, 0.4173489, 0.2976950, 0.2400240, 0.4577916, 0.6754931, 0.8634087, 1.0040161]  # fmt: skip
LOW_1 = [1.02863184, 1.10874730, 0.99469301, 0.95131387, 0.97288543, 1.17832168, 1.23867595, 1.23586721, 1.10905802, 1.10963727, 0.98470606, 0.84955138,
         0.72610935, 0.62222675, 0.50575593, 0.41054853, 0.32287622, 0.28454408, 0.22222070, 0.11968883, 0.06539846, 0.14864369, 0.21933077, 0.28034647,
         0.32600128]  # fmt: skip
MEAN_3 = [1.7357977, 1.7491678, 1.5370581, 1.4318389, 1.4227247, 1.6353733, 1.6639845, 1.6161467, 1.4344239, 1.4087217, 1.2479472, 1.0821477, 0.9371671,
          0.8196564, 0.6910352, 0.5896765, 0.4992206, 0.4729631, 0.4176319, 0.2978682, 0.2400880, 0.4573477, 0.6734382, 0.8591897, 0.9975352]  # fmt: skip
SD_3_FIRST, HIGH_1_LAST = 0.40913143, 2.0565439


def test_r_is_what_epiestim_prints_with_a_given_serial_interval() -> None:
    told = reproduction(FLU_2009, NON_PARAMETRIC)
    np.testing.assert_allclose(told.mean, MEAN_1, atol=5e-8)  # as many digits as it prints
    np.testing.assert_allclose(told.quantile[:, 0], LOW_1, atol=5e-8)
    assert told.quantile[-1, 2] == pytest.approx(HIGH_1_LAST, abs=5e-8)
    assert told.last_day.tolist() == list(range(7, 32))


def test_r_is_what_epiestim_prints_with_a_serial_interval_by_mean_and_sd() -> None:
    told = reproduction(FLU_2009, serial_interval(2.6, 1.5, 32))
    np.testing.assert_allclose(told.mean, MEAN_3, atol=5e-8)
    assert told.sd[0] == pytest.approx(SD_3_FIRST, abs=5e-9)


def test_imported_cases_infect_but_were_infected_elsewhere() -> None:
    """EpiEstim's example 2: local and imported cases, its first window."""
    local = np.array([0, 2, 0, 0, 1, 2, 0, 1] + 17 * [0] + [0, 1], np.float64)
    imported = np.array([1, 1, 1, 1, 2, 2, 1, 0, 0, 1] + 17 * [0], np.float64)
    told = reproduction(local + imported, serial_interval(2.6, 1.5, 27), imported=imported)
    np.testing.assert_allclose(told.mean[:4], [0.6413590, 0.3999222, 0.3956574, 0.4170468], atol=5e-8)
    np.testing.assert_allclose(told.quantile[-1], [1.193750537, 8.2718863, 27.4603530], rtol=1e-7)


def test_a_serial_interval_is_a_distribution_with_its_mean() -> None:
    told = serial_interval(15.3, 9.3, 200)
    assert told.sum() == pytest.approx(1.0, abs=1e-9)
    assert told[0] == 0.0
    assert told @ np.arange(200) == pytest.approx(15.3, abs=1e-6)


def test_r_of_cases_that_follow_the_renewal_equation_is_the_r_they_were_made_with() -> None:
    serial = serial_interval(5.0, 2.0, 40)
    cases = np.r_[1000.0, expected_cases(np.array([1000.0]), serial, np.full(60, 1.7))]
    told = reproduction(cases, serial, prior_mean=1e6, prior_sd=1e9)  # a prior that says nothing
    np.testing.assert_allclose(told.mean[20:], 1.7, rtol=1e-4)


def test_a_forecast_holds_the_renewal_equation_on_the_average() -> None:
    serial = serial_interval(5.0, 2.0, 30)
    past = np.full(30, 50.0)
    told = forecast(past, serial, days=10, r_mean=1.2, r_sd=1e-6, draws=4000, chance=np.random.default_rng(3))
    want = expected_cases(past, serial, np.full(10, 1.2))
    doubt = told.std(axis=0) / np.sqrt(4000)
    assert (np.abs(told.mean(axis=0) - want) < 5.0 * doubt).all()


def test_infectiousness_looks_back_only() -> None:
    assert infectiousness(np.array([3.0, 0.0, 0.0]), np.array([0.9, 0.5, 0.5])).tolist() == [0.0, 1.5, 1.5]


def test_a_missing_day_is_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match="fill the gap"):
        reproduction(np.array([1.0, np.nan, 2.0, 3.0]), NON_PARAMETRIC, window=2)
    with pytest.raises(InputError, match="wanted more days"):
        reproduction(np.ones(5), NON_PARAMETRIC, window=7)
