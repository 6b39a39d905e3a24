"""What a set of futures says of a choice: the bad tail, the regret, and how sure one is that one choice is better than another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]


def cvar(loss: Floats, tail: float) -> float:
    """Conditional value at risk: the mean of the worst `tail` share of equally likely losses, (future,).

    The future at the edge of the tail counts with the share that it has in it, so that the number does not jump with the sample's size.
    Source: Rockafellar & Uryasev 2002, Journal of Banking & Finance 26(7):1443-1471, eq. 25 (discrete case).
    >>> cvar(np.array([1.0, 2.0, 3.0, 10.0]), 0.5)
    6.5
    """
    if not (0.0 < tail <= 1.0) or loss.size == 0 or not np.isfinite(loss).all():
        raise InputError(f"cvar of {loss.size} losses, tail {tail}; wanted finite losses and a tail in (0, 1]")
    worst = np.sort(loss)[::-1]
    weight = np.clip(tail * loss.size - np.arange(loss.size), 0.0, 1.0)
    return float((worst * weight).sum() / weight.sum())


def regret(loss: Floats) -> Floats:
    """How much worse each choice was than the best one of the same future, (choice, future). Source: Savage 1951."""
    return np.asarray(loss - loss.min(axis=0))


def margin(
    first: Floats, second: Floats, rng: np.random.Generator, *, draws: int = 2000, sure: float = 0.9
) -> tuple[float, float, float]:
    """By how much `first` loses less than `second` on the same futures: mean, and the span that holds it with `sure`.

    Paired bootstrap over futures (Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 13: percentile interval).
    """
    difference = second - first
    picked = rng.integers(0, difference.size, (draws, difference.size))
    means = difference[picked].mean(axis=1)
    low, high = np.quantile(means, [(1 - sure) / 2, (1 + sure) / 2])
    return float(difference.mean()), float(low), float(high)
