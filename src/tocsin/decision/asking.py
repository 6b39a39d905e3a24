"""Which report would be worth asking for before one decides, told in persons: the value of information on the futures that were simulated anyway."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tocsin.decision.outcomes import HARM
from tocsin.decision.setting import Setting
from tocsin.decision.standing import Standing
from tocsin.science.worth import a_report, perfect_information
from tocsin.vocabulary import Ask

TOLD_MOST = 5
SHUFFLES = 999
DOUBT = 0.05  # the chance of telling a worth where there is none, over all questions together


def ask_first(standing: Standing, setting: Setting, plans: Sequence[int]) -> tuple[tuple[Ask, ...], float]:
    """Reports by their worth, best first, and what knowing the future exactly would save.

    Only plans that were tried in half as many futures as the most are choices here: the others would leave too few common futures. A worth is told
    where it is half a person or more and chance alone shows as much in less than `DOUBT` over all questions (Bonferroni).
    """
    outcomes = standing.outcomes
    counts = standing.tried.sum(axis=1)
    choices = [k for k in plans if counts[k] * 2 >= counts.max()]
    both = standing.common(choices)
    if len(choices) < 2 or not both.any():
        return (), 0.0
    weight = outcomes.weight[both]
    loss = _open(np.array([outcomes.figures[HARM][k][both] for k in choices]))
    everything = perfect_information(loss, weight)
    if everything < 0.5:
        return (), everything
    unit = outcomes.units[HARM]
    found = []
    for signal in setting.signals:
        worth = a_report(loss, signal.value[both], signal.error, np.random.default_rng(0), weight=weight, shuffles=SHUFFLES)
        if worth.value >= 0.5 and worth.p * len(setting.signals) < DOUBT:
            value = min(worth.value, everything)
            words = (
                f"Ask for {signal.words}: worth {value:,.0f} {unit} on average, of {everything:,.0f} that knowing all would save."
            )
            found.append(Ask(signal.name, value, unit, worth.p, words))
    return tuple(sorted(found, key=lambda ask: (-ask.worth, ask.name))[:TOLD_MOST]), everything


def _open(loss: NDArray[np.float64]) -> NDArray[np.float64]:
    """The choices that some knowledge could make the best: without those that lose at least as much as another in every future."""
    keep = [k for k in range(len(loss)) if not _never_better(loss, k)]
    return loss[keep]


def _never_better(loss: NDArray[np.float64], k: int) -> bool:
    """True where another choice is as good in every future, and better in one or named first."""
    as_good = (loss <= loss[k]).all(axis=1)
    better = (loss < loss[k]).any(axis=1)
    return bool((as_good & (better | (np.arange(len(loss)) < k)))[np.arange(len(loss)) != k].any())
