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
AGES = np.array([0, 20, 40, 60, 120])


def test_of_each_age_as_many_are_infected_in_the_end_as_in_covasim_where_its_dead_are_counted() -> None:
    """Pairs of runs on the same 20,000 people. covasim drops the dead from the arrays of its people, 0.5 % of the infected: left out, ours look more."""
    count, theirs, ours, dropped = 20_000, [], [], []
    for seed in range(6):
        sim = covasim_run(count, INFECTED, 150, seed)
        age = np.asarray(sim.people.age.values).copy()
        people = people_of(sim)
        sim.run()
        day = sim.diseases[0].ti_infected
        had_it = np.isfinite(np.asarray(day.raw)[:count])
        theirs.append(np.histogram(age[had_it], AGES)[0])
        assert had_it.sum() == np.asarray(sim.results.cum_infections)[-1]
        dropped.append(had_it.sum() - np.isfinite(np.asarray(day.values)).sum())
        first = np.random.default_rng(seed).choice(count, INFECTED, replace=False)
        who = spread_among(people, COVID_2020, EQUAL, Steps(sensitivity=0.0), days=151, seeds=first, seed=seed).who
        ours.append(np.histogram(people.age[who["infected_day"] >= 0], AGES)[0])
    difference = np.c_[np.array(ours) - np.array(theirs), np.sum(ours, axis=1) - np.sum(theirs, axis=1)]
    doubt = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    # of Student's distribution with 5 degrees of freedom 1 in 1,000 lies beyond 6.87; five numbers are looked at
    assert (np.abs(difference.mean(axis=0)) < 6.87 * doubt).all(), (difference.mean(axis=0), doubt)
    assert doubt[-1] < 0.005 * count  # so that a bias of a few per cent would show
    assert 40 < np.mean(dropped) < 160


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
