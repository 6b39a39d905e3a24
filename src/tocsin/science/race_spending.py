"""Where one more run is worth most: by how much it lessens what a wrong choice may cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def worths(criterion: Floats, unit: Floats, runs: Ints, who: Ints, *, of: int) -> dict[int, float]:
    """What one more run lessens the expected opportunity cost by, for each number in `who`: choices that have one number share each run.

    `criterion` is that of each choice as it is estimated, `unit` what one run scatters it, `runs` how many of `of` futures were run, all (choice,).
    What choosing the one that is ahead may cost is the sum over the others of what each may be better by (Chick & Inoue 2001, Operations
    Research 49:732-743; He, Chick & Chen 2007, IEEE Transactions on Systems, Man, and Cybernetics C 37:951-961).
    """
    ahead = int(np.argmin(criterion))
    told: dict[int, float] = {}
    if not runs.all():
        return {int(number): float("inf") for number in np.unique(who[runs == 0])}
    lead = criterion - criterion[ahead]
    now = unit**2 * np.maximum(1.0 / runs - 1.0 / of, 0.0)
    then = unit**2 * np.maximum(1.0 / (runs + 1.0) - 1.0 / of, 0.0)
    others = np.arange(criterion.size) != ahead
    before = _costs(lead[others], np.sqrt(now + now[ahead])[others])
    for number in np.unique(who):
        variance = np.where(who == number, then, now)
        after = _costs(lead[others], np.sqrt(variance + variance[ahead])[others])
        told[int(number)] = float((before - after).sum())
    return told


def _costs(lead: Floats, error: Floats) -> Floats:
    """By how much a normal number around `lead` is expected to be below nothing, (choice,)."""
    from scipy.special import ndtr

    some = error > 0.0
    z = np.where(some, lead / np.where(some, error, 1.0), np.inf)
    density = np.exp(-0.5 * np.where(some, z, 0.0) ** 2) / np.sqrt(2.0 * np.pi)
    return np.where(some, error * density - np.where(some, z, 0.0) * error * ndtr(-z), 0.0)
