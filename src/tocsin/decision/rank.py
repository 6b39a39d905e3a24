"""Rank plans by what they came to in the futures, with a sentence on each and how sure the first is.

Life comes first, property after: the order of incident priorities in the Incident Command System (life safety, incident stabilization,
property preservation; FEMA, IS-100/IS-200). A plan that breaks a hard limit in more futures than is permitted is ranked below all that do not
(a chance constraint: Charnes & Cooper 1959, Management Science 6:73-79). Then plans are ranked by people in danger, half by the mean and half by the
worst tail of the futures; only plans that are alike in that to a person are told apart by damage and cost, which are added and so have one currency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.asking import ask_first
from tocsin.decision.equity import borne_by_group, borne_by_zone, equity_words, inequality
from tocsin.decision.flips import future_flips, limit_flips, number_flip, price, weight_flip
from tocsin.decision.interpret import Course
from tocsin.decision.limits import breaches
from tocsin.decision.outcomes import COST, DAMAGE, FAILED, FINISHED_S, HARM, MOVED, Outcomes, services_in
from tocsin.decision.setting import Setting
from tocsin.decision.standing import Standing, mean, untold
from tocsin.pack import IN_DANGER
from tocsin.science.choice import dominates, stochastic_order, topsis
from tocsin.science.risk import cvar, margin, regret
from tocsin.vocabulary import Breach, Choice, Level, Margin, PlanScore

Floats = NDArray[np.float64]

TAIL = 0.1
MEAN_WEIGHT = 0.5
ALIKE = 0.5  # persons: plans that differ by less are told apart by damage and cost
CUT_OFF = "people_cut_off"


class Ranking(msgspec.Struct, frozen=True):
    """The plans, best first; the sentence that the commander reads first, how sure it is, and how open the choice is."""

    scores: tuple[PlanScore, ...]
    recommended: str
    reason: str
    doubt: str
    choice: Choice


class _Sums(msgspec.Struct, frozen=True):
    """The numbers by plan that decide, (plan,), and whether it breaks a limit."""

    names: tuple[str, ...]
    means: tuple[float, ...]
    tails: tuple[float, ...]
    spent: tuple[float, ...]
    broken: tuple[bool, ...]


def rank(outcomes: Outcomes, *, warning_level: Level = Level.NONE, setting: Setting | None = None) -> Ranking:
    """Rank all plans of a table, on the futures in which each was tried. What is not in `setting` is not told.

    Raises InputError where a plan has no outcome in any future, or a limit is on a figure or a zone that there is not.
    """
    setting = setting or Setting()
    setting.check(outcomes)
    standing = Standing(outcomes)
    limits = breaches(outcomes, setting.limits)
    sums = _sums(standing, limits)
    everyone = range(len(sums.names))
    order = _in_rank_order(sums, everyone)
    scores = _scores(standing, setting, sums, order, limits, warning_level)
    ahead = _margin(standing, order)
    reason, doubt = _verdict(sums, order, scores, ahead, setting.harmed)
    allowed = [
        k for k in order if sums.broken[k] == sums.broken[order[0]]
    ]  # a report lifts no limit: what breaks one is no choice
    asks, worth_of_all = ask_first(standing, setting, allowed)
    free_order = _in_rank_order(msgspec.structs.replace(sums, broken=(False,) * len(sums.names)), everyone)
    flips = (
        *limit_flips(sums.names, order, free_order, limits),
        *future_flips(standing, setting, allowed),
        *weight_flip(sums.names, sums.means, sums.tails, allowed, order[0], MEAN_WEIGHT),
        *(number_flip(ahead, sums.names[order[1]]) if len(order) > 1 else ()),
        *price(sums.names, sums.spent, order, ahead, outcomes.units[DAMAGE], setting.harmed),
    )
    choice = Choice(
        runner_up=sums.names[order[1]] if len(order) > 1 else "",
        margin=ahead,
        flips=flips,
        ask_first=asks,
        worth_of_all=worth_of_all,
        weightings=_weightings(standing, sums, order, allowed),
        equity=equity_words(scores, outcomes, setting),
        remarks=(*untold(outcomes, setting.futures), *setting.remarks),
        harmed=msgspec.UNSET if setting.harmed == IN_DANGER else setting.harmed,
    )
    return Ranking(scores, sums.names[order[0]], reason, doubt, choice)


def _sums(standing: Standing, limits: Sequence[Sequence[Breach]]) -> _Sums:
    outcomes = standing.outcomes
    harm, damage, cost = (outcomes.figures[name] for name in (HARM, DAMAGE, COST))
    plans = range(len(outcomes.plans))
    return _Sums(
        names=tuple(plan.name for plan in outcomes.plans),
        means=tuple(standing.of(harm, k, mean) for k in plans),
        tails=tuple(standing.of(harm, k, _tail) for k in plans),
        spent=tuple(standing.of(damage, k, mean, name=DAMAGE) + standing.of(cost, k, mean, name=COST) for k in plans),
        broken=tuple(any(breach.broken for breach in limits[k]) for k in plans),
    )


def _tail(value: Floats, weight: Floats) -> float:
    return cvar(value, TAIL, weight)


def _scores(
    standing: Standing,
    setting: Setting,
    sums: _Sums,
    order: Sequence[int],
    limits: Sequence[tuple[Breach, ...]],
    warning_level: Level,
) -> tuple[PlanScore, ...]:
    outcomes = standing.outcomes
    units, figures = outcomes.units, outcomes.figures
    regrets = _regrets(standing, sums)
    told = {HARM, DAMAGE, COST, FINISHED_S, FAILED}
    dominated = _dominated(standing, sums, setting.harmed)
    scores = []
    for place, k in enumerate(order, start=1):
        mine = standing.tried[k]
        weight = outcomes.weight[mine]
        zones = borne_by_zone(standing, setting, k)
        scores.append(
            PlanScore(
                plan=sums.names[k],
                digest=outcomes.plans[k].digest(),
                rank=place,
                harm=standing.estimate(figures[HARM], k, units[HARM]),
                cvar=sums.tails[k],
                regret_mean=mean(regrets[k][mine], weight),
                regret_worst=float(regrets[k][mine].max()),
                damage=standing.estimate(figures[DAMAGE], k, units[DAMAGE], name=DAMAGE),
                cost=standing.of(figures[COST], k, mean, name=COST),
                finished_s=standing.estimate(figures[FINISHED_S], k, units[FINISHED_S], name=FINISHED_S),
                failed_share=standing.of(figures[FAILED], k, mean, name=FAILED),
                best_share=mean((regrets[k][mine] < ALIKE).astype(np.float64), weight),
                reason=_why(standing, sums, k, order[0], limits[k], warning_level, setting.harmed),
                figures={
                    name: standing.estimate(rows, k, units[name], name=name) for name, rows in figures.items() if name not in told
                },
                futures=int(mine.sum()),
                limits=limits[k],
                dominated_by=dominated[k],
                outdone_by=_outdone(standing, sums, k),
                zones=zones,
                groups=borne_by_group(standing, setting, k),
                gini=inequality(zones),
            )
        )
    return tuple(scores)


def _regrets(standing: Standing, sums: _Sums) -> Floats:
    """How much worse each plan was than the best one of the same future that keeps the limits, (plan, future), 0 or more, NaN where not tried.

    Where all break a limit, than the best of all.
    """
    harm = np.where(standing.tried, standing.outcomes.figures[HARM], np.nan)
    spoilt = np.array(sums.broken) & (not all(sums.broken))
    kept = np.where(spoilt[:, None], np.nan, harm)
    best = np.where(np.isfinite(kept), kept, np.inf).min(axis=0)
    return np.asarray(np.where(np.isfinite(best), np.maximum(0.0, harm - best), regret(harm)))


def _criteria(standing: Standing, sums: _Sums) -> dict[str, Floats]:
    """What is compared side by side, less is better in each: (plan,) by name. Rounded to 9 digits: less is rounding, not difference."""
    outcomes = standing.outcomes
    told = {HARM: np.array(sums.means), "worst tenth": np.array(sums.tails)}
    for name in (CUT_OFF, *services_in(outcomes.figures), DAMAGE, COST, FINISHED_S, FAILED):
        if name in outcomes.figures:
            told[name] = np.array([standing.of(outcomes.figures[name], k, mean, name=name) for k in range(len(sums.names))])
    return {name: np.array([float(f"{value:.9g}") for value in row]) for name, row in told.items()}


def _dominated(standing: Standing, sums: _Sums, harmed: str) -> list[dict[str, str]]:
    """For each plan, which others are no worse in anything that is compared, and in what they are better."""
    criteria = _criteria(standing, sums)
    above = dominates(np.column_stack(list(criteria.values())))
    return [
        {
            name: f"better in {_and([harmed if what == HARM else what.replace('_', ' ') for what, row in criteria.items() if row[other] < row[k]])}"
            for other, name in enumerate(sums.names)
            if above[other, k]
        }
        for k in range(len(sums.names))
    ]


def _outdone(standing: Standing, sums: _Sums, k: int) -> dict[str, int]:
    """Which other plans leave fewer in danger than this one at every chance (1), or for all who shun risk (2), whatever they cost."""
    harm, weight = standing.outcomes.figures[HARM], standing.outcomes.weight
    found = {}
    for other, name in enumerate(sums.names):
        both = standing.common([k, other])
        if other != k and both.any() and (degree := stochastic_order(harm[other][both], harm[k][both], weight[both])):
            found[name] = degree
    return found


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _weightings(standing: Standing, sums: _Sums, order: Sequence[int], allowed: Sequence[int]) -> dict[str, str]:
    """Which plan wins under each weighting, among those that break no limit; of equal ones the one that is ranked first."""
    place = {k: number for number, k in enumerate(order)}
    criteria = _criteria(standing, sums)
    regrets = _regrets(standing, sums)
    near = topsis(np.column_stack(list(criteria.values()))[list(allowed)], np.ones(len(criteria)))
    weighed: dict[str, Sequence[float] | Floats | Mapping[int, float]] = {
        "life first": place,
        "average only": sums.means,
        "worst tenth only": sums.tails,
        "worst regret": [float(regrets[k][standing.tried[k]].max()) for k in range(len(sums.names))],
        "property": criteria[DAMAGE],
        "cost": criteria[COST],
        "all alike": dict(zip(allowed, -near, strict=True)),
    }
    return {name: sums.names[min(allowed, key=lambda k: (float(f"{value[k]:.9g}"), place[k]))] for name, value in weighed.items()}


def _margin(standing: Standing, order: Sequence[int]) -> Margin | None:
    if len(order) < 2:
        return None
    harm, (first, second) = standing.outcomes.figures[HARM], order[:2]
    both = standing.common([first, second])
    unit = standing.outcomes.units[HARM]
    if not both.any():
        return None
    middle, low, high = margin(
        harm[first][both], harm[second][both], np.random.default_rng(0), weight=standing.outcomes.weight[both]
    )
    sure = bool(np.isfinite([low, high]).all())
    return Margin(middle, low if sure else None, high if sure else None, int(both.sum()), unit)


def _in_rank_order(sums: _Sums, plans: Sequence[int]) -> list[int]:
    """The plans' numbers, best first. Plans within ALIKE persons of the best that is left are one group, ordered by damage and cost."""
    weighed = [MEAN_WEIGHT * at_mean + (1 - MEAN_WEIGHT) * tail for at_mean, tail in zip(sums.means, sums.tails, strict=True)]
    left = sorted(plans, key=lambda k: (sums.broken[k], weighed[k], sums.names[k]))
    order: list[int] = []
    while left:
        best = left[0]
        alike = [k for k in left if sums.broken[k] == sums.broken[best] and weighed[k] < weighed[best] + ALIKE]
        order += sorted(alike, key=lambda k: (sums.spent[k], sums.names[k]))
        left = left[len(alike) :]
    return order


