"""What is told of each choice by all that was run: means freed of the futures' common ups and downs, tails believed as far as they are known.

With ten futures the worst tenth is one of them, so how tails differ is told by one number each, while how means differ is told by ten. Where
nothing speaks for it, tails are taken to differ as means do; the more the tails that were seen scatter beyond what chance explains, and the
better each is known, the more each is believed (Efron & Morris 1975, J. American Statistical Association 70:311-319, with the spread between
choices integrated out as in Gelman 2006, Bayesian Analysis 1:515-534, in place of estimated).

Valid for: the order of spending, and for who leads while not all is run. It leans to what choices have in common, so nothing that is said to be sure
may rest on it; with all futures run it is the plain criterion of each.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.science.race_criterion import Criterion

Floats = NDArray[np.float64]

# Choices of ours, made on made-up families with seeds from 50000 on (benchmarks/race.py); they steer the order of runs alone, and no bound rests on them.
SPREADS_TRIED = np.concatenate([[0.0], np.geomspace(0.05, 20.0, 24)])  # in usual errors: what choices may differ by
TAIL_SEEN = 3.0  # futures in the tail, from which on their own spread is believed
PRIOR_RUNS = 4.0  # so many runs a choice's own scatter is held against that of all choices
PRIOR_TAIL = 3.0  # so many runs in the tail before the tail's own scatter counts as much as that of all runs
HIGHEST_SHARE = 1e4  # common over own variance, beyond which nothing changes


class Estimate(msgspec.Struct, frozen=True):
    """The criterion of each choice over all futures, (choice,), as far as they can be compared, and how much one run scatters it."""

    criterion: Floats
    unit: Floats


def shrunk(value: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """What was seen of several choices brought towards their middle as far as chance explains how they differ; and the share of each that was kept."""
    usual = float(np.median(variance))
    if value.size < 2 or usual <= 0.0:
        return value, np.ones_like(value)
    spread = SPREADS_TRIED[:, None] ** 2 * usual
    weight = 1.0 / (np.maximum(variance, 1e-9 * usual) + spread)
    middle = (weight * value).sum(axis=1) / weight.sum(axis=1)
    likelihood = 0.5 * (
        np.log(weight).sum(axis=1) - np.log(weight.sum(axis=1)) - (weight * (value - middle[:, None]) ** 2).sum(axis=1)
    )
    step = np.gradient(np.sqrt(spread[:, 0]))
    chance = np.exp(likelihood - likelihood.max()) * step
    chance /= chance.sum()
    kept = spread * weight
    return chance @ (middle[:, None] + kept * (value - middle[:, None])), chance @ kept


def going_with_mean(value: Floats, mean: Floats, variance: Floats) -> Floats:
    """What of a figure goes with the mean of the choices, beyond what chance explains: where those that are good on average are bad at worst, all show it."""
    if len(value) < 3 or not variance.min() > 0.0:
        return np.zeros_like(value)
    weight = 1.0 / variance
    centred = mean - (weight * mean).sum() / weight.sum()
    precision = float((weight * centred**2).sum())
    if precision <= 0.0:
        return np.zeros_like(value)
    slope = float((weight * centred * value).sum()) / precision
    # the positive part of James & Stein's factor, of one number
    return np.asarray(max(0.0, 1.0 - 1.0 / max(slope**2 * precision, 1e-300)) * slope * centred)


def estimate(losses: Floats, criterion: Criterion, of: int) -> Estimate:
    """Every choice by its runs, (choice, future), NaN where there is none; a choice without any is told as infinite.

    Losses are taken as what a future brings to all, times a slope of each choice, and each choice's own: so a choice that missed a future that was
    bad for the others is not praised for it.
    """
    there = np.isfinite(losses)
    told = np.full(len(losses), np.inf)
    some = np.flatnonzero(there.any(axis=1))
    if not some.size:
        return Estimate(told, told.copy())
    columns = there.any(axis=0)
    x, has = losses[some][:, columns], there[some][:, columns]
    runs = has.sum(axis=1).astype(float)
    left = np.clip(1.0 - runs / of, 0.0, 1.0)
    mean, common, own = _means(x, has)
    rest = np.where(has, x - mean[:, None] - common, 0.0)
    rest_mean = rest.sum(axis=1) / runs
    aim = float(common.mean())
    # how much more a choice loses where all lose more
    here = np.where(has, common, 0.0).sum(axis=1) / runs
    apart = np.where(has, common - here[:, None], 0.0)
    square = (apart**2).sum(axis=1)
    enough = square > 1e-12 * (1.0 + common @ common)
    slope = np.where(enough, (apart * rest).sum(axis=1) / np.where(enough, square, 1.0), 0.0)
    body = _body(np.where(has, rest - rest_mean[:, None] - slope[:, None] * apart, 0.0), common, has, criterion.tail)
    slope_variance = np.where(enough, np.median(body) / np.where(enough, square, 1.0), np.inf)
    believed, share_of_slope = np.zeros_like(slope), np.zeros_like(slope)
    if enough.sum() > 1:
        believed[enough], share_of_slope[enough] = shrunk(slope[enough], slope_variance[enough] * left[enough])
    mean = mean + rest_mean + believed * (aim - here)
    # how much worse its tail is than that, by its own futures
    excess, scatter = np.empty_like(mean), np.empty_like(mean)
    tail_of_common = criterion.excess(common)
    for k, mine in enumerate(has):
        loss, all_of_it = x[k, mine], common[mine]
        excess[k] = criterion.excess(loss) - (1.0 + slope[k]) * criterion.excess(all_of_it)
        part = criterion.excess_influence(loss) - criterion.excess_influence(all_of_it)
        seen = runs[k] * criterion.tail
        scatter[k] = (PRIOR_TAIL * body[k] * (1.0 / criterion.tail - 1.0) + seen * part.var()) / (PRIOR_TAIL + seen)
    variance = np.median(scatter) / runs * left
    with_mean = going_with_mean(excess, mean, variance)
    beyond, share_of_tail = shrunk(excess - with_mean, variance)
    tail = with_mean + beyond
    w = 1.0 - criterion.mean_weight
    told[some] = mean + w * ((1.0 + believed) * tail_of_common + tail)
    units = np.full(len(losses), np.inf)
    lean = share_of_slope * (w * tail_of_common) ** 2 / max(float(common.var()), 1e-12)
    units[some] = np.sqrt(own * (1.0 + lean) + w**2 * share_of_tail * scatter)
    return Estimate(told, units)


def _means(x: Floats, has: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """The mean of each choice, what each future brings to all beyond it, and the variance of each choice's own: weighed least squares with the
    futures' effects drawn at random, as far as the runs that all share tell how large these are (Henderson 1975, Biometrics 31:423-447)."""
    choices = len(x)
    filled = np.where(has, x, 0.0)
    runs = has.sum(axis=1)
    mean = filled.sum(axis=1) / runs
    if choices < 2:
        return mean, np.where(has, x - mean[:, None], 0.0)[0], np.zeros(1)
    common_variance, own = _variances(x, has, runs)
    weight = has / own[:, None]
    share = common_variance / (1.0 + common_variance * weight.sum(axis=0))
    normal = np.diag(weight.sum(axis=1)) - (weight * share) @ weight.T
    right = (weight * filled).sum(axis=1) - (weight * share) @ (weight * filled).sum(axis=0)
    mean = np.linalg.solve(normal, right)
    common = share * (weight * np.where(has, x - mean[:, None], 0.0)).sum(axis=0)
    return mean, common, own


