"""What agents of a made-up town tell of how an epidemic uses up its people: the numbers that the epidemic pack's compartments were given.

`python -m tests.packs.epidemic_fit` prints them. The town has 30,000 people on 5 km x 5 km, homes, ages, schools and firms as the pack makes them.
"""

from __future__ import annotations

import sys
from functools import lru_cache

import msgspec
import numpy as np
from scipy.optimize import brentq

from tocsin.packs.epidemic.compartments import LAYERS, naive_rates
from tocsin.packs.epidemic.model import DISEASES
from tocsin.packs.epidemic.populace import AGES_BRAZIL, HOME_MEAN_BRAZIL
from tocsin.science.agents import Mixing, People, Steps, spread_among
from tocsin.science.compartments import depletion_of
from tocsin.science.people import Habits, make_people

PEOPLE, SEEDS, DAYS = 30_000, 60, 400
EARLY = 0.05  # of the people infected: until then hardly anybody meets one who had it, but at home and at work
KNOBS = {"home_mean": HOME_MEAN_BRAZIL, "near_contacts": 10.0, "far_contacts": 10.0}


@lru_cache
def town() -> People:
    east, north = (v.ravel() * 500.0 for v in np.meshgrid(np.arange(10), np.arange(10)))
    habits = Habits(home_mean=round(HOME_MEAN_BRAZIL, 1), age_shares=AGES_BRAZIL)
    count = np.full(100, PEOPLE / 100.0)
    return make_people(count, east, north, np.zeros(100, np.int64), habits=habits, schools=None, works=None, seed=1).people


class Fit(msgspec.Struct):
    """Each layer's part of its naive rate, R of the early cases, the final size, the power that joins the two, and infectious days for the same growth."""

    part: np.ndarray
    r: float
    size: float
    depletion: float
    infectious_d: float


def fitted(disease_number: int, factor: float, runs: int = 8) -> Fit:
    """What agents tell. The infectious days are those with which exponential waits grow as the agents' generations do (Wallinga & Lipsitch 2007)."""
    disease = msgspec.structs.replace(DISEASES[disease_number], transmission=DISEASES[disease_number].transmission * factor)
    people, mixing = town(), Mixing()
    mixing = msgspec.structs.replace(mixing, ill=mixing.isolated)
    caused, cases, sizes, apart = np.zeros(LAYERS), 0, [], []
    for seed in range(runs):
        first = np.random.default_rng(seed).choice(len(people), SEEDS, replace=False)
        who = spread_among(people, disease, mixing, Steps(sensitivity=0.0), days=DAYS, seeds=first, seed=seed).who
        infected = who["infected_day"].astype(np.int64)
        order = np.sort(infected[infected >= 0])
        last = order[min(order.size - 1, int(EARLY * len(people)))]
        early = (infected >= 0) & (infected <= last) & (who["infector"] >= 0)  # the seeds' homes are whole as no other's are
        cases += int(early.sum())
        by = who["infector"]
        theirs = (by >= 0) & early[np.maximum(by, 0)]
        caused += np.bincount(who["layer"][theirs], minlength=LAYERS)
        sizes.append(order.size / len(people))
        apart.append(infected[theirs] - infected[by[theirs]])
    naive, days = naive_rates(disease, KNOBS["home_mean"], KNOBS["near_contacts"], KNOBS["far_contacts"])
    r, z = float(caused.sum() / cases), float(np.mean(sizes))
    generation_d = np.concatenate(apart).astype(np.float64)
    # growth g with R E[exp(-g T)] = 1 for the agents' generations T, and R = (1 + g latent) (1 + g infectious) for exponential waits
    growth = brentq(lambda g: r * np.exp(-g * generation_d).mean() - 1.0, 1e-6, 5.0)
    infectious_d = (r / (1.0 + growth * disease.latent.mean_d) - 1.0) / growth
    return Fit(caused / cases / (naive * days), r, z, depletion_of(r, z), infectious_d)


if __name__ == "__main__":
    np.set_printoptions(precision=3, suppress=True)
    for number, disease in enumerate(DISEASES):
        for factor in (0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0):
            told = fitted(number, factor)
            row = ", ".join(f"{v:.3f}" for v in (*told.part, told.depletion, told.infectious_d))
            sys.stdout.write(f"({factor}, {row}),  # {disease.name}: R {told.r:.3f}, final size {told.size:.4f}\n")
