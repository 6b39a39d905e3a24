"""Chance that can be repeated: spread-out samples of what is uncertain, and draws that belong to a thing and not to an order of events."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def triangle(u: Floats, low: float, usual: float, high: float) -> Floats:
    """The quantile of a triangular distribution, same shape as `u` (0..1). Three equal numbers give that number.

    Source: Kotz & van Dorp 2004, Beyond Beta, ch. 1 (inverse of the distribution function).
    >>> triangle(np.array([0.0, 0.5, 1.0]), 0.0, 1.0, 2.0).tolist()
    [0.0, 1.0, 2.0]
    """
    if high == low:
        return np.full_like(u, low)
    rising = (usual - low) / (high - low)
    left = low + np.sqrt(u * (high - low) * (usual - low))
    right = high - np.sqrt((1.0 - u) * (high - low) * (high - usual))
    return np.asarray(np.where(u < rising, left, right))


def lognormal(u: Floats, low: float, usual: float, high: float) -> Floats:
    """The quantile of a shifted lognormal distribution, same shape as `u` (0..1), whose 5, 50 and 95 per cent are low, usual and high.

    From three symmetric quantiles the shift is (low * high - usual^2) / (low + high - 2 * usual): it makes them a geometric row, so that
    their logarithms lie evenly. Needs high - usual > usual - low > 0, a tail to the right.
    >>> [round(float(x), 6) for x in lognormal(np.array([0.05, 0.5, 0.95]), 10.0, 15.0, 40.0)]
    [10.0, 15.0, 40.0]
    """
    from scipy.special import ndtri

    shift = (low * high - usual**2) / (low + high - 2.0 * usual)
    sigma = np.log((high - shift) / (usual - shift)) / ndtri(0.95)
    return np.asarray(shift + (usual - shift) * np.exp(sigma * ndtri(u)))


def latin_hypercube(spreads: Mapping[str, tuple[float, float, float]], count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """`count` samples of each triangle, (count,), such that each of `count` equally likely parts of each is met once.

    Source: McKay, Beckman & Conover 1979, Technometrics 21(2):239-245; drawn by scipy.stats.qmc.
    """
    from scipy.stats import qmc

    uncertain = [name for name, (low, _, high) in spreads.items() if high > low]
    drawn = {name: np.full(count, usual) for name, (_, usual, _) in spreads.items()}
    if uncertain:
        u = qmc.LatinHypercube(d=len(uncertain), rng=rng).random(count)
        drawn |= {name: triangle(u[:, k], *spreads[name]) for k, name in enumerate(uncertain)}
    return drawn


def keyed_uniform(seed: int, *key: str) -> float:
    """A number in [0, 1) that belongs to a seed and a key: whoever asks, whenever, whatever else was drawn.

    So two plans that share an action meet the same luck with it, and an action more changes nothing else.
    """
    told = hashlib.blake2b("\x1f".join((str(seed), *key)).encode(), digest_size=8).digest()
    return int.from_bytes(told, "little") / 2.0**64


def key_of(name: str) -> int:
    """64 bits that stand for a name: what kernels that cannot hash text key their chance by."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
