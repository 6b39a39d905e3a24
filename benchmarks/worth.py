"""How far the worth of a report is off with few futures, and how long a ranking takes: python benchmarks/worth.py

The truth is the closed form of the two-act problem with normal losses (Raiffa & Schlaifer 1961). The peer is the naive estimate without the shuffles.
"""

from __future__ import annotations

import time

import numpy as np
from scipy import stats

from tocsin.decision.interpret import Course
from tocsin.decision.outcomes import COST, DAMAGE, FAILED, FINISHED_S, HARM, MOVED, Outcomes
from tocsin.decision.rank import rank
from tocsin.decision.setting import Setting, Signal
from tocsin.pack import Plan
from tocsin.science.worth import knowing

TRIALS = 200
MEAN, BY_X, BY_REST = 20.0, 60.0, 60.0  # persons: what the first plan saves on average, and by what that varies


def truth(mean: float, spread: float) -> float:
    """What learning the difference of two acts, N(mean, spread), is worth."""
    if spread == 0.0:
        return 0.0
    z = abs(mean) / spread
    return float(spread * (stats.norm.pdf(z) - z * stats.norm.sf(z)))


def errors() -> None:
    print("futures  what is asked     truth   naive: mean (sd)    ours: mean (sd)   told (p < 0.05)")
    for futures in (20, 50, 200, 1000):
        for what, by_x in (("what matters", BY_X), ("nothing", 0.0)):
            naive, ours, told = [], [], 0
            for seed in range(TRIALS):
                rng = np.random.default_rng(seed)
                x = rng.normal(size=futures)
                loss = np.array([np.zeros(futures), MEAN + by_x * x + BY_REST * rng.normal(size=futures)])
                worth = knowing(loss, x, rng, shuffles=199)
                naive.append(worth.found)
                ours.append(worth.value)
                told += worth.p < 0.05
            print(
                f"{futures:7,}  {what:14} {truth(MEAN, by_x):8.1f} {np.mean(naive):9.1f} ({np.std(naive):5.1f}) "
                f"{np.mean(ours):10.1f} ({np.std(ours):5.1f}) {told / TRIALS:12.0%}"
            )


def speed(plans: int, futures: int, questions: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(questions, futures))
    harm = np.array([500 + 30 * k + 100 * x[0] * (k % 3) + 50 * rng.normal(size=futures) for k in range(plans)])
    zero = np.zeros_like(harm)
    figures = {HARM: harm, DAMAGE: zero, COST: zero, FINISHED_S: zero, FAILED: zero, MOVED: zero}
    table = Outcomes(
        tuple(Plan(f"p{k}", "flood", "", ()) for k in range(plans)),
        np.full(futures, 1.0 / futures),
        figures,
        dict.fromkeys(figures, "persons"),
        tuple(f"z{k}" for k in range(20)),
        np.repeat(harm[:, :, None] / 20.0, 20, axis=2),
        (),
        np.zeros((plans, futures, 0)),
        ((Course(()),) * futures,) * plans,
    )
    signals = tuple(Signal(f"s{k}", f"s{k}", "m", x[k]) for k in range(questions))
    all_of_it, bare = Setting(signals=signals, zone_people=np.full(20, 1e4)), Setting()
    rank(table, setting=all_of_it)
    for what, setting in (("order, margin, limits", bare), ("and flips, reports, equity", all_of_it)):
        began = time.perf_counter()
        rank(table, setting=setting)
        print(f"{plans} plans x {futures} futures, {questions} questions, {what:27} {time.perf_counter() - began:6.2f} s")


if __name__ == "__main__":
    errors()
    print()
    speed(10, 50, 25)
    speed(10, 200, 25)