def commonest(reasons: Sequence[str]) -> str:
    """The reason that is told most often; of several the first by name."""
    return min(Counter(reasons).items(), key=lambda told: (-told[1], told[0]))[0]


def _why(standing: Standing, sums: _Sums, k: int, first: int, limits: Sequence[Breach], warning_level: Level, harmed: str) -> str:
    """A sentence on one plan, beside the best one."""
    outcomes = standing.outcomes
    plan = outcomes.plans[k]
    moved = standing.of(outcomes.figures[MOVED], k, mean, name=MOVED)
    failed = standing.of(outcomes.figures[FAILED], k, mean, name=FAILED)
    words = f"{sums.means[k]:,.0f} {harmed} on average, {sums.tails[k]:,.0f} in the worst tenth"
    if moved >= 1:
        words += f"; {moved:,.0f} leave in time"
    if failed > 0:
        reasons = [done.failed for course in outcomes.courses[k] if course is not None for done in course.done if done.failed]
        words += f"; in {failed:.0%} of the futures a part of it fails" + (f" ({commonest(reasons)})" if reasons else "")
    tried = [course for course in outcomes.courses[k] if course is not None]
    asleep = [why for why in map(_level_never_entered, tried) if why]
    if asleep:
        words += f"; in {len(asleep) / len(tried):.0%} of the futures {commonest(asleep)}"
    for breach in limits:
        if breach.broken:
            words += f"; it breaks the limit {breach.limit} in {breach.chance:.0%} of the futures ({breach.low:.0%} to {breach.high:.0%}), {breach.permitted:.0%} are permitted"
        elif breach.high > breach.permitted:
            words += f"; that it keeps the limit {breach.limit} is not sure: broken in {breach.chance:.0%} of the futures, but it may be {breach.high:.0%}"
    if k != first and sums.broken[k] == sums.broken[first]:
        words += f"; {_beside(sums.means[k] - sums.means[first], sums.tails[k] - sums.tails[first], sums.names[first])}"
    if Level.NONE < warning_level < plan.level:
        words += f"; it is meant from {plan.level.word} on, and the warning is {warning_level.word}"
    return words


