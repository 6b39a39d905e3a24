"""Counts that tell nothing of any one person: discrete geometric noise, and silence below a threshold.

Mechanism: two-sided geometric noise, P(Z = z) = (1 - a) / (1 + a) * a^|z| with a = exp(-epsilon / sensitivity) (Ghosh, Roughgarden and Sundararajan 2012,
SIAM J. Comput. 41(6), definition 2.2: the mechanism that is best for every user of a count). With or without one person, who changes all counts together by
at most `sensitivity`, no outcome is more than e^epsilon times as likely. The threshold is applied to the noisy count, so it costs nothing (Dwork and Roth 2014,
proposition 2.1, post-processing), and so do sums over what is told: they are made of noisy counts, and no difference of sums gives back a silent one.

Sampling is exact in integers and fractions (Canonne, Kamath and Steinke 2020, NeurIPS, algorithms 1 and 2): noise from floating point can be undone (Mironov
2012). Chance comes in as a function that gives a whole number below n; for what is published it must be the system's own (`secrets.randbelow`), not a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Below = Callable[[int], int]
SILENT = -1


class Rule(NamedTuple):
    """How counts are told: the privacy `epsilon`, by how much one person changes all counts together, the fewest that are told (`k`), and the
    chance that a count of fewer than k persons is told all the same."""

    epsilon: Fraction
    sensitivity: int
    k: int
    slip: float


def rule_of(*, epsilon: str, sensitivity: int, k: int, slip: float) -> Rule:
    """A rule, if it is one; `epsilon` is a text such as "0.5", so that it is exact."""
    try:
        exact = Fraction(epsilon)
    except (ValueError, ZeroDivisionError) as fault:
        raise InputError(f"anonymity: epsilon {epsilon[:40]!r}; wanted a number such as 0.5") from fault
    if not (0 < exact <= 10 and exact.denominator <= 10**6 and 1 <= sensitivity <= 1_000 and 2 <= k <= 10**6 and 0 < slip < 1):
        raise InputError(
            f"anonymity: epsilon {epsilon}, sensitivity {sensitivity}, k {k}, slip {slip}; "
            "wanted 0 < epsilon <= 10 with at most 6 decimals, 1 to 1,000, 2 to 1,000,000, and a chance between 0 and 1"
        )
    return Rule(exact, sensitivity, k, slip)


def ratio(rule: Rule) -> float:
    """By how much the chance falls from one value of the noise to the next, a."""
    return math.exp(-float(rule.epsilon) / rule.sensitivity)


def noise_chance(z: int, rule: Rule) -> float:
    """P(Z = z).

    >>> half = rule_of(epsilon="1", sensitivity=1, k=10, slip=0.01)
    >>> round(sum(noise_chance(z, half) for z in range(-60, 61)), 12)
    1.0
    """
    a = ratio(rule)
    return (1 - a) / (1 + a) * a ** abs(z)


def tail(z: int, rule: Rule) -> float:
    """P(Z >= z), exactly: a^z / (1 + a) for z > 0."""
    a = ratio(rule)
    return a**z / (1 + a) if z > 0 else 1 - a ** (1 - z) / (1 + a)


def told_from(rule: Rule) -> int:
    """The smallest noisy count that is told: k, and above it a margin such that k - 1 persons pass it with at most the chance `slip`."""
    margin = 1
    while tail(margin, rule) > rule.slip:
        margin += 1
    return rule.k - 1 + margin


def told_chance(told: int, count: int, rule: Rule) -> float:
    """The chance that `count` persons are told as `told` (SILENT: not at all), exactly."""
    least = told_from(rule)
    if told == SILENT:
        return tail(count - least + 1, rule)  # P(Z < least - count), by symmetry; 1 - tail would lose its digits
    return noise_chance(told - count, rule) if told >= least else 0.0


def geometric_noise(rule: Rule, below: Below) -> int:
    """One value of the noise."""
    t, s = (rule.sensitivity * rule.epsilon.denominator, rule.epsilon.numerator)  # the scale is t / s
    while True:
        part = below(t)
        if not _exp_minus(Fraction(part, t), below):
            continue
        whole = 0
        while _exp_minus(Fraction(1), below):
            whole += 1
        size = (part + t * whole) // s
        negative = below(2) == 1
        if not (negative and size == 0):
            return -size if negative else size


def _exp_minus(gamma: Fraction, below: Below) -> bool:
    """True with the chance exp(-gamma), for 0 <= gamma <= 1."""
    k = 1
    while below(gamma.denominator * k) < gamma.numerator:
        k += 1
    return k % 2 == 1


def tell(counts: NDArray[np.int64], rule: Rule, below: Below) -> NDArray[np.int64]:
    """The counts as they may be told: noisy, and SILENT below the threshold. Every cell gets noise, also one of nobody.

    All cells that there could be must be in `counts`: a cell that is there only because somebody was in it would tell that by being there.
    """
    if counts.size and counts.min() < 0:
        raise InputError(f"anonymity: a count of {counts.min()}; wanted 0 or more")
    least = told_from(rule)
    noisy = counts + np.array([geometric_noise(rule, below) for _ in range(counts.size)], np.int64).reshape(counts.shape)
    return np.where(noisy >= least, noisy, SILENT)
