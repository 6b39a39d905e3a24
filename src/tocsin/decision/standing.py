"""What each plan's figures are over the futures that it was tried in, made comparable where not all were tried in all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tocsin.decision.outcomes import HARM, Outcomes
from tocsin.pack import Future
from tocsin.science.risk import quantiles
from tocsin.vocabulary import Estimate, InputError

Floats = NDArray[np.float64]
Measure = Callable[[Floats, Floats], float]
TOLD_MOST = 5


def mean(value: Floats, weight: Floats) -> float:
    """The mean of weighted futures."""
    return float(value.mean() if np.ptp(weight) == 0.0 else (value * weight).sum() / weight.sum())


class Standing:
    """The table, and how to read one plan's figure from it.

    A plan that was tried in fewer futures than the one that was tried in most is set beside that one on the futures that both met, and what it
    is there more or less is added to what that one is in all: else who was spared the bad futures would look better (control variates,
    Glasserman 2003, Monte Carlo Methods in Financial Engineering, sec. 4.1, with the coefficient 1 of common random numbers).
    """

    def __init__(self, outcomes: Outcomes) -> None:
        self.outcomes = outcomes
        if not outcomes.plans:
            raise InputError("rank: no plan; give one or more")
        self.tried = outcomes.tried & (outcomes.weight > 0)
        counts = self.tried.sum(axis=1)
        for plan, count in zip(outcomes.plans, counts, strict=True):
            if count == 0:
                raise InputError(f"rank: plan {plan.name!r} has no outcome in any future; try it in one or more, or leave it out")
        most = np.flatnonzero(counts == counts.max())
        harm = outcomes.figures[HARM]
        self.reference = int(min(most, key=lambda k: mean(harm[k][self.tried[k]], outcomes.weight[self.tried[k]])))

    def at(self, rows: Floats, k: int) -> NDArray[np.bool_]:
        """Where a plan was tried and a figure, (plan, future), is a number."""
        return np.asarray(self.tried[k] & np.isfinite(rows[k]))

    def of(self, rows: Floats, k: int, measure: Measure, *, name: str = HARM) -> float:
        """A measure of one plan's figure, (plan, future), over all futures."""
        weight, mine = self.outcomes.weight, self.at(rows, k)
        if not mine.any():
            raise InputError(
                f"rank: {name} of plan {self.outcomes.plans[k].name!r} is a number in no future; wanted it in one or more"
            )
        own = measure(rows[k][mine], weight[mine])
        others = self.at(rows, self.reference)
        both = mine & others
        if not (others & ~mine).any() or not both.any():
            return own
        beside = measure(rows[k][both], weight[both]) - measure(rows[self.reference][both], weight[both])
        return measure(rows[self.reference][others], weight[others]) + beside

    def estimate(self, rows: Floats, k: int, unit: str, *, name: str = HARM) -> Estimate:
        """Mean and 5, 50, 95 % of one plan's figure. What being tried in few futures does to the mean, it is taken to do to these."""
        middle = self.of(rows, k, mean, name=name)
        mine, weight = self.at(rows, k), self.outcomes.weight
        moved = middle - mean(rows[k][mine], weight[mine])
        low, half, high = (quantiles(rows[k][mine], (0.05, 0.5, 0.95), weight[mine]) + moved).tolist()
        if moved and rows[k][mine].min() >= 0.0:
            low, half, high = max(0.0, low), max(0.0, half), max(0.0, high)
        return Estimate(middle, low, half, high, unit)

    def common(self, plans: Sequence[int]) -> NDArray[np.bool_]:
        """Where all of these plans were tried, (future,)."""
        return np.asarray(self.tried[list(plans)].all(axis=0))


def untold(outcomes: Outcomes, futures: Sequence[Future]) -> tuple[str, ...]:
    """What is missing in the table, by plan and future: no number is ever left out in silence."""

    def called(columns: Sequence[int]) -> str:
        names = [f"{futures[n].number} (seed {futures[n].seed})" if futures else str(n) for n in columns[:TOLD_MOST]]
        more = len(columns) - len(names)
        return ", ".join(names) + (f" and {more} more" if more > 0 else "")

    told = []
    counted = outcomes.weight > 0
    nobody = np.flatnonzero(~outcomes.tried.any(axis=0) & counted)
    if nobody.size:
        told.append(
            f"{nobody.size} of {outcomes.weight.size} futures have no outcome at all and are left out: {called(nobody.tolist())}"
        )
    for k, plan in enumerate(outcomes.plans):
        went = np.array([course is not None for course in outcomes.courses[k]], bool)
        lost = np.flatnonzero(went & ~outcomes.tried[k] & counted & outcomes.tried.any(axis=0))
        if lost.size:
            told.append(
                f"plan {plan.name!r} was carried out but its harm is no number in future {called(lost.tolist())}: left out there"
            )
        for name, rows in outcomes.figures.items():
            bad = np.flatnonzero(outcomes.tried[k] & ~np.isfinite(rows[k]) & counted)
            if name != HARM and bad.size:
                told.append(f"plan {plan.name!r}: {name} is no number in future {called(bad.tolist())}: left out there")
    fewer = [(plan.name, int(n)) for plan, n in zip(outcomes.plans, (outcomes.tried & counted).sum(axis=1), strict=True)]
    most = max(n for _, n in fewer)
    if short := [f"{name!r} in {n}" for name, n in fewer if n < most]:
        told.append(
            f"not all plans were tried in all {most} futures: {', '.join(short)}; they are set beside the others on the futures that both met"
        )
    return tuple(told)
