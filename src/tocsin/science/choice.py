"""Several ways to compare choices side by side: distance to an ideal, domination, and how unequally a loss is borne."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]


def topsis(criteria: Floats, weight: Floats) -> Floats:
    """How near each choice is to the best of all criteria and how far from the worst, 0..1, more is better, (choice,).

    `criteria` is (choice, criterion), less is better in each; `weight` (criterion,) is scaled to the sum 1. A criterion in which all are
    equal says nothing. Its known flaw: adding a poor choice may swap two others (Garcia-Cascales & Lamata 2012), so it is shown, and does not decide.
    Source: Hwang & Yoon 1981, Multiple Attribute Decision Making, Springer, ch. III (vector norm, Euclidean distance).
    """
    if criteria.ndim != 2 or weight.shape != criteria.shape[1:] or not np.isfinite(criteria).all():
        raise InputError(
            f"topsis: criteria {criteria.shape}, weights {weight.shape}; wanted finite (choice, criterion) and (criterion,)"
        )
    if not np.isfinite(weight).all() or (weight < 0).any() or weight.sum() <= 0:
        raise InputError(f"topsis: weights {weight.tolist()}; wanted none below 0 and one above")
    length = np.sqrt((criteria**2).sum(axis=0))
    scaled = criteria / np.where(length > 0, length, 1.0) * (weight / weight.sum())
    to_best = np.sqrt(((scaled - scaled.min(axis=0)) ** 2).sum(axis=1))
    to_worst = np.sqrt(((scaled - scaled.max(axis=0)) ** 2).sum(axis=1))
    apart = to_best + to_worst
    return np.asarray(np.where(apart > 0, to_worst / np.where(apart > 0, apart, 1.0), 1.0))


def dominates(criteria: Floats) -> NDArray[np.bool_]:
    """True at [a, b] where choice a is no worse than b in any criterion and better in one, (choice, choice). Less is better."""
    ahead, behind = criteria[:, None, :], criteria[None, :, :]
    return np.asarray((ahead <= behind).all(axis=2) & (ahead < behind).any(axis=2))


def stochastic_order(first: Floats, second: Floats, weight: Floats | None = None) -> int:
    """Which order of stochastic dominance `first` has over `second`: 1, 2, or 0 for none. Losses: less is better.

    1: whoever prefers less harm prefers `first`, however they weigh harm: for every t, P(first > t) <= P(second > t).
    2: whoever besides shuns risk does: for every t, E max(first - t, 0) <= E max(second - t, 0). 1 implies 2. Equal laws: 0.
    Source: Hadar & Russell 1969, American Economic Review 59:25-34; for losses the stop-loss order (Mueller & Stoyan 2002, Comparison
    Methods for Stochastic Models and Risks).
    """
    both = np.isfinite(first) & np.isfinite(second)
    if not both.any():
        raise InputError("stochastic_order: the two were never tried in the same future")
    share = np.ones(int(both.sum())) if weight is None else weight[both]
    share = share / share.sum()
    a, b = first[both], second[both]
    at = np.unique(np.concatenate([a, b]))
    slack = 1e-12  # rounding of sums of shares, not of losses
    more_a, more_b = _above(a, share, at), _above(b, share, at)
    if (more_a <= more_b + slack).all():
        return 1 if (more_a < more_b - slack).any() else 0
    # between two losses the excess is linear in t, so the losses themselves are enough; below the least it is the mean
    step = np.diff(at)
    excess_a = np.concatenate([np.cumsum((more_a[:-1] * step)[::-1])[::-1], [0.0]])
    excess_b = np.concatenate([np.cumsum((more_b[:-1] * step)[::-1])[::-1], [0.0]])
    return 2 if (excess_a <= excess_b + slack * max(1.0, float(np.abs(at).max()))).all() else 0


def _above(loss: Floats, share: Floats, at: Floats) -> Floats:
    """P(loss > t) at each t, (at,)."""
    order = np.argsort(loss, kind="stable")
    upto = np.concatenate([[0.0], np.cumsum(share[order])])
    return np.asarray(1.0 - upto[np.searchsorted(loss[order], at, side="right")])


def gini(rate: Floats, persons: Floats) -> float | None:
    """How unequally a loss is borne, 0 (all alike) to 1 (one alone): the Gini index of `rate` (loss per person), (group,), weighted by persons.

    None where nobody lives or nothing is lost. People within a group count as alike, so it is a lower bound of that between persons.
    Source: Lerman & Yitzhaki 1989, Journal of Econometrics 42:43-47 (weighted, by the area under the Lorenz curve).
    >>> gini(np.array([0.0, 1.0]), np.array([50.0, 50.0]))
    0.5
    """
    if (
        rate.shape != persons.shape
        or not (np.isfinite(rate) & np.isfinite(persons)).all()
        or (persons < 0).any()
        or (rate < 0).any()
    ):
        raise InputError(f"gini: rates {rate.shape}, persons {persons.shape}; wanted the same shape, finite, none below 0")
    total, lost = persons.sum(), (rate * persons).sum()
    if total <= 0 or lost <= 0:
        return None
    order = np.argsort(rate, kind="stable")
    people = persons[order] / total
    loss = np.cumsum(rate[order] * persons[order]) / lost
    before = np.concatenate([[0.0], loss[:-1]])
    return float(1.0 - (people * (loss + before)).sum())
