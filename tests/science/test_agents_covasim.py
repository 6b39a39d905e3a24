"""Our agents beside covasim 4 on covasim's own people, homes, schools and firms, with its parameters: the same epidemic within Monte Carlo doubt."""

from __future__ import annotations

import numpy as np
import pytest
from tests.science.covasim_twin import EQUAL, covasim_run, people_of

from tocsin.science.agents import Steps, spread_among
from tocsin.science.agents_steps import NEW_IMPORTED, NEW_INFECTED, NEW_SEVERE
from tocsin.science.diseases import COVID_2020

pytest.importorskip("covasim")

PEOPLE, INFECTED, DAYS, RUNS = 10_000, 100, 90, 4


def test_infections_and_severe_courses_are_those_of_covasim() -> None:
    theirs, ours = [], []
    for seed in range(RUNS):
        sim = covasim_run(PEOPLE, INFECTED, DAYS, seed)
        people = people_of(sim)
        sim.run()
        theirs.append((*np.asarray(sim.results.cum_infections)[[45, DAYS]], np.asarray(sim.results.cum_severe)[DAYS]))
        for more in (0, 100):  # two of ours for each of theirs
            first = np.random.default_rng(seed + more).choice(len(people), INFECTED, replace=False)
            # nobody is tested there, so nobody is isolated
            told = spread_among(
                people, COVID_2020, EQUAL, Steps(sensitivity=0.0), days=DAYS + 1, seeds=first, seed=seed + more
            ).daily
            infected = np.cumsum(told[:, NEW_INFECTED] + told[:, NEW_IMPORTED])
            ours.append((infected[45], infected[DAYS], told[:, NEW_SEVERE].sum()))
    a, b = np.array(theirs), np.array(ours)
    doubt = np.sqrt(a.var(axis=0, ddof=1) / len(a) + b.var(axis=0, ddof=1) / len(b))
    assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) < 4.0 * doubt).all(), (a.mean(axis=0), b.mean(axis=0), doubt)
