"""What it would be worth to know something before one chooses, in the unit of the loss; and from where on another choice is better.

The value of knowing x is what the best choice for each x loses less, on average, than the best choice without it (Raiffa & Schlaifer 1961,
Applied Statistical Decision Theory). It is found from the futures that were simulated anyway: each choice's loss is regressed on x (Strong,
Oakley & Brennan 2014, Medical Decision Making 34:311-326); of a report with an error, on simulated reports (Strong, Oakley, Brennan & Breeze
2015, Medical Decision Making 35:570-583). With few futures such a regression finds value in pure chance, so it is done again with the futures
shuffled, and what is found then is taken off.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]

SPLINES_MOST = 10  # pieces of curve; Eilers & Marx 1996: their number hardly matters, the penalty does
STIFFNESS = np.geomspace(1e-4, 1e6, 21)  # among which generalised cross-validation chooses (Craven & Wahba 1979)
NOTHING_BELOW = 8  # futures
AT_ONCE = 40  # shuffles
ENOUGH = 10  # so many shuffles that show as much settle that it is nothing


class Worth(msgspec.Struct, frozen=True):
    """The value of knowing: as found, what chance alone gives, and how often chance alone gives as much. `value` is what is left, 0 or more."""

    found: float
    by_chance: float
    p: float
    value: float


def perfect_information(loss: Floats, weight: Floats | None = None) -> float:
    """EVPI: what is lost less on average if one knew the future before one chose. `loss` is (choice, future), finite.

    >>> perfect_information(np.array([[0.0, 10.0], [4.0, 4.0]]))
    2.0
    """
    likely = _checked(loss, weight)
    return float((loss @ likely).min() - loss.min(axis=0) @ likely)


def knowing(loss: Floats, known: Floats, rng: np.random.Generator, *, weight: Floats | None = None, shuffles: int = 200) -> Worth:
    """EVPPI: what it is worth to know one thing exactly before one chooses. `loss` (choice, future), `known` (future,)."""
    likely = _checked(loss, weight)
    if known.shape != likely.shape or not np.isfinite(known).all():
        raise InputError(f"knowing: {known.shape} values for {likely.size} futures; wanted one finite value for each")
    if len(loss) < 2 or likely.size < NOTHING_BELOW or np.ptp(known) == 0.0:
        return Worth(0.0, 0.0, 1.0, 0.0)
    smoother = _Smoother(known, likely)
    found = _gain(loss, likely, smoother)
    chance, p = _gains_by_chance(loss, likely, smoother, rng, shuffles, found)
    by_chance = float(chance.mean())
    # what chance gives is less the more there is to find, so taking all of it off errs towards too little
    return Worth(found, by_chance, p, max(0.0, found - by_chance))


def a_report(
    loss: Floats,
    known: Floats,
    error: float,
    rng: np.random.Generator,
    *,
    weight: Floats | None = None,
    repeats: int = 30,
    shuffles: int = 200,
) -> Worth:
    """EVSI: what a report of `known` with a normal error (its standard deviation, in the same unit) is worth. `error` 0 is `knowing`."""
    if not 0.0 <= error < np.inf:
        raise InputError(f"a_report: error {error}; wanted 0 or more")
    if error == 0.0:
        return knowing(loss, known, rng, weight=weight, shuffles=shuffles)
    each = max(2, shuffles // repeats)
    found = [knowing(loss, known + rng.normal(0.0, error, known.size), rng, weight=weight, shuffles=each) for _ in range(repeats)]
    value, by_chance = float(np.mean([w.found for w in found])), float(np.mean([w.by_chance for w in found]))
    return Worth(value, by_chance, float(np.mean([w.p for w in found])), max(0.0, value - by_chance))


def expected(loss: Floats, known: Floats, weight: Floats | None = None) -> Floats:
    """The loss that is to be expected at each value of what is known, (choice, future): the curve through the futures' losses."""
    likely = _checked(loss, weight)
    return _Smoother(known, likely).fit(loss)


