"""On which days somebody infects others: the published curve, and what a disease's own numbers give where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.science.diseases import COVID_2020, EBOLA_2014
from tocsin.science.infectiousness import infectiousness_by_day, passes_on_until_d
from tocsin.vocabulary import InputError

DAYS = np.arange(-14, 15)


def test_of_all_that_covid_passes_on_as_much_comes_before_the_first_symptoms_as_was_published() -> None:
    """He et al. 2020, as corrected: 44 % before the onset (30 to 57 %), and infectiousness peaks at it. Day 0 lies half before its own noon."""
    told = infectiousness_by_day(COVID_2020, DAYS)
    share = told / told.sum()
    assert share[DAYS < 0].sum() + share[DAYS == 0].sum() / 2 == pytest.approx(0.44, abs=0.01)
    assert DAYS[np.argmax(told)] == 0
    assert told.max() == 1.0


def test_nobody_passes_on_ebola_before_the_first_symptoms_and_then_as_long_as_it_lasts() -> None:
    told = infectiousness_by_day(EBOLA_2014, DAYS)
    assert (told[DAYS < 0] == 0.0).all()
    assert (np.diff(told[DAYS >= 0]) <= 0.0).all()
    lasts = EBOLA_2014.end_mild.at_most()
    assert told[DAYS == 12][0] == pytest.approx(1.0 - lasts[11])


def test_a_contact_matters_until_the_infection_is_over() -> None:
    assert passes_on_until_d(COVID_2020) == 14  # 4.5 + 1.1 + 8
    assert passes_on_until_d(EBOLA_2014) == 24  # 11.4 + 11.8


def test_days_far_from_the_first_symptoms_are_refused() -> None:
    with pytest.raises(InputError, match="wanted within 40"):
        infectiousness_by_day(COVID_2020, np.array([41]))
