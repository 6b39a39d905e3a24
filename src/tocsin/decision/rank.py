"""Rank plans by what they came to in the futures, with a sentence on each and how sure the first is.

Life comes first, property after: the order of incident priorities in the Incident Command System (life safety, incident stabilization,
property preservation; FEMA, IS-100/IS-200). Plans are ranked by people in danger, half by the mean and half by the worst tail of the
futures; only plans that are alike in that to a person are told apart by damage and cost, which are added and so have one currency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.impact import estimate
from tocsin.decision.interpret import Course
from tocsin.decision.outcomes import COST, DAMAGE, FAILED, FINISHED_S, HARM, MOVED, Outcomes
from tocsin.science.risk import cvar, margin, regret
from tocsin.vocabulary import Level, PlanScore

Floats = NDArray[np.float64]

TAIL = 0.1
MEAN_WEIGHT = 0.5
ALIKE = 0.5  # persons: plans that differ by less are told apart by damage and cost


class Ranking(msgspec.Struct, frozen=True):
    """The plans, best first; the sentence that the commander reads first, and how sure it is."""

    scores: tuple[PlanScore, ...]
    recommended: str
    reason: str
    doubt: str


def rank(outcomes: Outcomes, *, warning_level: Level = Level.NONE) -> Ranking:
    """Rank all plans of a table in which each was tried in every future."""
    harms = outcomes.figures[HARM]
    regrets = regret(harms)
    tails = [cvar(row, TAIL) for row in harms]
    best_share = (np.abs(harms - harms.min(axis=0)) < ALIKE).mean(axis=1)
    order = _in_rank_order(outcomes, tails)
    first = order[0]
    units, figures = outcomes.units, outcomes.figures
    told = {HARM, DAMAGE, COST, FINISHED_S, FAILED}
    scores = tuple(
        PlanScore(
            plan=outcomes.plans[k].name,
            digest=outcomes.plans[k].digest(),
            rank=place,
            harm=estimate(harms[k], units[HARM]),
            cvar=tails[k],
            regret_mean=float(regrets[k].mean()),
            regret_worst=float(regrets[k].max()),
            damage=estimate(figures[DAMAGE][k], units[DAMAGE]),
            cost=float(figures[COST][k].mean()),
            finished_s=estimate(figures[FINISHED_S][k], units[FINISHED_S]),
            failed_share=float(figures[FAILED][k].mean()),
            best_share=float(best_share[k]),
            reason=_why(outcomes, k, tails, first, warning_level),
            figures={name: estimate(rows[k], units[name]) for name, rows in figures.items() if name not in told},
        )
        for place, k in enumerate(order, start=1)
    )
    reason, doubt = _verdict(outcomes, order, tails, best_share)
    return Ranking(scores, outcomes.plans[first].name, reason, doubt)


def _in_rank_order(outcomes: Outcomes, tails: Sequence[float]) -> list[int]:
    """The plans' numbers, best first. Plans within ALIKE persons of the best that is left are one group, ordered by damage and cost."""
    names = [plan.name for plan in outcomes.plans]
    means = outcomes.figures[HARM].mean(axis=1)
    spent = (outcomes.figures[DAMAGE].mean(axis=1) + outcomes.figures[COST].mean(axis=1)).tolist()
    weighed = [MEAN_WEIGHT * float(mean) + (1 - MEAN_WEIGHT) * tail for mean, tail in zip(means, tails, strict=True)]
    by_harm = sorted(range(len(names)), key=lambda k: (weighed[k], names[k]))
    order: list[int] = []
    while by_harm:
        alike = [k for k in by_harm if weighed[k] < weighed[by_harm[0]] + ALIKE]
        order += sorted(alike, key=lambda k: (spent[k], names[k]))
        by_harm = by_harm[len(alike) :]
    return order


def commonest(reasons: Sequence[str]) -> str:
    """The reason that is told most often; of several the first by name."""
    return min(Counter(reasons).items(), key=lambda told: (-told[1], told[0]))[0]


