"""When to warn of an epidemic: more cases than there should be, cases that beget more cases, hospitals that fill."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Limits, Rule, Verdict, threshold
from tocsin.pack.ready_rules.detector import ears, farrington
from tocsin.packs.epidemic.model import CASES_LEAST, DAY_S, WINDOW_D
from tocsin.packs.epidemic.quantities import BED_OCCUPANCY, CASES
from tocsin.science.diseases import COVID_2020
from tocsin.science.renewal import reproduction, serial_interval
from tocsin.science.trigger import on_grid
from tocsin.vocabulary import Level, Window

LOOK_BACK_D = 28
LATE_S = 3 * DAY_S  # a site that has reported nothing for three days is blind

CASES_UNUSUAL: Rule = ears(
    "cases_unusual",
    CASES,
    Limits(
        {Level.YELLOW: 3.0},
        "1",
        "Hutwagner et al. 2003, J Urban Health 80, suppl. 1, i89-i96: C2 above 3 (unverified as a criterion to warn the public)",
    ),
    max_age_s=LATE_S,
    meaning="more cases than in the week before",
)
CASES_ABOVE_FORMER_YEARS: Rule = farrington(
    "cases_above_former_years",
    CASES,
    Limits(
        {Level.YELLOW: 1.0},
        "1",
        "Noufaily et al. 2013, Statistics in Medicine 32, 1206-1222: a score above 1 (unverified as a criterion to warn the public)",
    ),
    max_age_s=14 * DAY_S,
    meaning="more cases than in these weeks of former years, for counts by the week",
)
HOSPITALS_FILL: Rule = threshold(
    "hospitals_fill",
    BED_OCCUPANCY,
    Limits(
        {Level.YELLOW: 0.85, Level.ORANGE: 0.90, Level.RED: 1.0},
        "1",
        "Bagust, Place & Posnett 1999, BMJ 319:155-158: risk from 85 % on, regular crises at 90 % (unverified: quoted from memory of others)",
    ),
    max_age_s=LATE_S,
    meaning="so many beds are taken that the next ill may find none",
)


def judge_growth(window: Window, _before: NDArray[np.int8]) -> Verdict:
    """R_t of the last week at each site: yellow where it is above 1 with 97.5 %, orange above 1.5; blind where days are missing."""
    count = on_grid(window.value, window.age_s, window.good, step_s=DAY_S, count=LOOK_BACK_D)
    sites = len(window.sites)
    newest_s = np.where(window.good, window.age_s, np.inf).min(axis=1, initial=np.inf) if sites else np.zeros(0)
    level, value, reason = (
        np.full(sites, Level.BLIND, np.int8),
        np.full(sites, np.nan),
        ["no complete counts of two weeks"] * sites,
    )
    serial = serial_interval(COVID_2020.serial_mean_d, COVID_2020.serial_sd_d, LOOK_BACK_D)
    for k in range(sites):
        known = np.isfinite(count[k])
        first = LOOK_BACK_D - int(np.argmin(known[::-1])) if not known.all() else 0
        days = count[k, first:]
        if newest_s[k] > LATE_S or days.size < 2 * WINDOW_D:
            continue
        told = reproduction(days, serial, window=WINDOW_D)
        if told.cases[-1] < CASES_LEAST:
            level[k], reason[k] = Level.NONE, f"{told.cases[-1]:.0f} cases in a week: too few to tell how they grow"
            continue
        low, _, high = told.quantile[-1]
        value[k] = told.mean[-1]
        level[k] = Level.ORANGE if low > 1.5 else Level.YELLOW if low > 1.0 else Level.NONE
        reason[k] = f"each case infects {told.mean[-1]:.2f} ({low:.2f} to {high:.2f})"
    return Verdict(level, value, tuple(reason))


CASES_BEGET_MORE: Rule = Rule(
    "cases_beget_more",
    CASES,
    (LOOK_BACK_D + 1) * DAY_S + LATE_S,
    judge_growth,
    "each case infects more than one other: R_t above 1",
    "Cori et al. 2013, Am J Epidemiol 178:1505-1512, with the serial interval of COVID-19 (Du et al. 2020); 1.5 is a choice of Tocsin (unverified)",
    verified=False,
)
