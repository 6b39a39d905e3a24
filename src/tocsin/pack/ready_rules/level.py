"""Rules on one stream: a value beyond a limit, a value that changes fast, an amount that adds up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tocsin.pack.ready_rules.table import (
    Levels,
    Table,
    by_words,
    check_settings,
    few_words,
    for_words,
    number_words,
    say_verdict,
    span_words,
)
from tocsin.pack.rule import Limits, Rule, Verdict
from tocsin.science import detect
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.level import Level
from tocsin.vocabulary.quantity import Quantity
from tocsin.vocabulary.world import Window

THEIL_SEN_LEAST = 4  # with three readings one spike is a third of them, more than the 29 % that the slope withstands


def threshold(
    name: str,
    quantity: Quantity,
    limits: Limits | Mapping[str, Limits],
    *,
    max_age_s: float,
    persistence_s: float = 0.0,
    min_readings: int = 1,
    margin: float = 0.0,
    clear_s: float = 0.0,
    falling: bool | None = None,
    meaning: str = "",
) -> Rule:
    """The value is beyond a limit: the same limits everywhere, or `limits` by site.

    A level is reached when the newest `min_readings` or more, spanning `persistence_s`, are all at or beyond its limit; it is
    lifted when all of at least `clear_s` are back by more than `margin`. Blind: no good reading within `max_age_s`.
    Limits that fall with the level mean that low is bad; `falling` says so where there is only one.
    """
    table = Table(name, quantity, quantity.unit, limits, falling)
    check_settings(
        name, max_age_s=max_age_s, persistence_s=persistence_s, margin=margin, clear_s=clear_s, min_readings=min_readings
    )

    def judge(window: Window, before: Levels) -> Verdict:
        sign, limit = table.sign, table.rows(window.sites)
        judged = np.isfinite(limit).any(axis=1)
        value, age_s = detect.newest(window.value, window.age_s, window.good)
        enough = window.good.sum(axis=1) >= min_readings
        blind = judged & ((age_s > max_age_s) | ~enough)
        level, lasted_s, held = detect.step_levels(
            sign * window.value,
            window.age_s,
            window.good,
            sign * limit,
            before,
            persistence_s=persistence_s,
            min_readings=min_readings,
            margin=margin,
            clear_s=clear_s,
        )

        def say(at: int, step: Level) -> str:
            number = number_words(value[at], quantity.unit)
            if step == Level.NONE:
                return f"{number} is back {table.inside} all limits{for_words(clear_s)}"
            bound = number_words(limit[at, step - 1], quantity.unit)
            edge = f"the {step.word} limit {bound}{table.called(window.sites[at], step)}"
            if held[at]:
                lifted = f"{table.inside} {edge}{by_words(margin, quantity.unit)}{for_words(clear_s)}"
                return f"{number}; the {step.word} warning is kept until it is {lifted}"
            if number == bound:  # as it is written: 1.943 m is not said to be above 1.94 m in two alike numbers
                return f"{number} has reached {edge}{for_words(lasted_s[at])}"
            return f"{number} is {table.beyond} {edge}{for_words(lasted_s[at])}"

        return say_verdict(
            window, before, level, blind, value, age_s, max_age_s, say, lambda at: few_words(window, at, min_readings)
        )

    def is_quiet(window: Window) -> NDArray[np.bool_]:
        """The newest good reading is inside all limits: no level is reached, however long the readings before it were beyond one."""
        limit = table.rows(window.sites)
        value, age_s = detect.newest(window.value, window.age_s, window.good)
        with np.errstate(invalid="ignore"):
            beyond = (table.sign * value[:, None] >= table.sign * limit).any(axis=1)
        sees = (age_s <= max_age_s) & (window.good.sum(axis=1) >= min_readings)
        return np.asarray(~beyond & (sees | ~np.isfinite(limit).any(axis=1)), np.bool_)

    span_s = max(persistence_s, clear_s) + max_age_s
    told = meaning or f"{quantity.name} {table.beyond} a limit{for_words(persistence_s)}"
    return Rule(name, quantity, span_s, judge, told, table.source, table.verified, by_site=True, is_quiet=is_quiet)


def rise(
    name: str,
    quantity: Quantity,
    limits_per_h: Limits | Mapping[str, Limits],
    *,
    over_s: float,
    max_age_s: float,
    min_readings: int = 5,
    margin_per_h: float = 0.0,
    falling: bool | None = None,
    meaning: str = "",
) -> Rule:
    """The value changes fast: the robust slope (Theil-Sen) of the readings of `over_s` is beyond a limit, in units per hour.

    One wild reading does not make a fast rise, and one low reading does not hide one. A level is lifted when the slope is below
    its limit by more than `margin_per_h`. Limits that fall with the level (-0.5, -1 m/h) warn of a fast fall. Blind: fewer than
    `min_readings` good readings, or none within `max_age_s`.
    """
    table = Table(name, quantity, f"{quantity.unit}/h", limits_per_h, falling)
    check_settings(name, max_age_s=max_age_s, over_s=over_s, margin_per_h=margin_per_h, min_readings=min_readings)
    if min_readings < THEIL_SEN_LEAST or not over_s > 0:
        wanted = f"at least {THEIL_SEN_LEAST} readings and a time > 0"
        raise InputError(f"rule {name}: min_readings = {min_readings}, over_s = {over_s}; wanted {wanted}")

    def judge(window: Window, before: Levels) -> Verdict:
        sign, limit = table.sign, table.rows(window.sites)
        judged = np.isfinite(limit).any(axis=1)
        value, age_s = detect.newest(window.value, window.age_s, window.good)
        recent = window.good & (window.age_s <= np.where(np.isfinite(age_s), age_s, 0.0)[:, None] + over_s)
        count = recent.sum(axis=1)
        blind = judged & ((age_s > max_age_s) | (count < min_readings))
        slope = detect.theil_sen(window.value, window.age_s, recent) * 3600.0
        now = np.zeros_like(window.age_s[:, :1])
        level, _, held = detect.step_levels(
            sign * slope[:, None],
            now,
            np.isfinite(slope)[:, None],
            sign * limit,
            before,
            persistence_s=0.0,
            min_readings=1,
            margin=margin_per_h,
            clear_s=0.0,
        )

        def say(at: int, step: Level) -> str:
            verb = "rises" if slope[at] >= 0 else "falls"
            number = number_words(abs(slope[at]), table.unit)
            moves = f"{number_words(value[at], quantity.unit)} {verb} {number} ({count[at]} readings, {span_words(over_s)})"
            if step == Level.NONE:
                return f"{moves}, inside all limits"
            edge = f"the {step.word} limit {number_words(limit[at, step - 1], table.unit)}{table.called(window.sites[at], step)}"
            return (
                f"{moves}; {edge}{by_words(margin_per_h, table.unit)} is not yet cleared"
                if held[at]
                else f"{moves}, beyond {edge}"
            )

        return say_verdict(
            window, before, level, blind, slope, age_s, max_age_s, say, lambda at: few_words(window, at, min_readings)
        )

    told = meaning or f"{quantity.name} changes faster than a limit over {span_words(over_s)}"
    return Rule(name, quantity, over_s + max_age_s, judge, told, table.source, table.verified, by_site=True)


def accumulation(
    name: str,
    quantity: Quantity,
    limits_by_hours: Mapping[float, Limits],
    *,
    interval_s: float,
    max_age_s: float,
    min_share: float = 0.5,
    margin: float = 0.0,
    meaning: str = "",
) -> Rule:
    """What fell in the last hours is beyond a limit: `limits_by_hours` is {1: Limits, 3: Limits, 24: Limits}, and the worst
    counts.

    A quantity in mm is an amount since the reading before; one in mm/h is a rate and is integrated. A reading stands for
    `interval_s` at most; where readings are missing the sum is a lower bound, which may raise a level but never lift one: with
    less than `min_share` of the hours covered, a site that does not reach a level is BLIND.
    """
    if not limits_by_hours or any(not hours > 0 for hours in limits_by_hours):
        raise InputError(f"rule {name}: limits for {list(limits_by_hours)} hours; wanted one or more spans > 0")
    check_settings(name, max_age_s=max_age_s, interval_s=interval_s, margin=margin, min_readings=1)
    if not (0.0 <= min_share <= 1.0 and interval_s > 0):
        raise InputError(f"rule {name}: min_share = {min_share}, interval_s = {interval_s}; wanted a share 0..1 and a time > 0")
    short = f"readings cover less than {min_share:.0%} of the time that is judged"
    is_rate = quantity.unit.endswith("/h")
    unit = quantity.unit.removesuffix("/h")
    tables = {hours: Table(name, quantity, unit, limits, False) for hours, limits in sorted(limits_by_hours.items())}

    def judge(window: Window, before: Levels) -> Verdict:
        sites = len(window.sites)
        _, age_s = detect.newest(window.value, window.age_s, window.good)
        level, value = np.zeros(sites, np.int8), np.full(sites, np.nan)
        worst = np.zeros(sites, np.int64)
        sums, shares, sparse, kept = [], [], np.zeros(sites, bool), []
        for number, (hours, table) in enumerate(tables.items()):
            total, share = detect.sum_over(
                window.value, window.age_s, window.good, span_s=hours * 3600.0, interval_s=interval_s, is_rate=is_rate
            )
            now = np.zeros((sites, 1))
            step, _, held = detect.step_levels(
                total[:, None],
                now,
                np.isfinite(total)[:, None],
                table.rows(window.sites),
                before,
                persistence_s=0.0,
                min_readings=1,
                margin=margin,
                clear_s=0.0,
            )
            sparse |= share < min_share
            higher = (step > level) | (number == 0)
            level, value, worst = np.where(higher, step, level), np.where(higher, total, value), np.where(higher, number, worst)
            sums.append(total)
            shares.append(share)
            kept.append(held)
        blind = (age_s > max_age_s) | (sparse & (level < np.maximum(before, Level.BLUE)))

        def say(at: int, step: Level) -> str:
            which = worst[at]
            hours, table = list(tables.items())[which]
            gap_min = (1.0 - shares[which][at]) * hours * 60.0
            bound = f"at least {{}} (a lower bound: {gap_min:.0f} min are missing)" if gap_min >= 1.0 else "{}"
            fell = f"{bound.format(number_words(value[at], unit))} in {hours:g} h"
            if step == Level.NONE:
                return f"{fell}, inside all limits"
            edge = f"the {step.word} limit {number_words(table.rows((window.sites[at],))[0, step - 1], unit)} in {hours:g} h"
            return f"{fell}; {edge}{by_words(margin, unit)} is not yet cleared" if kept[which][at] else f"{fell}, beyond {edge}"

        return say_verdict(window, before, level.astype(np.int8), blind, value, age_s, max_age_s, say, lambda _: short)

    span_s = max(tables) * 3600.0 + max_age_s
    told = meaning or f"{quantity.name} adds up beyond a limit in {', '.join(f'{h:g}' for h in tables)} h"
    return Rule(
        name,
        quantity,
        span_s,
        judge,
        told,
        "; ".join(dict.fromkeys(t.source for t in tables.values())),
        all(t.verified for t in tables.values()),
        by_site=True,
    )
