"""Counts of cases that are higher than they should be: a few days back (EARS), or the same weeks of former years (Farrington).

Arrays are (row, time), oldest first, one row for each place, at equal steps without a gap; a count that is missing is NaN and
takes part in nothing.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Values = NDArray[np.float64]

EARS_DAYS, EARS_LAG = 7, 2
FIT_STEPS, FIT_TOLERANCE, ETA_MOST = 60, 1e-10, 30.0


class Ears(msgspec.Struct, frozen=True):
    """The three statistics of EARS for each day, (row, day), and by what each day was judged: mean and sd of seven days before.

    `c1` looks at the seven days just before, `c2` leaves two days between, so that a slow rise does not raise its own baseline, and
    `c3` adds up what `c2` was above 1 on this day and the two before. NaN where the baseline is not complete.
    """

    c1: Values
    c2: Values
    c3: Values
    near_mean: Values
    near_sd: Values
    far_mean: Values
    far_sd: Values


def ears(count: Values, *, sd_least: float = 0.5) -> Ears:
    """EARS C1, C2, C3: unusual are C1 > 3, C2 > 3, C3 > 2.

    `sd_least` keeps a quiet week from making one case an outbreak; 0.5 or 1 for rare cases is Burkom's advice, as the documentation
    of R's surveillance::earsC has it (unverified).
    Source: Hutwagner, Thompson, Seeman, Treadwell 2003, The bioterrorism preparedness and response Early Aberration Reporting
    System (EARS), Journal of Urban Health 80, suppl. 1, i89-i96. Checked against R's surveillance::earsC.

    >>> quiet_then_ten = np.array([[2.0, 3, 2, 3, 2, 3, 2, 3, 2, 10]])
    >>> [round(float(c[0, -1]), 2) for c in (ears(quiet_then_ten).c1, ears(quiet_then_ten).c2)]
    [14.16, 14.16]
    """
    if not sd_least > 0:
        raise InputError(f"ears: sd_least = {sd_least}; wanted a count > 0")
    near_mean, near_sd = _baseline(count, 0)
    far_mean, far_sd = _baseline(count, EARS_LAG)
    c1 = (count - near_mean) / np.maximum(near_sd, sd_least)
    c2 = (count - far_mean) / np.maximum(far_sd, sd_least)
    above = np.maximum(c2 - 1.0, 0.0)
    c3 = np.full_like(c2, np.nan)
    c3[:, 2:] = above[:, 2:] + above[:, 1:-1] + above[:, :-2]
    return Ears(c1, c2, c3, near_mean, near_sd, far_mean, far_sd)


def _baseline(count: Values, lag: int) -> tuple[Values, Values]:
    """Mean and sd (of the sample) of the seven days that end `lag` days before each day; NaN where one of them is missing."""
    mean, sd = np.full_like(count, np.nan), np.full_like(count, np.nan)
    first = EARS_DAYS + lag
    if count.shape[1] > first:
        days = np.lib.stride_tricks.sliding_window_view(count, EARS_DAYS, axis=1)[:, : count.shape[1] - first]
        mean[:, first:], sd[:, first:] = days.mean(axis=2), days.std(axis=2, ddof=1)
    return mean, sd


class Farrington(msgspec.Struct, frozen=True, kw_only=True):
    """How the newest count is compared with former years.

    The baseline is the same week of `years` former years and `half_window` weeks on both sides. With `season_blocks` > 0 it is every
    week since then but the last `weeks_left_out`, and the year is cut into so many seasons besides that window (Noufaily 2013).
    A past outbreak counts for less: baseline weeks whose residual is above `outlier_from` are weighted down. A trend is kept where
    it is significant at `trend_p`, over three years or more, and does not lead beyond all that was seen; `trend_p` 1 always keeps it.
    `alpha` is the chance of a false alarm in a week; `bound` is "two_thirds" (the skewness-corrected normal bound) or
    "negative_binomial". Unusual is never said with fewer than `cases_least` in the last `cases_weeks`.
    """

    years: int = 5
    half_window: int = 3
    alpha: float = 0.005
    outlier_from: float = 1.0
    trend_p: float = 0.05
    season_blocks: int = 0
    weeks_left_out: int = 0
    bound: str = "two_thirds"
    cases_least: int = 5
    cases_weeks: int = 4
    weeks_per_year: int = 52

    def __post_init__(self) -> None:
        if not (self.years >= 1 and self.half_window >= 0 and 2 * self.half_window + 1 < self.weeks_per_year):
            raise InputError(
                f"farrington: years = {self.years}, half_window = {self.half_window}; wanted years >= 1 and a short window"
            )
        if not (0 < self.alpha < 0.5 and self.outlier_from > 0 and 0 <= self.trend_p <= 1):
            raise InputError(f"farrington: alpha = {self.alpha}, outlier_from = {self.outlier_from}, trend_p = {self.trend_p}")
        rest = self.weeks_per_year - 2 * self.half_window - 1
        if self.season_blocks and (self.season_blocks < 0 or rest % self.season_blocks):
            raise InputError(f"farrington: season_blocks = {self.season_blocks}; wanted a number that divides {rest} weeks")
        if self.bound not in ("two_thirds", "negative_binomial"):
            raise InputError(f"farrington: bound = {self.bound!r}; wanted 'two_thirds' or 'negative_binomial'")

    @property
    def weeks(self) -> int:
        """How many weeks it needs, the newest included."""
        return self.years * self.weeks_per_year + self.half_window + 1

    def baseline(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """How many weeks before the newest each week of the baseline was, oldest first, and in which season (0: the window)."""
        back = np.arange(self.weeks - 1, 0, -1)
        year, window = self.weeks_per_year, 2 * self.half_window + 1
        phase = (self.half_window - back) % year  # 0 is where the window of a year begins
        if not self.season_blocks:
            inside = (phase < window) & (back >= year - self.half_window)
            return back[inside], np.zeros(int(inside.sum()), np.int64)
        season = np.where(phase < window, 0, 1 + (phase - window) // ((year - window) // self.season_blocks))
        kept = back > self.weeks_left_out
        return back[kept], season[kept]


NOUFAILY = Farrington(
    years=5,
    half_window=3,
    outlier_from=2.58,
    trend_p=1.0,
    season_blocks=9,
    weeks_left_out=26,
    bound="negative_binomial",
)


class Expected(msgspec.Struct, frozen=True):
    """What was to be expected of the newest week of each row, (row,), from which count on it is unusual, and how far it is.

    `score` is (count - expected) / (bound - expected): above 1 is unusual. NaN where the baseline has too few weeks, and 0 where
    there were too few cases to speak of.
    """

    expected: Values
    bound: Values
    score: Values
    dispersion: Values
    has_trend: NDArray[np.bool_]


def farrington(count: Values, method: Farrington) -> Expected:
    """Compare the newest week with the same season of former years: a quasi-Poisson fit in which past outbreaks count for less.

    Sources: Farrington, Andrews, Beale, Catchpole 1996, A statistical algorithm for the early detection of outbreaks of infectious
    disease, JRSS A 159, 547-563; Noufaily et al. 2013, An improved algorithm for outbreak detection in multiple surveillance
    systems, Statistics in Medicine 32, 1206-1222. Checked against R's surveillance::algo.farrington and farringtonFlexible.
    """

    if count.shape[1] < method.weeks:
        raise InputError(f"farrington: {count.shape[1]} weeks; wanted at least {method.weeks}, for {method.years} years")
    back, season = method.baseline()
    y = count[:, count.shape[1] - 1 - back]
    seasons = np.stack([season == s for s in range(1, method.season_blocks + 1)], axis=1) if method.season_blocks else None
    time = 1.0 - back / back.max()  # 0 is the oldest week, 1 the newest of all, which is to be told
    flat = np.column_stack([np.ones(back.size), *([] if seasons is None else [seasons.astype(np.float64)])])
    sloped = np.column_stack([flat, time])
    now_flat = np.r_[1.0, np.zeros(flat.shape[1] - 1)]
    now_sloped = np.r_[now_flat, 1.0]

    with_trend = _refit(y, sloped, method.outlier_from)
    mu, se, z = _predict(with_trend, now_sloped)
    usable = np.isfinite(y)
    p_value = student_p(z, np.maximum(usable.sum(axis=1) - sloped.shape[1], 1))
    highest = np.where(usable, y, 0.0).max(axis=1)
    may_trend = (p_value < method.trend_p) & (mu <= highest) & (method.years >= 3)
    keeps = may_trend if method.trend_p < 1.0 else np.ones(len(y), bool)
    without = _refit(y, flat, method.outlier_from)
    mu_flat, se_flat, _ = _predict(without, now_flat)
    expected = np.where(keeps, mu, mu_flat)
    error = np.where(keeps, se, se_flat)
    dispersion = np.where(keeps, with_trend.dispersion, without.dispersion)

    with np.errstate(invalid="ignore", divide="ignore"):
        if method.bound == "two_thirds":
            spread = np.sqrt(dispersion * expected + error**2) / expected
            bound = expected * (1.0 + 2.0 / 3.0 * NormalDist().inv_cdf(1.0 - method.alpha) * spread) ** 1.5
        else:
            bound = count_quantile(expected, dispersion, 1.0 - method.alpha)
        newest = count[:, -1]
        score = (newest - expected) / (bound - expected)
    few = np.nansum(count[:, -method.cases_weeks :], axis=1) < method.cases_least
    score = np.where(few & np.isfinite(newest), 0.0, score)
    enough = usable.sum(axis=1) > sloped.shape[1]
    nan = np.where(enough, 0.0, np.nan)
    return Expected(expected + nan, bound + nan, score + nan, dispersion + nan, keeps)


class _Fit(msgspec.Struct, frozen=True):
    coefficient: Values  # (row, term)
    covariance: Values  # (row, term, term), for a dispersion of 1
    mean: Values  # (row, week)
    dispersion: Values  # (row,), 1 at least: counts do not vary less than by chance
    estimated: Values  # (row,), as it was found
    leverage: Values  # (row, week)


def _refit(y: Values, x: Values, outlier_from: float) -> _Fit:
    """Fit, weigh down the weeks that were outbreaks by their Anscombe residuals, and fit again."""
    usable = np.isfinite(y).astype(np.float64)
    first = _fit(y, x, usable)
    with np.errstate(invalid="ignore", divide="ignore"):
        told = np.where(usable > 0, y, 0.0)
        residual = 1.5 * (told ** (2 / 3) * first.mean ** (-1 / 6) - np.sqrt(first.mean))
        residual /= np.sqrt(first.dispersion[:, None] * np.maximum(1.0 - first.leverage, 1e-12))
        weight = np.where(residual > outlier_from, 1.0 / residual**2, 1.0) * usable
    weight *= usable.sum(axis=1, keepdims=True) / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    return _fit(y, x, weight)


def _fit(y: Values, x: Values, weight: Values) -> _Fit:
    """A Poisson regression with a log link for each row by iterated weighted least squares, and its dispersion, 1 at least."""
    counted = np.where(weight > 0, y, 0.0)
    mean = counted + 0.1
    eta = np.log(mean)
    coefficient = np.zeros((len(y), x.shape[1]))
    ridge = 1e-10 * np.eye(x.shape[1])
    for _ in range(FIT_STEPS):
        working = weight * mean
        target = eta + (counted - mean) / mean
        normal = np.einsum("rw,wi,wj->rij", working, x, x, optimize=True) + ridge
        fresh = np.linalg.solve(normal, ((working * target) @ x)[:, :, None])[:, :, 0]
        moved = np.abs(fresh - coefficient).max(initial=0.0)
        coefficient = fresh
        eta = np.clip(coefficient @ x.T, -ETA_MOST, ETA_MOST)
        mean = np.exp(eta)
        if moved < FIT_TOLERANCE:
            break
    working = weight * mean
    covariance = np.linalg.inv(np.einsum("rw,wi,wj->rij", working, x, x, optimize=True) + ridge)
    leverage = working * np.einsum("wi,rij,wj->rw", x, covariance, x, optimize=True)
    freedom = np.maximum((weight > 0).sum(axis=1) - x.shape[1], 1)
    estimated = (weight * (counted - mean) ** 2 / mean).sum(axis=1) / freedom
    return _Fit(coefficient, covariance, mean, np.maximum(1.0, estimated), estimated, leverage)


def _predict(fit: _Fit, now: Values) -> tuple[Values, Values, Values]:
    """The mean of the newest week, its standard error, and by how many of its standard errors the last term differs from 0."""
    mean = np.exp(np.clip(fit.coefficient @ now, -ETA_MOST, ETA_MOST))
    variance = np.einsum("i,rij,j->r", now, fit.covariance, now) * fit.dispersion
    term = fit.coefficient[:, -1] / np.sqrt(fit.covariance[:, -1, -1] * np.maximum(fit.estimated, 1e-12))
    return mean, mean * np.sqrt(variance), term


def student_p(t: Values, freedom: NDArray[np.int64]) -> Values:
    """The chance that |t| of Student's distribution is as large or larger, by its finite series; `freedom` is 1 or more.

    Source: Abramowitz and Stegun 1964, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.

    >>> student_p(np.array([2.0, 12.706]), np.array([10, 1])).round(4).tolist()
    [0.0734, 0.05]
    """
    angle = np.arctan(np.abs(t) / np.sqrt(freedom))
    sine, cosine = np.sin(angle), np.cos(angle)
    odd = freedom % 2 == 1
    term = np.where(odd, cosine, 1.0)
    total = np.where(odd & (freedom == 1), 0.0, term)
    for at in range(int(freedom.max(initial=1)) // 2):  # the next power of the cosine, two higher each time
        power = np.where(odd, 2 * at + 3, 2 * at + 2)
        term = term * cosine**2 * (power - 1) / power
        total = total + np.where(power <= freedom - 2, term, 0.0)
    inside = np.where(odd, 2.0 / np.pi * (angle + sine * total), sine * total)
    return np.asarray(np.clip(1.0 - inside, 0.0, 1.0), np.float64)


def count_quantile(mean: Values, dispersion: Values, share: float) -> Values:
    """The least count that a negative binomial variable (Poisson where `dispersion` is 1) does not exceed with a chance of `share`.

    The variance is `dispersion` times the mean. NaN where the mean is not a number.

    >>> count_quantile(np.array([10.0, 10.0]), np.array([1.0, 3.0]), 0.995).tolist()
    [19.0, 29.0]
    """
    known = np.isfinite(mean) & np.isfinite(dispersion)
    expected, extra = np.where(known, mean, 0.0), np.where(known, dispersion - 1.0, 0.0)
    spread = extra > 1e-9
    size = np.where(spread, expected / np.where(spread, extra, 1.0), 0.0)
    failing = np.where(spread, extra / (1.0 + np.where(spread, extra, 0.0)), 0.0)
    # in logarithms, so that a chance of exp(-1000) of no case at all is still a number
    chance = np.where(spread, -size * np.log1p(np.where(spread, extra, 0.0)), -expected)
    below, wanted = chance.copy(), math.log(share)
    told = np.zeros(mean.shape)
    most = int(np.ceil((expected + 100.0 * np.sqrt(expected * (1.0 + extra)) + 100.0 * (1.0 + extra)).max(initial=0.0)))
    for count in range(most):
        short = below < wanted
        if not short.any():
            break
        told[short] = count + 1
        with np.errstate(divide="ignore"):
            more = np.where(spread, np.log(np.maximum(size + count, 1e-300) * failing), np.log(expected))
        chance = chance + more - math.log(count + 1)
        below = np.logaddexp(below, chance)
    return np.where(known, told, np.nan)
