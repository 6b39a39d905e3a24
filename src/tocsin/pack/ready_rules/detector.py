"""Rules on what is unusual: shaking, a shifted mean, more cases than there should be, a step in a record.

Limits are of the statistic, in unit "1", but for `step_change`, whose limits are in the quantity's own unit. Where readings are
expected at equal steps, `step_s` says so; each reading goes to the step that it is nearest to. A site whose statistic cannot be
worked out is BLIND. Every statistic begins anew with the readings that it looks at, so it depends on them and on nothing before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tocsin.pack.ready_rules.table import Levels, Table, Values, by_words, check_settings, number_words, say_verdict, span_words
from tocsin.pack.rule import Limits, Rule, Verdict
from tocsin.science import detect, surveillance, trigger
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.level import Level
from tocsin.vocabulary.quantity import Quantity
from tocsin.vocabulary.world import Window

Mask = NDArray[np.bool_]
Score = Callable[[Window, Values], Values]
DAY_S, WEEK_S = 86_400.0, 7 * 86_400.0
EARS_METHODS = ("c1", "c2", "c3")


def sta_lta(
    name: str,
    quantity: Quantity,
    limits: Limits | Mapping[str, Limits],
    *,
    step_s: float,
    short_s: float,
    long_s: float,
    max_age_s: float,
    within_s: float = 0.0,
    margin: float = 0.0,
    recursive: bool = False,
    meaning: str = "",
) -> Rule:
    """It shakes: the mean square of the last `short_s` over that of the last `long_s`, at its highest in the last `within_s`.

    The median of all that is looked at is taken off first. `margin` is how far the ratio must fall below a limit to lift it.
    """
    check_settings(name, step_s=step_s, within_s=within_s, max_age_s=max_age_s, margin=margin, min_readings=1)
    short, long = (round(span_s / step_s) if step_s > 0 else 0 for span_s in (short_s, long_s))
    if not 1 <= short < long:
        raise InputError(
            f"rule {name}: short_s = {short_s}, long_s = {long_s}, step_s = {step_s}; wanted step_s <= short_s < long_s"
        )
    lately = round(within_s / step_s) + 1
    count = long + lately

    def score(window: Window, _: Values) -> Values:
        grid = trigger.on_grid(window.value, window.age_s, window.good, step_s=step_s, count=count)
        swing = grid - _median(grid)[:, None]
        ratio = (trigger.recursive_sta_lta if recursive else trigger.sta_lta)(swing, short=short, long=long)[:, -lately:]
        return np.where(np.isfinite(ratio[:, -1]), np.where(np.isfinite(ratio), ratio, -np.inf).max(axis=1), np.nan)

    what = f"STA/LTA ({span_words(short_s)} over {span_words(long_s)})"
    lacks = f"no unbroken record of {span_words(long_s)}, a reading every {step_s:g} s"
    told = meaning or f"{quantity.name} shakes: {what} above a limit"
    return _rule(
        name, quantity, Table(name, quantity, "1", limits, False), score, count * step_s, max_age_s, margin, what, lacks, told
    )


def cusum(
    name: str,
    quantity: Quantity,
    limits: Limits | Mapping[str, Limits],
    *,
    usual: dict[str, tuple[float, float]],
    over_s: float,
    max_age_s: float,
    slack: float = 0.5,
    side: str = "both",
    min_readings: int = 2,
    margin: float = 0.0,
    meaning: str = "",
) -> Rule:
    """The mean has shifted, slowly or soon: Page's CUSUM of the readings of `over_s`, in standard deviations.

    `usual` is (mean, standard deviation) by site; a site that is not in it is not judged. A limit of 5 with a slack of 0.5 means a
    false alarm every 465 independent readings on average: `tocsin.science.trigger.cusum_run_length`. `side` is "above", "below", "both".
    """
    if side not in ("above", "below", "both"):
        raise InputError(f"rule {name}: side = {side!r}; wanted 'above', 'below' or 'both'")

    def of(value: Values, mean: Values, sd: Values) -> Values:
        high, low = trigger.cusum(value, target=mean, sd=sd, slack=slack)
        return {"above": high, "below": low, "both": np.maximum(high, low)}[side]

    told = meaning or f"{quantity.name} has shifted: CUSUM above a limit"
    return _shift(name, quantity, limits, of, usual, over_s, max_age_s, min_readings, margin, "CUSUM", told)


def ewma(
    name: str,
    quantity: Quantity,
    limits: Limits | Mapping[str, Limits],
    *,
    usual: dict[str, tuple[float, float]],
    over_s: float,
    max_age_s: float,
    weight: float = 0.2,
    side: str = "both",
    min_readings: int = 2,
    margin: float = 0.0,
    meaning: str = "",
) -> Rule:
    """The mean has shifted: the fading average of the readings of `over_s`, as its distance from the mean in its own sd.

    `usual` is (mean, standard deviation) by site; a site that is not in it is not judged.
    """
    if side not in ("above", "below", "both"):
        raise InputError(f"rule {name}: side = {side!r}; wanted 'above', 'below' or 'both'")

    def of(value: Values, mean: Values, sd: Values) -> Values:
        away = trigger.ewma(value, target=mean, sd=sd, weight=weight)
        return {"above": away, "below": -away, "both": np.abs(away)}[side]

    told = meaning or f"{quantity.name} has shifted: EWMA beyond a limit"
    return _shift(name, quantity, limits, of, usual, over_s, max_age_s, min_readings, margin, "EWMA", told)


def ears(
    name: str,
    quantity: Quantity,
    limits: Limits | Mapping[str, Limits],
    *,
    max_age_s: float,
    method: str = "c2",
    sd_least: float = 0.5,
    step_s: float = DAY_S,
    margin: float = 0.0,
    meaning: str = "",
) -> Rule:
    """More cases than in the days before: EARS C1, C2 or C3. Its authors warn from 3, 3 and 2. Every day must have its count."""
    if method not in EARS_METHODS:
        raise InputError(f"rule {name}: method = {method!r}; wanted one of {', '.join(EARS_METHODS)}")
    days = surveillance.EARS_DAYS + surveillance.EARS_LAG + 3
    check_settings(name, step_s=step_s, sd_least=sd_least, max_age_s=max_age_s, margin=margin, min_readings=1)

    def score(window: Window, _: Values) -> Values:
        count = trigger.on_grid(window.value, window.age_s, window.good, step_s=step_s, count=days)
        told = surveillance.ears(count, sd_least=sd_least)
        return np.asarray({"c1": told.c1, "c2": told.c2, "c3": told.c3}[method][:, -1], np.float64)

    what = f"EARS {method.upper()}"
    told = meaning or f"more {quantity.name} than in the days before: {what} above a limit"
    lacks = f"the counts of the last {days} days are not complete"
    return _rule(
        name, quantity, Table(name, quantity, "1", limits, False), score, days * step_s, max_age_s, margin, what, lacks, told
    )


def farrington(
    name: str,
    quantity: Quantity,
    limits: Limits | Mapping[str, Limits],
    *,
    max_age_s: float,
    method: surveillance.Farrington = surveillance.NOUFAILY,
    step_s: float = WEEK_S,
    margin: float = 0.0,
    meaning: str = "",
) -> Rule:
    """More cases than in these weeks of former years: how far the count is above what is expected, 1 being the bound.

    It looks at `method.weeks` weekly counts, 264 for five years: `Latest(depth=...)` must hold them.
    """
    check_settings(name, step_s=step_s, max_age_s=max_age_s, margin=margin, min_readings=1)

    def score(window: Window, _: Values) -> Values:
        count = trigger.on_grid(window.value, window.age_s, window.good, step_s=step_s, count=method.weeks)
        return surveillance.farrington(count, method).score

    told = meaning or f"more {quantity.name} than in these weeks of former years"
    lacks = f"too few counts in the last {method.years} years"
    table = Table(name, quantity, "1", limits, False)
    span_s = (method.weeks + 1) * step_s
    return _rule(name, quantity, table, score, span_s, max_age_s, margin, "exceedance score", lacks, told)


def step_change(
    name: str,
    quantity: Quantity,
    limits: Limits | Mapping[str, Limits],
    *,
    over_s: float,
    max_age_s: float,
    p_most: float = 0.01,
    min_readings: int = 20,
    falling: bool | None = None,
    margin: float = 0.0,
    meaning: str = "",
) -> Rule:
    """The record has made a step: by how much the median changed where Pettitt's test finds one with a p of `p_most` or less."""
    table = Table(name, quantity, quantity.unit, limits, falling)
    check_settings(name, over_s=over_s, max_age_s=max_age_s, margin=margin, min_readings=min_readings)
    if not 0.0 < p_most <= 0.5:
        raise InputError(f"rule {name}: p_most = {p_most}; wanted 0 < p <= 0.5, where the approximation is good")

    def score(window: Window, newest_s: Values) -> Values:
        recent = window.good & (window.age_s <= np.where(np.isfinite(newest_s), newest_s, 0.0)[:, None] + over_s)
        if not recent.shape[1]:
            return np.full(len(window.sites), np.nan)
        change = trigger.pettitt(np.where(recent, window.value, np.nan))
        step = np.where(change.p_value <= p_most, change.step, 0.0)
        return np.where(recent.sum(axis=1) >= min_readings, step, np.nan)

    told = meaning or f"{quantity.name} has made a step {table.beyond} a limit in {span_words(over_s)}"
    lacks = f"fewer than {min_readings} usable readings in {span_words(over_s)}"
    return _rule(name, quantity, table, score, over_s, max_age_s, margin, "step of the median", lacks, told)


