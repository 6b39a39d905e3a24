"""How many people each case infects, day by day, from counts of cases alone; and what that leads to in the days to come.

Today's cases are R times the cases of the days before, each weighted by the chance that the serial interval is so long. With Poisson counts and a
gamma prior, R over a window of days is gamma distributed, in closed form.
Source: Cori, Ferguson, Fraser, Cauchemez 2013, A new framework and software to estimate time-varying reproduction numbers during epidemics,
Am J Epidemiol 178:1505-1512, with its web appendix. How many the cases of some days infected in the end is told after them, by who may have infected
whom: Wallinga & Teunis 2004, Am J Epidemiol 160:509-516. Checked against the published output of R's EpiEstim; see docs/science/epidemic.md.
Not for: counts whose reporting changed within the window; the last days before reports have come in; serial intervals below a day.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PRIOR_MEAN, PRIOR_SD = 5.0, 5.0  # EpiEstim's defaults: high and wide, so that R is not called low before there are data
PRECISION_LEAST = (
    0.3  # the coefficient of variation that the paper aims for: fewer than 1 / 0.3^2 = 11 cases in a window tell little
)


class Reproduction(msgspec.Struct, frozen=True):
    """R over each window, arrays (window,): its last day, mean, standard deviation, and the quantiles asked for (window, quantile)."""

    last_day: Ints
    mean: Floats
    sd: Floats
    quantile: Floats
    cases: Floats  # in the window


def serial_interval(mean_d: float, sd_d: float, days: int) -> Floats:
    """The chance that a serial interval is 0, 1, 2, ... `days` - 1 days: a gamma distribution shifted by a day.

    The infector's onset is anywhere in its day. Source: Cori et al. 2013, web appendix 11 (EpiEstim::discr_si).
    >>> serial_interval(2.6, 1.5, 5).round(3).tolist()
    [0.0, 0.233, 0.359, 0.198, 0.103]
    """
    if not (mean_d > 1.0 and sd_d > 0.0 and days >= 2):
        raise InputError(f"serial interval: mean {mean_d} d, sd {sd_d} d, {days} days; wanted mean > 1, sd > 0, 2 days or more")
    from scipy.special import gammainc

    shape, scale = ((mean_d - 1.0) / sd_d) ** 2, sd_d**2 / (mean_d - 1.0)

    def below(x: Floats, a: float) -> Floats:
        return np.asarray(gammainc(a, np.maximum(x, 0.0) / scale))

    k = np.arange(days, dtype=np.float64)
    told = k * below(k, shape) + (k - 2.0) * below(k - 2.0, shape) - 2.0 * (k - 1.0) * below(k - 1.0, shape)
    told += shape * scale * (2.0 * below(k - 1.0, shape + 1.0) - below(k - 2.0, shape + 1.0) - below(k, shape + 1.0))
    return np.maximum(told, 0.0)


def infectiousness(cases: Floats, serial: Floats) -> Floats:
    """Lambda of each day: the cases of the days before, weighted by the serial interval; the sum that R multiplies.

    >>> infectiousness(np.array([1.0, 0.0, 2.0]), np.array([0.0, 0.5, 0.5])).tolist()
    [0.0, 0.5, 0.5]
    """
    return np.convolve(cases, np.r_[0.0, serial[1:]])[: cases.size]


def reproduction(
    cases: Floats,
    serial: Floats,
    *,
    window: int = 7,
    imported: Floats | None = None,
    prior_mean: float = PRIOR_MEAN,
    prior_sd: float = PRIOR_SD,
    quantiles: tuple[float, ...] = (0.025, 0.5, 0.975),
) -> Reproduction:
    """R over every window of `window` days that begins on the second day or later. `cases` (day,) are all, `imported` those from elsewhere.

    An imported case infects but was infected by nobody here. The first case of all counts as imported.
    """
    if not (np.isfinite(cases).all() and (cases >= 0).all()):
        raise InputError(
            "reproduction: counts below 0 or missing; wanted one count for each day: fill the gap or cut the series there"
        )
    if not 1 <= window < cases.size:
        raise InputError(f"reproduction: a window of {window} days in {cases.size} days; wanted more days than a window has")
    if not (prior_mean > 0 and prior_sd > 0):
        raise InputError(f"reproduction: prior {prior_mean} +- {prior_sd}; wanted both above 0")
    local = cases if imported is None else cases - imported
    if imported is not None and (imported.shape != cases.shape or (local < 0).any()):
        raise InputError("reproduction: more imported cases than cases; wanted imported <= cases on each day")
    shape, scale = (prior_mean / prior_sd) ** 2, prior_sd**2 / prior_mean
    lam = infectiousness(cases, serial)
    last = np.arange(window, cases.size)
    own, force = (np.convolve(v, np.ones(window), mode="valid")[1:] for v in (local, lam))
    a, b = shape + own, 1.0 / (1.0 / scale + force)
    from scipy.stats import gamma

    q = np.stack([gamma.ppf(p, a, scale=b) for p in quantiles], axis=1) if quantiles else np.zeros((a.size, 0))
    return Reproduction(last, a * b, np.sqrt(a) * b, q, own)


class CaseReproduction(msgspec.Struct, frozen=True):
    """How many the cases of each window infected on the average, arrays (window,); windows without a case are left out.

    `sd` is what is unknown of who infected whom, and nothing else. `seen` is the share of what they infect that has fallen ill by the last day: where
    it is below 1 the mean is too low by as much.
    """

    last_day: Ints
    mean: Floats
    sd: Floats
    seen: Floats
    cases: Floats


def case_reproduction(cases: Floats, serial: Floats, *, window: int = 7, imported: Floats | None = None) -> CaseReproduction:
    """Case reproduction numbers over the windows of `reproduction`, by Wallinga & Teunis 2004, eq. 2, for counts by day.

    A case of day t was infected by one of day j with a chance in proportion to the serial interval of t - j days. Each case has its infector for
    itself, so the number of those infected by a window is a sum of binomials, whose standard deviation is exact. Imported cases infect and were infected
    by nobody here. A case without any possible infector has none.
    """
    if not (np.isfinite(cases).all() and (cases >= 0).all()):
        raise InputError("case reproduction: counts below 0 or missing; wanted one count for each day, 0 where there was no case")
    if not 1 <= window < cases.size:
        raise InputError(f"case reproduction: a window of {window} days in {cases.size} days; wanted more days than a window has")
    local = cases if imported is None else cases - imported
    if imported is not None and (imported.shape != cases.shape or (local < 0).any()):
        raise InputError("case reproduction: more imported cases than cases; wanted imported <= cases on each day")
    lam, days = infectiousness(cases, serial), cases.size
    weight = np.zeros(days)
    weight[1 : serial.size] = serial[1:days]
    by_then = np.cumsum(np.r_[weight, 0.0])[:days] / max(float(serial[1:].sum()), 1e-300)
    rows = []
    for last in range(window, days):
        first = last - window + 1
        own = float(cases[first : last + 1].sum())
        if own <= 0.0:
            continue
        fed = np.convolve(cases[first : last + 1], weight)[
            : days - first
        ]  # what this window adds to lambda, from its first day on
        share = np.divide(fed, lam[first:], out=np.zeros(days - first), where=lam[first:] > 0)
        infected, spread = local[first:] @ share, local[first:] @ (share * (1.0 - share))
        seen = cases[first : last + 1] @ by_then[days - 1 - last : days - first][::-1] / own
        rows.append((last, infected / own, float(np.sqrt(max(float(spread), 0.0))) / own, min(1.0, float(seen)), own))
    told = np.array(rows, np.float64).reshape(-1, 5)
    return CaseReproduction(told[:, 0].astype(np.int64), *(np.ascontiguousarray(told[:, k]) for k in range(1, 5)))


def expected_cases(past: Floats, serial: Floats, r: Floats) -> Floats:
    """The cases of the days to come if each case infects `r` (day,) and chance plays no part: the renewal equation."""
    told = np.r_[past, np.zeros(r.size)]
    weight = serial[1:]
    for day in range(past.size, told.size):
        back = told[max(0, day - weight.size) : day][::-1]
        told[day] = r[day - past.size] * (back @ weight[: back.size])
    return np.asarray(told[past.size :])


def forecast(
    past: Floats,
    serial: Floats,
    *,
    days: int,
    r_mean: float,
    r_sd: float,
    draws: int,
    chance: np.random.Generator,
    spread: float = np.inf,
) -> Floats:
    """Cases of the next `days` days, (draw, day): one R for each draw, Poisson counts, or negative binomial ones of size `spread`.

    R stays what it is: nothing is known here of what people will do, so a week or two are the limit.
    """
    if not (days >= 1 and draws >= 1 and r_mean > 0 and r_sd > 0):
        raise InputError(f"forecast: {days} days, {draws} draws, R {r_mean} +- {r_sd}; wanted all above 0")
    r = chance.gamma((r_mean / r_sd) ** 2, r_sd**2 / r_mean, draws)
    told = np.concatenate([np.tile(past, (draws, 1)), np.zeros((draws, days))], axis=1)
    weight = serial[1:]
    for day in range(past.size, told.shape[1]):
        back = told[:, max(0, day - weight.size) : day][:, ::-1]
        mean = r * (back @ weight[: back.shape[1]])
        if np.isfinite(spread):
            mean = mean * chance.gamma(spread, 1.0 / spread, draws)
        told[:, day] = chance.poisson(np.minimum(mean, 1e12))
    return np.asarray(told[:, past.size :])
