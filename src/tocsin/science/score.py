"""How good a forecast was: scores of ensembles, of chances, and of yes or no.

Arrays are (member, case) for ensembles and (case,) for what came. `weight` is how likely each member was told to be, (member,), sum 1.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]


def crps(members: Floats, came: Floats, weight: Floats | None = None) -> Floats:
    """Continuous ranked probability score of each case, in the unit of the values, (case,); 0 is perfect, for one member the absolute error.

    The integral of the squared difference between the ensemble's distribution and the step at what came, exact for a weighted ensemble.
    Source: Gneiting & Raftery 2007, J. Am. Stat. Assoc. 102(477):359-378, eq. 21: E|X - y| - E|X - X'| / 2.
    >>> crps(np.array([[1.0], [3.0]]), np.array([2.0])).tolist()
    [0.5]
    """
    members, came, share = _checked(members, came, weight)
    order = np.argsort(members, axis=0)
    x = np.take_along_axis(members, order, axis=0)
    w = share[order]
    below = np.cumsum(w, axis=0) - w / 2  # sum over pairs of w w' |x - x'| = 4 sum w x (F - 1/2), F midway up the step at x
    spread = 4.0 * (w * x * (below - 0.5)).sum(axis=0)
    error = (share[:, None] * np.abs(members - came)).sum(axis=0)
    return np.asarray(error - spread / 2.0)


def brier(chance: Floats, came: NDArray[np.bool_]) -> float:
    """Mean squared error of chances, 0 is perfect, 0.25 is what "one half" always gets. Source: Brier 1950, Mon. Weather Rev. 78(1):1-3."""
    _chances(chance, came)
    return float(((chance - came) ** 2).mean())


class Reliability(msgspec.Struct, frozen=True):
    """Chances that were told against how often it came, by bins of the chance: `told` and `came` are NaN in a bin without cases.

    `reliability - resolution + uncertainty` is the Brier score of the bins' mean chances. Source: Murphy 1973, J. Appl. Meteorol. 12(4):595-600.
    """

    edge: Floats
    count: NDArray[np.int64]
    told: Floats
    came: Floats
    reliability: float
    resolution: float
    uncertainty: float


def reliability(chance: Floats, came: NDArray[np.bool_], *, bins: int = 10) -> Reliability:
    """How chances that were told compare with how often it came."""
    _chances(chance, came)
    if not 1 <= bins <= 1000:
        raise InputError(f"reliability: {bins} bins; wanted 1..1000")
    edge = np.linspace(0.0, 1.0, bins + 1)
    bin_of = np.minimum((chance * bins).astype(np.int64), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        told = np.bincount(bin_of, chance, bins) / count
        often = np.bincount(bin_of, came, bins) / count
    base = float(came.mean())
    filled = count > 0
    share = count[filled] / chance.size
    return Reliability(
        edge,
        count,
        told,
        often,
        float((share * (told[filled] - often[filled]) ** 2).sum()),
        float((share * (often[filled] - base) ** 2).sum()),
        base * (1.0 - base),
    )


def positions(members: Floats, came: Floats, u: Floats) -> Floats:
    """Where what came fell among the members, (case,), 0 (below all) to 1 (above all): alike everywhere if the spread is right.

    `u` (0..1, one for each case) says where between its two neighbours it counts, and where among members that are equal to it (rain that was not
    foretold and did not fall). With nine members the tenth parts are the ranks of Hamill 2001, Mon. Weather Rev. 129(3):550-560, sec. 2.
    """
    members, came, _ = _checked(members, came, None)
    below = (members < came).sum(axis=0)
    ties = (members == came).sum(axis=0)
    return np.asarray((below + u * (ties + 1)) / (members.shape[0] + 1))


def rank_histogram(position: Floats, *, bins: int = 10) -> NDArray[np.int64]:
    """How often what came fell in each part of the ensemble, (bin,): flat if the spread is right, a U if it is too small, a hill if too large."""
    if not ((position >= 0) & (position <= 1)).all() or not 1 <= bins <= 1000:
        raise InputError(f"rank histogram: positions of {position.size} cases in {bins} bins; wanted each 0..1, and 1..1000 bins")
    return np.bincount(np.minimum((position * bins).astype(np.int64), bins - 1), minlength=bins)


class Contingency(msgspec.Struct, frozen=True):
    """Warned or not against came or not. A ratio without any case is None, and not 0 or 1."""

    hits: int
    misses: int
    false_alarms: int
    correct_negatives: int

    @property
    def pod(self) -> float | None:
        """Probability of detection: hits of all that came."""
        return _share(self.hits, self.hits + self.misses)

    @property
    def far(self) -> float | None:
        """False alarm ratio: warnings after which nothing came, of all warnings."""
        return _share(self.false_alarms, self.hits + self.false_alarms)

    @property
    def csi(self) -> float | None:
        """Critical success index: hits of all that was warned of or came."""
        return _share(self.hits, self.hits + self.misses + self.false_alarms)

    @property
    def bias(self) -> float | None:
        """Warnings for each event: above 1 is too many."""
        return _share(self.hits + self.false_alarms, self.hits + self.misses)


def contingency(warned: NDArray[np.bool_], came: NDArray[np.bool_]) -> Contingency:
    """Count the four cases. Source of the ratios: Wilks 2011, Statistical Methods in the Atmospheric Sciences, 3rd ed., ch. 8.2."""
    if warned.shape != came.shape:
        raise InputError(
            f"contingency: {warned.shape} warnings and {came.shape} events; wanted one event or none for each warning or none"
        )
    return Contingency(
        int((warned & came).sum()), int((~warned & came).sum()), int((warned & ~came).sum()), int((~warned & ~came).sum())
    )


class Warned(msgspec.Struct, frozen=True):
    """Warnings against events in time: the table, and for each event how long before it the warning came, s; None where none did."""

    table: Contingency
    lead_s: tuple[float | None, ...]


def match(warnings_s: Floats, events_s: Floats, *, window_s: float) -> Warned:
    """Pair each event with the first warning of the `window_s` before it; a warning serves each event of its window.

    A warning that no event follows within the window is a false alarm; one that comes after its event began is no warning of it.
    """
    if not 0.0 < window_s < np.inf:
        raise InputError(f"match: a window of {window_s} s; wanted more than 0")
    at, events = np.sort(warnings_s), np.sort(events_s)
    first = np.searchsorted(at, events - window_s)
    has = first < np.searchsorted(at, events, side="right")
    lead = tuple(float(event - at[k]) if ok else None for event, k, ok in zip(events, first, has, strict=True))
    followed = np.searchsorted(events, at + window_s, side="right") > np.searchsorted(events, at)
    return Warned(Contingency(int(has.sum()), int((~has).sum()), int((~followed).sum()), 0), lead)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _chances(chance: Floats, came: NDArray[np.bool_]) -> None:
    if chance.shape != came.shape or not chance.size or not ((chance >= 0) & (chance <= 1)).all():
        raise InputError(f"score: chances {chance.shape} of what came {came.shape}; wanted as many, at least one, each 0..1")


def _checked(members: Floats, came: Floats, weight: Floats | None) -> tuple[Floats, Floats, Floats]:
    members, came = np.asarray(members, np.float64), np.asarray(came, np.float64)
    if members.ndim != 2 or members.shape[0] < 1 or came.shape != members.shape[1:]:
        raise InputError(f"score: members {members.shape}, what came {came.shape}; wanted (member, case) and (case,)")
    share = np.full(members.shape[0], 1.0 / members.shape[0]) if weight is None else np.asarray(weight, np.float64)
    if share.shape != members.shape[:1] or not (share >= 0).all() or not np.isclose(share.sum(), 1.0):
        raise InputError(
            f"score: weights {share.shape} with sum {share.sum():g}; wanted one for each member, none below 0, sum 1"
        )
    if not (np.isfinite(members).all() and np.isfinite(came).all()):
        raise InputError("score: a value is not finite; leave out the cases in which something is missing")
    return members, came, share