def _shift(
    name: str,
    quantity: Quantity,
    limits: Limits | Mapping[str, Limits],
    of: Callable[[Values, Values, Values], Values],
    usual: Mapping[str, tuple[float, float]],
    over_s: float,
    max_age_s: float,
    min_readings: int,
    margin: float,
    what: str,
    told: str,
) -> Rule:
    """A rule on how far readings stand from what is usual at each site."""
    check_settings(name, over_s=over_s, max_age_s=max_age_s, margin=margin, min_readings=min_readings)
    if not usual or not all(np.isfinite(mean) and np.isfinite(sd) and sd > 0 for mean, sd in usual.values()):
        raise InputError(f"rule {name}: usual = {dict(usual)}; wanted (mean, standard deviation > 0) for one site or more")
    known = (
        {site: one for site, one in limits.items() if site in usual}
        if isinstance(limits, Mapping)
        else dict.fromkeys(usual, limits)
    )
    table = Table(name, quantity, "1", known, False)
    kept: list[tuple[tuple[str, ...], Values]] = []

    def score(window: Window, newest_s: Values) -> Values:
        if not kept or kept[0][0] is not window.sites:
            unknown = (np.nan, np.nan)
            kept[:] = [(window.sites, np.array([usual.get(site, unknown) for site in window.sites]).reshape(-1, 2))]
        mean, sd = kept[0][1][:, :1], kept[0][1][:, 1:]
        recent = window.good & (window.age_s <= np.where(np.isfinite(newest_s), newest_s, 0.0)[:, None] + over_s)
        if not recent.shape[1]:
            return np.full(len(window.sites), np.nan)
        statistic = of(np.where(recent, window.value, np.nan), mean, sd)[:, -1]
        return np.where(recent.sum(axis=1) >= min_readings, statistic, np.nan)

    lacks = f"fewer than {min_readings} usable readings in {span_words(over_s)}"
    return _rule(name, quantity, table, score, over_s, max_age_s, margin, f"{what} over {span_words(over_s)}", lacks, told)


