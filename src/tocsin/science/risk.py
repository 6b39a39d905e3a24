"""What a set of futures says of a choice: the bad tail, the regret, the chance of the unwanted, and how sure one is that one choice is better.

Everywhere `weight` says how likely each future is, (future,); without it all are equally likely. NaN is a pair that was not tried.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]

# Of 1,500 normal samples the bootstrap's 90 % span held the truth in 78 % with 5 pairs, 87 % with 15, 89 % with 30; Student's t in 90 %. Of skewed
# (lognormal) ones with 30 pairs both did in 82 %, and so did the bootstrap of 80 futures that are worth 62. Beyond the upper number the bootstrap
# costs memory and says what the normal law says.
BOOTSTRAP_FROM, BOOTSTRAP_TO = 30, 5_000


def cvar(loss: Floats, tail: float, weight: Floats | None = None) -> float:
    """Conditional value at risk: the mean of the worst `tail` share of the futures, (future,).

    The future at the edge of the tail counts with the share that it has in it, so that the number does not jump with the sample's size.
    Source: Rockafellar & Uryasev 2002, Journal of Banking & Finance 26(7):1443-1471, eq. 25 (discrete case).
    >>> cvar(np.array([1.0, 2.0, 3.0, 10.0]), 0.5)
    6.5
    >>> cvar(np.array([1.0, 2.0, 3.0, 10.0]), 0.5, np.array([0.4, 0.1, 0.25, 0.25]))
    6.5
    """
    if not (0.0 < tail <= 1.0) or loss.size == 0 or not np.isfinite(loss).all():
        raise InputError(f"cvar of {loss.size} losses, tail {tail}; wanted finite losses and a tail in (0, 1]")
    worst = np.argsort(-loss, kind="stable")
    likely = _likely(weight, loss.size)[worst]
    before = np.cumsum(likely) - likely
    counted = np.clip(tail * likely.sum() - before, 0.0, likely)
    return float((loss[worst] * counted).sum() / counted.sum())


def regret(loss: Floats) -> Floats:
    """How much worse each choice was than the best one that was tried in the same future, (choice, future). Source: Savage 1951."""
    tried = np.isfinite(loss)
    return np.asarray(np.where(tried, loss - np.where(tried, loss, np.inf).min(axis=0), np.nan))


def quantiles(value: Floats, at: tuple[float, ...], weight: Floats | None = None) -> Floats:
    """Quantiles of weighted futures, (at,): linear between the middles of their shares.

    With equal weights it is NumPy's usual one (Hyndman & Fan 1996, The American Statistician 50:361-365, type 7).
    >>> quantiles(np.array([1.0, 2.0, 3.0]), (0.5,)).tolist()
    [2.0]
    """
    if value.size == 0 or not np.isfinite(value).all():
        raise InputError(f"quantiles of {value.size} values; wanted one or more, all finite")
    likely = _likely(weight, value.size)
    if weight is None or np.ptp(likely) == 0.0:
        return np.asarray(np.quantile(value, at))
    order = np.argsort(value, kind="stable")
    order = order[likely[order] > 0]
    share = likely[order]
    middle = np.cumsum(share) - (share + share[0]) / 2.0
    return np.asarray(np.interp(np.asarray(at) * middle[-1], middle, value[order]))


def effective(weight: Floats) -> float:
    """How many equally likely futures these weighted ones are worth. Source: Kish 1965, Survey Sampling.

    >>> effective(np.array([0.5, 0.5, 0.0]))
    2.0
    """
    return float(weight.sum() ** 2 / (weight**2).sum())


def chance(met: NDArray[np.bool_], weight: Floats | None = None, *, sure: float = 0.9) -> tuple[float, float, float]:
    """How likely something is, and the span that holds it with at least `sure`: Clopper & Pearson 1934, Biometrika 26:404-413.

    Weighted futures count as so many equal ones as they are worth (Korn & Graubard 1998, Survey Methodology 24:193-201).
    >>> [round(x, 3) for x in chance(np.zeros(50, bool))]
    [0.0, 0.0, 0.058]
    """
    from scipy.stats import beta

    if met.size == 0:
        raise InputError("chance of nothing: no future was tried; wanted one or more")
    likely = _likely(weight, met.size)
    count = effective(likely)
    share = float(likely[met].sum() / likely.sum())
    hits, doubt = share * count, (1.0 - sure) / 2.0
    low = 0.0 if not met.any() else float(beta.ppf(doubt, hits, count - hits + 1.0))
    high = 1.0 if met.all() else float(beta.ppf(1.0 - doubt, hits + 1.0, count - hits))
    return share, low, high


def margin(
    first: Floats,
    second: Floats,
    rng: np.random.Generator,
    *,
    weight: Floats | None = None,
    draws: int = 2000,
    sure: float = 0.9,
) -> tuple[float, float, float]:
    """By how much `first` loses less than `second` on the futures that both were tried in: mean, and the span that holds it with `sure`.

    Paired, since both met the same futures. The span is BCa, a bootstrap that heeds bias and skew (Efron 1987, Journal of the American
    Statistical Association 82:171-185), of the weighted mean; with few pairs Student's t. One pair says nothing of its own doubt: -inf to inf.
    """
    difference = second - first
    both = np.isfinite(difference)
    likely = _likely(weight, difference.size)
    both &= likely > 0
    difference, likely = difference[both], likely[both]
    if difference.size == 0:
        raise InputError("margin: the two were never tried in the same future; try both in one or more")
    mean = float((difference * likely).sum() / likely.sum())
    if difference.size == 1:
        return mean, -np.inf, np.inf
    if np.ptp(difference) == 0.0:
        return mean, mean, mean
    if not BOOTSTRAP_FROM <= difference.size <= BOOTSTRAP_TO:
        low, high = _student(difference, likely, mean, sure)
    else:
        low, high = _bca(difference, likely, mean, rng, draws, sure)
    return mean, low, high


def _student(difference: Floats, likely: Floats, mean: float, sure: float) -> tuple[float, float]:
    """The span of a weighted mean by Student's t; its variance is that of a ratio (Cochran 1977, Sampling Techniques, ch. 6)."""
    from scipy.stats import t

    count = difference.size
    share = likely / likely.sum()
    error = np.sqrt(count / (count - 1) * (share**2 * (difference - mean) ** 2).sum())
    half = float(t.ppf((1.0 + sure) / 2.0, max(1.0, effective(likely) - 1.0)) * error)
    return mean - half, mean + half


