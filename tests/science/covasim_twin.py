"""covasim's own people as ours, so that both models play the same epidemic: its ages, its homes, all pupils in one school, all workers in one firm."""

from __future__ import annotations

from typing import Any

import numpy as np

from tocsin.science.agents import Mixing, People
from tocsin.science.agents_steps import SCHOOL, WORK

EQUAL = Mixing(
    contacts=(20.0, 16.0, 0.0, 20.0, 0.0),
    daily=(False,) * 6,
    isolated=(0.3, 0.1, 0.1, 0.1, 0.1, 0.1),
    quarantined=(0.6, 0.2, 0.2, 0.2, 0.2, 0.2),
)


def people_of(sim: Any) -> People:
    """`sim` is an initialised covasim.Sim of pop_type "hybrid"."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = sim.networks[0].edges  # "h"
    count = len(sim.people)
    first, second = np.asarray(edges.p1, np.int64), np.asarray(edges.p2, np.int64)
    _, home = connected_components(coo_matrix((np.ones(first.size), (first, second)), shape=(count, count)), directed=False)
    order = np.argsort(home, kind="stable")
    home_start = np.r_[0, np.cumsum(np.bincount(home))]
    age = np.asarray(sim.people.age.values).astype(np.int64)[order]
    place = np.where((age >= 6) & (age < 22), 0, np.where((age >= 22) & (age < 65), 1, -1))
    return People(
        age, home_start, np.array([0, count]), np.zeros(1, np.int64), place, np.array([SCHOOL, WORK]), np.zeros(2, np.int64)
    )


def covasim_run(people: int, infected: int, days: int, seed: int, **more: Any) -> Any:
    import covasim

    sim = covasim.Sim(
        pop_size=people,
        pop_infected=infected,
        n_days=days,
        rand_seed=seed,
        pop_type="hybrid",
        rescale=False,
        use_waning=False,
        verbose=0,
        **more,
    )
    sim.init()
    return sim