def _rule(
    name: str,
    quantity: Quantity,
    table: Table,
    score: Score,
    span_s: float,
    max_age_s: float,
    margin: float,
    what: str,
    lacks: str,
    told: str,
) -> Rule:
    """A rule whose levels are limits of one number for each site."""

    def judge(window: Window, before: Levels) -> Verdict:
        sign, limit = table.sign, table.rows(window.sites)
        judged = np.isfinite(limit).any(axis=1)
        newest, age_s = detect.newest(window.value, window.age_s, window.good)
        number = score(window, age_s)
        level, _, held = detect.step_levels(
            sign * number[:, None],
            np.zeros((len(number), 1)),
            np.isfinite(number)[:, None],
            sign * limit,
            before,
            persistence_s=0.0,
            min_readings=1,
            margin=margin,
            clear_s=0.0,
        )
        blind = judged & ((age_s > max_age_s) | ~np.isfinite(number))

        def say(at: int, step: Level) -> str:
            unit = "" if table.unit == "1" else table.unit
            is_now = f"{number_words(newest[at], quantity.unit)}, {what} {number_words(number[at], unit).strip()}"
            if step == Level.NONE:
                return f"{is_now}, inside all limits"
            edge = f"the {step.word} limit {number_words(limit[at, step - 1], unit).strip()}"
            return (
                f"{is_now}; {edge}{by_words(margin, unit).rstrip()} is not yet cleared"
                if held[at]
                else f"{is_now}, beyond {edge}"
            )

        return say_verdict(window, before, level, blind, number, age_s, max_age_s, say, lambda _: lacks)

    return Rule(name, quantity, span_s + max_age_s, judge, told, table.source, table.verified, by_site=True)


def _median(table: Values) -> Values:
    """Of each row without its NaN; NaN where nothing else is there."""
    ordered = np.sort(table, axis=1)
    count = np.isfinite(ordered).sum(axis=1)
    row = np.arange(len(table))
    low, high = ordered[row, np.maximum((count - 1) // 2, 0)], ordered[row, np.minimum(count // 2, table.shape[1] - 1)]
    return np.asarray((low + high) / 2.0, np.float64)