class _Smoother:
    """A penalised cubic spline in one variable, fitted to many columns at once (Eilers & Marx 1996, Statistical Science 11:89-121)."""

    def __init__(self, known: Floats, likely: Floats) -> None:
        values = np.unique(known)
        self._root = np.sqrt(likely * likely.size)
        if values.size <= 4:  # a yes or no, or a few classes: the mean of each
            basis, penalty = (known[:, None] == values).astype(np.float64), np.zeros((values.size, values.size))
        else:
            basis, penalty = _splines(known, values.size)
        heavy = basis * self._root[:, None]
        # Demmler & Reinsch: a basis in which fit and penalty are both diagonal, so that each stiffness costs one product
        inner = heavy.T @ heavy
        root = np.linalg.cholesky(inner + 1e-9 * np.trace(inner) / len(inner) * np.eye(len(inner)))
        half = np.linalg.solve(root, np.linalg.solve(root, penalty).T)
        self._curvature, turn = np.linalg.eigh((half + half.T) / 2.0)
        self._curvature = np.maximum(self._curvature, 0.0)
        self._basis = np.linalg.solve(root, heavy.T).T @ turn

    def fit(self, loss: Floats) -> Floats:
        """The fitted loss, (choice, future); each choice with the stiffness that generalised cross-validation gives it."""
        target = (loss * self._root).T  # (future, choice)
        along = self._basis.T @ target
        shrink = 1.0 / (1.0 + STIFFNESS[:, None] * self._curvature)  # (stiffness, basis)
        count = len(target)
        freedom = shrink.sum(axis=1)
        misfit = (target**2).sum(axis=0) - (2 * shrink - shrink**2) @ along**2  # (stiffness, choice)
        score = misfit / np.maximum(1e-9, 1.0 - freedom / count)[:, None] ** 2
        best = score.argmin(axis=0)
        fitted = self._basis @ (shrink[best].T * along)
        return np.asarray((fitted / np.where(self._root > 0, self._root, 1.0)[:, None]).T)