def _level_never_entered(course: Course) -> str:
    """That a level of a plan was not entered, for which a part of it stayed undone; empty where all were."""
    said = [done.skipped for done in course.done if done.skipped.startswith("level ")]
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


def _verdict(
    sums: _Sums, order: Sequence[int], scores: Sequence[PlanScore], ahead: Margin | None, harmed: str
) -> tuple[str, str]:
    """The sentence that the commander reads first, and how sure it is."""
    first, count = order[0], scores[0].futures
    tail, kept = sums.tails[first], sums.means[first]
    equals = [k for k in order if sums.broken[k] == sums.broken[first]]
    fewest = kept < min(sums.means[k] for k in equals) + 0.5 and tail < min(sums.tails[k] for k in equals) + 0.5
    what = f"leaves the fewest {harmed}" if fewest else "is best by average and worst tenth together"
    if len(equals) < len(order) and not sums.broken[first]:
        what += " of those that keep the limits"
    reason = f"{sums.names[first]!r} {what}: {kept:,.0f} on average, {tail:,.0f} in the worst tenth of {count} futures"
    if sums.broken[first]:
        reason = (
            f"{'Every' if len(order) > 1 else 'The'} plan breaks a limit in more futures than is permitted. Of these, {reason}"
        )
    if ahead is None:
        return f"{reason}.", "It was the only plan; compare it with others, and with waiting."
    second = order[1]
    name = sums.names[second]
    share = f"It is best, or as good as the best, in {scores[0].best_share:.0%} of the futures"
    if sums.broken[second] and not sums.broken[first]:
        doubt = f"{share}. {name!r} comes next, but breaks a limit."
    elif ahead.low is None or ahead.high is None:
        doubt = f"{share}. It saves {ahead.mean:,.0f} more than {name!r} in the one future that both met: that says nothing of how sure it is."
    elif ahead.high - ahead.low < 1.0 and abs(ahead.mean) < 1.0:
        doubt = f"{share}. {name!r} leaves as many {harmed}; damage and cost decide between the two."
    elif ahead.low > 0:
        doubt = f"{share}. Against {name!r} it saves {ahead.mean:,.0f} more, 90 % sure between {ahead.low:,.0f} and {ahead.high:,.0f}."
    elif ahead.high < 0:
        doubt = f"{share}. {name!r} saves {-ahead.mean:,.0f} more on average, and is worse in the worst tenth: {sums.tails[second]:,.0f}."
    else:
        doubt = f"{share}. It cannot be told apart from {name!r}: the difference of {ahead.mean:,.0f} may be {ahead.low:,.0f} to {ahead.high:,.0f}."
    return f"{reason}.", doubt
