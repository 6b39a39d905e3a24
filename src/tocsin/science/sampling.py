"""Chance that can be repeated: spread-out samples of what is uncertain, and draws that belong to a thing and not to an order of events."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


# -- samples of the unit cube, (sample, dimension) -------------------------------------------------------------------------


def sobol(dimensions: int, count: int, seed: int, *, first: int = 0) -> Floats:
    """Points `first` .. `first + count` of one scrambled Sobol sequence: whoever asks for more gets the same points and then new ones.

    The first few span the cube, and each point alone is uniform. Balance is best at powers of two.
    Source: Sobol 1967; Owen 1998, J. Complexity 14:466-489 (scrambling); Joe & Kuo 2008, SIAM J. Sci. Comput. 30:2635-2654 (directions); drawn
    by scipy.stats.qmc.
    """
    from scipy.stats import qmc

    if dimensions == 0 or count == 0:
        return np.empty((count, dimensions))
    engine = qmc.Sobol(d=dimensions, scramble=True, rng=np.random.default_rng(seed))
    if first:
        engine.fast_forward(first)
    # drawn in blocks of one, two, four, ...: scipy warns of any other first block, though the points are the same
    blocks, drawn = [], first
    while drawn < first + count:
        block = min(first + count - drawn, max(1, drawn & -drawn if drawn else 1))
        block = 1 << (block.bit_length() - 1)
        blocks.append(engine.random(block))
        drawn += block
    return np.concatenate(blocks)


def latin_hypercube(dimensions: int, count: int, seed: int) -> Floats:
    """`count` points such that each of `count` equally wide parts of each dimension is met once. It cannot be grown: one more is another sample.

    Source: McKay, Beckman & Conover 1979, Technometrics 21(2):239-245; drawn by scipy.stats.qmc.
    """
    from scipy.stats import qmc

    if dimensions == 0 or count == 0:
        return np.empty((count, dimensions))
    return np.asarray(qmc.LatinHypercube(d=dimensions, rng=np.random.default_rng(seed)).random(count))


# -- quantiles: from a uniform number to one of a distribution, same shape as `u` (0..1) -----------------------------------


def triangle(u: Floats, low: float, usual: float, high: float) -> Floats:
    """The quantile of a triangular distribution. Three equal numbers give that number.

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


def uniform(u: Floats, low: float, high: float) -> Floats:
    """Every value of a range alike.

    >>> uniform(np.array([0.0, 0.25]), 2.0, 4.0).tolist()
    [2.0, 2.5]
    """
    return low + u * (high - low)


def normal(u: Floats, mean: float, sd: float, low: float = -np.inf, high: float = np.inf) -> Floats:
    """A normal distribution, cut at `low` and `high` and scaled up between them.

    Source: Robert 1995, Statistics and Computing 5:121-125, sec. 1 (inversion). Exact to float64 within 8 standard deviations of the mean.
    >>> normal(np.array([0.5]), 3.0, 1.0).tolist()
    [3.0]
    """
    from scipy.special import ndtr, ndtri

    if sd == 0.0:
        return np.full_like(u, mean)
    below, above = ndtr((low - mean) / sd), ndtr((high - mean) / sd)
    return np.asarray(np.clip(mean + sd * ndtri(below + u * (above - below)), low, high))


def lognormal_cut(u: Floats, median: float, sd_log: float, low: float = 0.0, high: float = np.inf) -> Floats:
    """A lognormal distribution by its median and the standard deviation of its natural logarithm, cut at `low` and `high`.

    >>> lognormal_cut(np.array([0.5]), 2.0, 0.3).round(12).tolist()
    [2.0]
    """
    with np.errstate(divide="ignore"):
        return np.asarray(np.clip(np.exp(normal(u, np.log(median), sd_log, np.log(low), np.log(high))), low, high))


def choice(u: Floats, shares: Floats) -> NDArray[np.int64]:
    """The number of one of several things, each as likely as its share, same shape as `u`.

    >>> choice(np.array([0.0, 0.49, 0.5, 0.99]), np.array([0.5, 0.5])).tolist()
    [0, 0, 1, 1]
    """
    edges = np.cumsum(shares / shares.sum())[:-1]
    return np.searchsorted(edges, u, side="right")


def sample_quantile(u: Floats, values: Floats) -> Floats:
    """The quantile of what was seen, each value alike, with lines between.

    Source: Hyndman & Fan 1996, The American Statistician 50:361-365, definition 7.
    >>> sample_quantile(np.array([0.0, 0.25, 1.0]), np.array([3.0, 1.0, 2.0])).tolist()
    [1.0, 1.5, 3.0]
    """
    return np.asarray(np.quantile(values, u))


# -- keyed chance ----------------------------------------------------------------------------------------------------------


def keyed_uniform(seed: int, *key: str) -> float:
    """A number in [0, 1) that belongs to a seed and a key: whoever asks, whenever, whatever else was drawn.

    So two plans that share an action meet the same luck with it, and an action more changes nothing else. For many at once see
    `tocsin.science.keyed`.
    """
    told = hashlib.blake2b("\x1f".join((str(seed), *key)).encode(), digest_size=8).digest()
    return int.from_bytes(told, "little") / 2.0**64


def key_of(name: str) -> int:
    """64 bits that stand for a name: what kernels that cannot hash text key their chance by."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