def _variances(x: Floats, has: NDArray[np.bool_], runs: NDArray[np.int64]) -> tuple[float, Floats]:
    """The variance of what futures bring to all, and of each choice's own, by moments."""
    effect = np.zeros(x.shape[1])
    filled = np.where(has, x, 0.0)
    count = has.sum(axis=0)
    for _ in range(8):
        mean = (filled - np.where(has, effect, 0.0)).sum(axis=1) / runs
        effect = (filled - np.where(has, mean[:, None], 0.0)).sum(axis=0) / count
        effect -= effect.mean()
    rest = np.where(has, x - mean[:, None] - effect, 0.0) ** 2
    freedom = max(1.0, float(has.sum() - len(x) - x.shape[1] + 1))
    pooled = float(rest.sum()) / freedom
    own = rest.sum(axis=1) * float(has.sum()) / freedom
    floor = max(1e-12, 1e-9 * float((filled**2).max()))
    pooled = max(pooled, floor)
    own = np.maximum((PRIOR_RUNS * pooled + own) / (PRIOR_RUNS + runs), floor)
    common = float((effect**2).sum() / max(1, effect.size - 1)) - pooled * float((1.0 / count).mean())
    return float(np.clip(common, 0.0, HIGHEST_SHARE * pooled)), own


def _body(rest: Floats, common: Floats, has: NDArray[np.bool_], tail: float) -> Floats:
    """The variance of each choice's own outside the worst futures: what differs in these is what is asked for, and no chance."""
    squares, counts = np.empty(len(rest)), np.empty(len(rest))
    for k, mine in enumerate(has):
        count = int(mine.sum())
        kept = np.argsort(common[mine], kind="stable")[: max(1, count - max(1, round(tail * count)))]
        values = rest[k, mine][kept]
        squares[k], counts[k] = float(((values - values.mean()) ** 2).sum()), values.size
    # futures' effects are told by the choices themselves, and a mean and a slope by each
    freedom = np.maximum((counts - 2.0) * (1.0 - 1.0 / len(rest)), 1.0) if len(rest) > 1 else np.maximum(counts - 2.0, 1.0)
    pooled = float(squares.sum() / freedom.sum())
    return np.maximum((PRIOR_RUNS * pooled + squares) / (PRIOR_RUNS + freedom), 1e-12)