def _splines(known: Floats, distinct: int) -> tuple[Floats, Floats]:
    """Cubic B-splines over the range of what is known, and the penalty on second differences of their coefficients."""
    from scipy.interpolate import BSpline

    low, high = float(known.min()), float(known.max())
    pieces = int(np.clip(min(distinct, known.size // 4) - 3, 1, SPLINES_MOST))
    step = (high - low) / pieces
    knots = low + step * np.arange(-3, pieces + 4)
    basis = BSpline.design_matrix(np.clip(known, knots[3], knots[-4]), knots, 3).toarray()
    bends = np.diff(np.eye(basis.shape[1]), 2, axis=0)
    return basis, bends.T @ bends


def _gain(loss: Floats, likely: Floats, smoother: _Smoother) -> float:
    """What choosing by the curves loses less than choosing once. The losses are taken beside those of the first best: what all share cancels."""
    beside = loss - loss[(loss @ likely).argmin()]
    return max(0.0, float((beside @ likely).min() - smoother.fit(beside).min(axis=0) @ likely))


def _gains_by_chance(
    loss: Floats, likely: Floats, smoother: _Smoother, rng: np.random.Generator, shuffles: int, found: float
) -> tuple[Floats, float]:
    """`_gain` of futures that are shuffled against what is known of them, (shuffle,), and how often it is as large as what was found."""
    beside = loss - loss[(loss @ likely).argmin()]
    usual = float((beside @ likely).min())

    def gains(count: int) -> Floats:
        order = rng.permuted(np.tile(np.arange(likely.size), (count, 1)), axis=1)
        shuffled = beside[:, order].transpose(1, 0, 2)  # (shuffle, choice, future)
        fitted = smoother.fit(shuffled.reshape(-1, likely.size)).reshape(shuffled.shape)
        return np.asarray(np.maximum(0.0, usual - fitted.min(axis=1) @ likely))

    return _until_settled(gains, found, shuffles)


def _until_settled(draw: Callable[[int], Floats], found: float, most: int) -> tuple[Floats, float]:
    """Draws by chance until `ENOUGH` of them reach what was found, and the chance of that. Source: Besag & Clifford 1991, Biometrika 78:301-304."""
    drawn = np.empty(0)
    while drawn.size < most:
        drawn = np.concatenate([drawn, draw(min(AT_ONCE, most - drawn.size))])
        reached = np.flatnonzero(drawn >= found - 1e-9 * abs(found))
        if reached.size >= ENOUGH:
            return drawn, float(ENOUGH / (reached[ENOUGH - 1] + 1))
    return drawn, float((1 + reached.size) / (1 + drawn.size))


def _checked(loss: Floats, weight: Floats | None) -> Floats:
    if loss.ndim != 2 or loss.size == 0 or not np.isfinite(loss).all():
        raise InputError(
            f"losses {loss.shape}; wanted finite (choice, future): leave out futures in which a choice was not tried"
        )
    likely = np.ones(loss.shape[1]) if weight is None else weight
    if likely.shape != loss.shape[1:] or not np.isfinite(likely).all() or (likely < 0).any() or likely.sum() <= 0:
        raise InputError(f"weights {likely.shape} for {loss.shape[1]} futures; wanted one for each, none below 0")
    return np.asarray(likely / likely.sum())


class Turn(msgspec.Struct, frozen=True):
    """Beyond `at` (`above` or below it) the first is expected to lose more than the second: by `by`, in a `share` of the futures."""

    at: float
    above: bool
    by: float
    low: float
    share: float
    p: float


def turning_point(
    advantage: Floats,
    known: Floats,
    rng: np.random.Generator,
    *,
    weight: Floats | None = None,
    tests: int = 1,
    shuffles: int = 400,
    least: int = 5,
) -> Turn | None:
    """From which value of what is known the second choice is better; None where the futures do not show one.

    `advantage` is what the first saves against the second, (future,); its mean is above 0. It is taken to rise or fall steadily with `known`
    (isotonic regression, pool adjacent violators: Barlow, Bartholomew, Bremner & Brunk 1972). Three things must hold: as steady a relation comes from
    shuffled futures in less than 5 % of `tests` such questions together (Bonferroni), `least` futures or more lie beyond, and the mean
    there is below 0 with 95 % (one-sided Student's t). The futures beyond are chosen by the fit, so `by` is somewhat too large.
    """
    from scipy.stats import t

    likely = _checked(advantage[None], weight)
    if advantage.size < 2 * least or np.ptp(known) == 0.0 or np.ptp(advantage) == 0.0:
        return None
    order = np.argsort(known, kind="stable")
    x, y, w = _without_ties(known[order], advantage[order], likely[order])
    if x.size < 2:
        return None
    rising = _isotonic(y, w)
    falling = -_isotonic(-y, w)
    above = bool(((y - falling) ** 2 @ w) < ((y - rising) ** 2 @ w))
    fit = falling if above else rising
    beyond = fit < 0.0
    if not beyond.any() or beyond.all():
        return None
    last = int(np.flatnonzero(beyond)[0] if above else np.flatnonzero(beyond)[-1])
    neighbour = last - 1 if above else last + 1
    at = float((x[last] + x[neighbour]) / 2.0)
    there = known > at if above else known < at
    count = int(there.sum())
    if count < least:
        return None
    share = likely[there] / likely[there].sum()
    by = float(advantage[there] @ share)
    error = float(np.sqrt(count / (count - 1) * (share**2 @ (advantage[there] - by) ** 2)))
    low = -by - float(t.ppf(0.95, count - 1)) * error
    if low <= 0.0:
        return None
    p = _steadiness(advantage, known, likely, rng, shuffles)
    return Turn(at, above, -by, low, float(likely[there].sum()), p) if p * tests < 0.05 else None


def _steadiness(advantage: Floats, known: Floats, likely: Floats, rng: np.random.Generator, shuffles: int) -> float:
    """How often shuffled futures hang together as strongly, by rank: the chance that the relation is none (two-sided)."""
    from scipy.stats import rankdata

    a, b = rankdata(advantage), rankdata(known)
    a, b = a - a @ likely, (b - b @ likely) * likely

    def by_chance(count: int) -> Floats:
        return np.asarray(np.abs(rng.permuted(np.tile(a, (count, 1)), axis=1) @ b))

    return _until_settled(by_chance, float(abs(a @ b)), shuffles)[1]


def _without_ties(x: Floats, y: Floats, w: Floats) -> tuple[Floats, Floats, Floats]:
    values, group = np.unique(x, return_inverse=True)
    mass: Floats = np.bincount(group, w).astype(np.float64)
    held = mass > 0
    return values[held], np.asarray(np.bincount(group, w * y)[held] / mass[held]), np.asarray(mass[held])


def _isotonic(y: Floats, w: Floats) -> Floats:
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(y, weights=w).x)
