"""Weights that let a few stand for all: the few then have the means that all have, in what is known of all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.science.risk import effective
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]

STEPS = 50
WORTH_LEAST = 0.5  # weighted, the few are worth at least this share of their number: a choice of ours, before balance


def balanced(some: Floats, of_all: Floats) -> Floats:
    """Weights of the few, (some,), all above 0 and of sum 1, with which they have the means of all in each column.

    `some` is (some, column) and `of_all` (all, column). Of all such weights those nearest to equal ones by entropy (raking: Deville & Sarndal 1992, J. American
    Statistical Association 87:376-382; entropy balancing: Hainmueller 2012, Political Analysis 20:25-46). Where the few cannot be balanced
    without leaning on too few of them, they are balanced in part.
    >>> balanced(np.array([[0.0], [1.0]]), np.array([[0.0], [1.0], [1.0], [1.0]])).round(2).tolist()
    [0.25, 0.75]
    """
    if some.ndim != 2 or of_all.ndim != 2 or some.shape[1] != of_all.shape[1] or not len(some) or not len(of_all):
        raise InputError(f"balanced: {some.shape} of {of_all.shape}; wanted (some, column) and (all, column), one row or more")
    if not (np.isfinite(some).all() and np.isfinite(of_all).all()):
        raise InputError("balanced: a number is not finite; leave its row out")
    scale = of_all.std(axis=0)
    kept = scale > 0.0
    z = (some[:, kept] - of_all[:, kept].mean(axis=0)) / scale[kept]
    ridge = 1e-6
    while ridge < 1e6:
        weight = _tilted(z, ridge)
        if effective(weight) >= WORTH_LEAST * len(some):
            return weight
        ridge *= 4.0
    return np.full(len(some), 1.0 / len(some))


def _tilted(z: Floats, ridge: float) -> Floats:
    """Weights in proportion to exp(z @ lean) whose mean of z is 0, or as near as a lean is worth its square; by Newton's method, damped."""
    lean = np.zeros(z.shape[1])

    def cost(at: Floats) -> float:
        top = z @ at
        return float(top.max() + np.log(np.exp(top - top.max()).mean()) + 0.5 * ridge * at @ at)

    def share(at: Floats) -> Floats:
        top = z @ at
        grown = np.exp(top - top.max())
        return np.asarray(grown / grown.sum())

    for _ in range(STEPS):
        weight = share(lean)
        slope = weight @ z + ridge * lean
        if not slope.size or np.abs(slope).max() < 1e-10:
            break
        apart = z - weight @ z
        step = np.linalg.solve((apart * weight[:, None]).T @ apart + (ridge + 1e-12) * np.eye(lean.size), slope)
        length, here = 1.0, cost(lean)
        while length > 1e-6 and cost(lean - length * step) > here:
            length /= 2.0
        lean = lean - length * step
    return share(lean)