def _why(outcomes: Outcomes, k: int, tails: Sequence[float], first: int, warning_level: Level) -> str:
    """A sentence on one plan, beside the best one."""
    harm, plan = outcomes.figures[HARM], outcomes.plans[k]
    moved, failed = outcomes.figures[MOVED][k].mean(), outcomes.figures[FAILED][k].mean()
    words = f"{harm[k].mean():,.0f} people stay in danger on average, {tails[k]:,.0f} in the worst tenth"
    if moved >= 1:
        words += f"; {moved:,.0f} leave in time"
    if failed > 0:
        reasons = [done.failed for course in outcomes.courses[k] if course is not None for done in course.done if done.failed]
        words += f"; in {failed:.0%} of the futures a part of it fails ({commonest(reasons)})"
    asleep = [why for why in map(_level_never_entered, outcomes.courses[k]) if why]
    if asleep:
        words += f"; in {len(asleep) / len(outcomes.courses[k]):.0%} of the futures {commonest(asleep)}"
    if k != first:
        words += f"; {_beside(harm[k].mean() - harm[first].mean(), tails[k] - tails[first], outcomes.plans[first].name)}"
    if Level.NONE < warning_level < plan.level:
        words += f"; it is meant from {plan.level.word} on, and the warning is {warning_level.word}"
    return words


def _level_never_entered(course: Course | None) -> str:
    """That a level of a plan was not entered, for which a part of it stayed undone; empty where all were."""
    said = [done.skipped for done in course.done if done.skipped.startswith("level ")] if course is not None else []
    return said[0] if said else ""


def _beside(more: float, more_in_tail: float, first: str) -> str:
    """What a plan's mean and tail are beside those of the best one."""
    if abs(more) < 0.5 and abs(more_in_tail) < 0.5:
        return f"as few as {first!r}, for more damage and cost"
    if more >= 0.5 and more_in_tail > -0.5:
        return f"{more:,.0f} more than {first!r}"
    if more >= 0.5:
        return f"{more:,.0f} more than {first!r} on average, {-more_in_tail:,.0f} fewer in the worst tenth"
    return f"{max(0.0, -more):,.0f} fewer than {first!r} on average, {more_in_tail:,.0f} more in the worst tenth"


def _verdict(outcomes: Outcomes, order: Sequence[int], tails: Sequence[float], best_share: Floats) -> tuple[str, str]:
    """The sentence that the commander reads first, and how sure it is."""
    harms, names = outcomes.figures[HARM], [plan.name for plan in outcomes.plans]
    first = order[0]
    count, tail, kept = harms[first].size, tails[first], harms[first].mean()
    fewest = kept < harms.mean(axis=1).min() + 0.5 and tail < min(tails) + 0.5
    what = "leaves the fewest people in danger" if fewest else "is best by average and worst tenth together"
    reason = f"{names[first]!r} {what}: {kept:,.0f} on average, {tail:,.0f} in the worst tenth of {count} futures"
    if len(order) == 1:
        return reason, "It was the only plan; compare it with others, and with waiting."
    second = order[1]
    mean, low, high = margin(harms[first], harms[second], np.random.default_rng(0))
    share = f"It is best, or as good as the best, in {best_share[first]:.0%} of the futures"
    if high - low < 1.0 and abs(mean) < 1.0:
        doubt = f"{share}. {names[second]!r} leaves as many in danger; damage and cost decide between the two."
    elif low > 0:
        doubt = f"{share}. Against {names[second]!r} it saves {mean:,.0f} more, 90 % sure between {low:,.0f} and {high:,.0f}."
    elif high < 0:
        doubt = f"{share}. {names[second]!r} saves {-mean:,.0f} more on average, and is worse in the worst tenth: {tails[second]:,.0f}."
    else:
        doubt = f"{share}. It cannot be told apart from {names[second]!r}: the difference of {mean:,.0f} may be {low:,.0f} to {high:,.0f}."
    return reason + ".", doubt
