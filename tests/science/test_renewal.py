"""How many people each case infects, from counts, held to what R's EpiEstim printed for the influenza of 2009 in a school in Pennsylvania."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tocsin.science.renewal import case_reproduction, expected_cases, forecast, infectiousness, reproduction, serial_interval
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


# R 4.2, EpiEstim 2.2.4: wallinga_teunis(Flu2009$incidence, method, config = list(t_start = 2:26, t_end = 8:32, ...)), with mean 2.6 and sd 1.5, and
# with the serial interval of the data; Std of 100 of its simulations
WT_PARAMETRIC = [1.5340015057, 1.4561348738, 1.4963167491, 1.5111219539, 1.5708062878, 1.4689414949, 1.3512595978, 1.2341655163, 1.1135672906,
                 0.9995664614, 0.8973311988, 0.7758678539, 0.6534160713, 0.5682223122, 0.4945787642, 0.4445376985, 0.4110908785, 0.3731228083, 0.3523542554,
                 0.4208428365, 0.5572673148, 0.7729240992, 0.7729240992, 0.4693878986, 0.4693878986]  # fmt: skip
WT_GIVEN = [1.5346928295, 1.4564532442, 1.4965967404, 1.5112442314, 1.5706728285, 1.4687072266, 1.3509339290, 1.2336289018, 1.1126910453, 0.9980582439,
            0.8959853768, 0.7747851197, 0.6519835966, 0.5669411087, 0.4935998004, 0.4440575300, 0.4151451156, 0.3780107392, 0.3581682594, 0.4353460753,
            0.5800340320, 0.7895795749, 0.7895795749, 0.4717477004, 0.4717477004]  # fmt: skip
WT_SD = [0.13594, 0.12999, 0.11770, 0.10756, 0.09271, 0.07634, 0.06968, 0.05539, 0.04857]


def test_case_reproduction_numbers_are_those_that_epiestim_prints() -> None:
    told = case_reproduction(FLU_2009, NON_PARAMETRIC)
    np.testing.assert_allclose(told.mean, WT_GIVEN, atol=5e-11)
    told = case_reproduction(FLU_2009, serial_interval(2.6, 1.5, 32))
    np.testing.assert_allclose(told.mean, WT_PARAMETRIC, atol=5e-11)
    np.testing.assert_allclose(told.sd[:9], WT_SD, rtol=4.0 / np.sqrt(2 * 99))  # 4 standard errors of a sd of 100 draws
    assert told.last_day.tolist() == list(range(7, 32))


def test_case_reproduction_numbers_are_the_mean_over_all_trees_weighted_by_their_likelihood() -> None:
    """Seven cases on five days, one of them imported, every assignment of an infector to each of the others."""
    serial = np.array([0.0, 0.5, 0.3, 0.2])
    onset = [0, 1, 1, 2, 3, 3, 4]
    is_imported = [True, False, False, False, True, False, False]
    total = 0.0
    moments = np.zeros(2)
    choices = [
        [-1] if away else [j for j in range(len(onset)) if 0 < onset[i] - onset[j] <= 3] for i, away in enumerate(is_imported)
    ]
    in_window = np.isin(onset, [1, 2])
    for tree in product(*choices):
        weight = np.prod([serial[onset[i] - onset[j]] for i, j in enumerate(tree) if j >= 0])
        by = np.bincount([j for j in tree if j >= 0], minlength=len(onset))[in_window].sum()
        total += weight
        moments += weight * np.array([by, by**2])
    mean, square = moments / total
    cases, away = np.bincount(onset).astype(float), np.bincount(onset, is_imported)
    told = case_reproduction(cases, serial, window=2, imported=away)
    assert told.last_day[0] == 2
    assert told.mean[0] == pytest.approx(mean / in_window.sum())
    assert told.sd[0] == pytest.approx(np.sqrt(square - mean**2) / in_window.sum())


def test_what_is_still_to_come_is_told_beside_the_case_reproduction_number() -> None:
    told = case_reproduction(np.full(10, 5.0), np.array([0.0, 0.5, 0.3, 0.2]), window=1)
    np.testing.assert_allclose(told.seen[-4:], [1.0, 0.8, 0.5, 0.0])
    np.testing.assert_allclose(told.mean[3:6], 1.0)
    assert told.mean[-1] == 0.0
    assert case_reproduction(np.array([1.0, 2.0, 0.0, 0.0, 0.0]), np.array([0.0, 1.0]), window=1).last_day.tolist() == [1]
    for cases, window in ((np.array([1.0, np.nan, 1.0]), 1), (np.ones(3), 3)):
        with pytest.raises(InputError, match="case reproduction"):
            case_reproduction(cases, np.array([0.0, 1.0]), window=window)


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
