"""What observations say of an ensemble: which futures they speak for, and how the state of each has to move.

`expected` is what each member would have shown at each observation, (member, observation); `observed` is what was seen, (observation,).
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]


def log_likelihood(expected: Floats, observed: Floats, error_sd: Floats, *, degrees: float = np.inf) -> Floats:
    """How well each member fits what was seen, up to a constant, (member,).

    Errors are independent and normal, or Student's t with `degrees` of freedom: then one gauge that contradicts all others does not decide
    alone (Lange, Little & Taylor 1989, J. Am. Stat. Assoc. 84(408):881-896). `error_sd` is the error of the reading and of taking the cell
    for the place, (observation,).
    """
    z2 = (_misfit(expected, observed, error_sd)) ** 2
    if np.isinf(degrees):
        return np.asarray(-0.5 * z2.sum(axis=1))
    if not degrees > 0:
        raise InputError(f"likelihood: {degrees} degrees of freedom; wanted more than 0, or inf for normal errors")
    return np.asarray(-0.5 * (degrees + 1.0) * np.log1p(z2 / degrees).sum(axis=1))


ODD_SHARE = 0.01  # of counts are something else, a day typed wrongly or told twice: `unverified`; without it one of them would decide alone


def count_log_likelihood(counted: Floats, observed: Floats, share: Floats) -> Floats:
    """How well each member fits counts that were seen, up to a constant, (member,). `counted` is what each member's own run counted, (member, observation).

    A run is one throw of chance, as what came is: what it counted, n, says of its mean only that it is about m = n + 1/2 with that variance (a gamma
    distribution, by the prior of Jeffreys), so a count that comes is negative binomial with mean m and variance 2 m; to which (`share` m)^2 is added, (observation,). One count in a
    hundred (ODD_SHARE) is anything from 0 to twice the most that was seen or counted. Both are rounded to whole counts.
    Source: gamma-Poisson mixture, e.g. Gelman et al. 2013, Bayesian Data Analysis, 3rd ed., sec. 2.6; dispersion k = m / (1 + share^2 m).
    """
    from scipy.stats import nbinom  # takes a while to load, and only counts need it

    _misfit(counted, observed, np.ones_like(observed))
    if (observed < 0).any() or (counted < 0).any() or not (np.isfinite(share).all() and (share >= 0).all()):
        raise InputError("counts: one is below 0, or a share is not a number from 0 on; leave out what is no count")
    mean, seen = counted + 0.5, np.rint(observed)
    size = mean / (1.0 + share**2 * mean)
    chance = nbinom.pmf(seen, size, size / (size + mean))
    odd = ODD_SHARE / (1.0 + 2.0 * np.maximum(seen, mean.max(axis=0)))
    return np.asarray(np.log((1.0 - ODD_SHARE) * chance + odd).sum(axis=1))


def reweigh(weight: Floats, log_like: Floats) -> Floats:
    """Bayes: the weights after the observations, (member,), sum 1. A member without weight gets none back."""
    if weight.shape != log_like.shape or not np.isfinite(log_like).all():
        raise InputError(f"reweigh: weights {weight.shape}, likelihoods {log_like.shape}; wanted as many, all finite")
    with np.errstate(divide="ignore"):
        told = np.log(weight) + log_like
    told -= told.max()
    after = np.exp(told)
    return np.asarray(after / after.sum())


def effective(weight: Floats) -> float:
    """How many equally likely members the weights are worth. Source: Kong, Liu & Wong 1994, J. Am. Stat. Assoc. 89(425):278-288.

    >>> effective(np.array([0.5, 0.5, 0.0, 0.0]))
    2.0
    """
    return float(1.0 / (weight**2).sum())


class Fit(msgspec.Struct, frozen=True):
    """How far what was seen lies outside of what the ensemble holds possible, for each observation: 0 within its span, else in error_sd."""

    outside: Floats

    @property
    def worst(self) -> float:
        return float(np.abs(self.outside).max(initial=0.0))


def fit(expected: Floats, observed: Floats, error_sd: Floats) -> Fit:
    """Whether the ensemble spans what was seen: how many error_sd above the highest (below the lowest: negative) member it lies."""
    _misfit(expected, observed, error_sd)
    above = np.maximum(observed - expected.max(axis=0), 0.0)
    below = np.minimum(observed - expected.min(axis=0), 0.0)
    return Fit(np.asarray((above + below) / error_sd))


def taper(distance_m: Floats, reach_m: float) -> Floats:
    """How much an observation at a distance may say, 1 at 0, 0 from twice `reach_m` on, same shape.

    Source: Gaspari & Cohn 1999, Q. J. R. Meteorol. Soc. 125:723-757, eq. 4.10 (the compactly supported fifth-order function, c = `reach_m`).
    >>> taper(np.array([0.0, 2.0]), 1.0).tolist()
    [1.0, 0.0]
    """
    if not 0.0 < reach_m < np.inf:
        raise InputError(f"taper: a reach of {reach_m} m; wanted more than 0")
    r = np.abs(np.asarray(distance_m, np.float64)) / reach_m
    near = 1.0 + r**2 * (-5.0 / 3.0 + r * (5.0 / 8.0 + r * (0.5 - r / 4.0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        far = 4.0 + r * (-5.0 + r * (5.0 / 3.0 + r * (5.0 / 8.0 + r * (-0.5 + r / 12.0)))) - 2.0 / (3.0 * r)
    return np.asarray(np.where(r <= 1.0, near, np.where(r < 2.0, np.maximum(far, 0.0), 0.0)))


def kalman_update(
    state: Floats,
    expected: Floats,
    observed: Floats,
    error_sd: Floats,
    rng: np.random.Generator,
    *,
    localisation: Floats | None = None,
) -> Floats:
    """Move the state of each member towards what was seen, (member, cell): the ensemble Kalman filter with perturbed observations.

    `localisation` is (cell, observation), 0..1: what an observation may say of a cell (`taper`). The perturbations have mean zero over the
    members, so that the mean moves exactly by the gain. Right for near-normal errors; a depth that comes out below zero is the caller's to cut.
    Source: Burgers, van Leeuwen & Evensen 1998, Mon. Weather Rev. 126(6):1719-1724; localisation as in Houtekamer & Mitchell 2001, Mon. Weather Rev. 129(1):123-137.
    """
    misfit = _misfit(expected, observed, error_sd)
    members = state.shape[0]
    if state.ndim != 2 or members != expected.shape[0] or members < 2:
        raise InputError(
            f"kalman update: states {state.shape}, expected {expected.shape}; wanted (member, cell) of the same two or more members"
        )
    if localisation is not None and localisation.shape != (state.shape[1], observed.size):
        raise InputError(
            f"kalman update: localisation {localisation.shape}; wanted (cell, observation) = {(state.shape[1], observed.size)}"
        )
    noise = rng.standard_normal(misfit.shape)
    noise -= noise.mean(axis=0)
    seen = expected - expected.mean(axis=0)
    covariance = seen.T @ seen / (members - 1) + np.diag(error_sd**2)
    cross = (state - state.mean(axis=0)).T @ seen / (members - 1)
    if localisation is not None:
        cross = cross * localisation
    innovation = (misfit + noise) * error_sd
    return np.asarray(state + np.linalg.solve(covariance, innovation.T).T @ cross.T)


def _misfit(expected: Floats, observed: Floats, error_sd: Floats) -> Floats:
    """Observed less expected, in error_sd, (member, observation); raises InputError where the parts do not fit together."""
    if expected.ndim != 2 or expected.shape[1:] != observed.shape or observed.shape != error_sd.shape:
        raise InputError(
            f"assimilate: expected {expected.shape}, observed {observed.shape}, error {error_sd.shape}; wanted (member, observation), (observation,), (observation,)"
        )
    if not (np.isfinite(expected).all() and np.isfinite(observed).all() and np.isfinite(error_sd).all() and (error_sd > 0).all()):
        raise InputError(
            "assimilate: a value is not finite or an error is not above 0; leave out what is missing, and give each gauge its error"
        )
    return np.asarray((observed - expected) / error_sd)