def _bca(
    difference: Floats, likely: Floats, mean: float, rng: np.random.Generator, draws: int, sure: float
) -> tuple[float, float]:
    from scipy.special import ndtr, ndtri

    picked = rng.integers(0, difference.size, (draws, difference.size))
    means = (difference * likely)[picked].sum(axis=1) / likely[picked].sum(axis=1)
    below = ((means < mean).mean() + (means <= mean).mean()) / 2.0
    bias = ndtri(np.clip(below, 0.5 / draws, 1.0 - 0.5 / draws))
    without = ((difference * likely).sum() - difference * likely) / (likely.sum() - likely)  # the mean without each future
    lean = without.mean() - without
    skew = (lean**3).sum() / (6.0 * ((lean**2).sum()) ** 1.5) if lean.any() else 0.0
    z = ndtri(np.array([(1.0 - sure) / 2.0, (1.0 + sure) / 2.0]))
    at = ndtr(bias + (bias + z) / (1.0 - skew * (bias + z)))
    low, high = np.quantile(means, at)
    return float(low), float(high)


def _likely(weight: Floats | None, count: int) -> Floats:
    if weight is None:
        return np.ones(count)
    if weight.shape != (count,) or not np.isfinite(weight).all() or (weight < 0).any() or weight.sum() <= 0:
        raise InputError(
            f"weights of shape {weight.shape} for {count} futures, sum {weight.sum():g}; wanted one for each, none below 0"
        )
    return np.ones(count) if np.ptp(weight) == 0.0 else weight  # no rounding where all weigh alike
