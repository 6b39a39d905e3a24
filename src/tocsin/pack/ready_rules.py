"""Ready-made rules made of data: a value beyond a limit, a value that changes fast, an amount that adds up.

Each gives a `Rule` whose judge works on all sites at once, on ten at the edge as on a hundred thousand on the platform. A site
without a fresh, sufficient set of good readings is BLIND. A site for which no limits are given is not judged, and stays NONE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tocsin.pack.rule import Limits, Rule, Verdict
from tocsin.science import detect
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.level import Level
from tocsin.vocabulary.quantity import Quantity
from tocsin.vocabulary.world import Window

STEPS = (Level.BLUE, Level.YELLOW, Level.ORANGE, Level.RED)
THEIL_SEN_LEAST = 4  # with three readings one spike is a third of them, more than the 29 % that the slope withstands

Levels = NDArray[np.int8]
Values = NDArray[np.float64]


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
    table = _Table(name, quantity, quantity.unit, limits, falling)
    _check(name, max_age_s=max_age_s, persistence_s=persistence_s, margin=margin, clear_s=clear_s, min_readings=min_readings)

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
            number = _number(value[at], quantity.unit)
            if step == Level.NONE:
                return f"{number} is back {table.inside} all limits{_for(clear_s)}"
            edge = f"the {step.word} limit {_number(limit[at, step - 1], quantity.unit)}"
            if held[at]:
                lifted = f"{table.inside} {edge}{_by(margin, quantity.unit)}{_for(clear_s)}"
                return f"{number}; the {step.word} warning is kept until it is {lifted}"
            if sign * value[at] == sign * limit[at, step - 1]:
                return f"{number} has reached {edge}{_for(lasted_s[at])}"
            return f"{number} is {table.beyond} {edge}{_for(lasted_s[at])}"

        return _verdict(window, before, level, blind, value, age_s, max_age_s, min_readings, say)

    span_s = max(persistence_s, clear_s) + max_age_s
    told = meaning or f"{quantity.name} {table.beyond} a limit{_for(persistence_s)}"
    return Rule(name, quantity, span_s, judge, told, table.source, table.verified, by_site=True)


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
    table = _Table(name, quantity, f"{quantity.unit}/h", limits_per_h, falling)
    _check(name, max_age_s=max_age_s, over_s=over_s, margin_per_h=margin_per_h, min_readings=min_readings)
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
            number = _number(abs(slope[at]), table.unit)
            moves = f"{_number(value[at], quantity.unit)} {verb} {number} ({count[at]} readings, {_span(over_s)})"
            if step == Level.NONE:
                return f"{moves}, inside all limits"
            edge = f"the {step.word} limit {_number(limit[at, step - 1], table.unit)}"
            return f"{moves}; {edge}{_by(margin_per_h, table.unit)} is not yet cleared" if held[at] else f"{moves}, beyond {edge}"

        return _verdict(window, before, level, blind, slope, age_s, max_age_s, min_readings, say)

    told = meaning or f"{quantity.name} changes faster than a limit over {_span(over_s)}"
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
    _check(name, max_age_s=max_age_s, interval_s=interval_s, margin=margin, min_readings=1)
    if not (0.0 <= min_share <= 1.0 and interval_s > 0):
        raise InputError(f"rule {name}: min_share = {min_share}, interval_s = {interval_s}; wanted a share 0..1 and a time > 0")
    is_rate = quantity.unit.endswith("/h")
    unit = quantity.unit.removesuffix("/h")
    tables = {hours: _Table(name, quantity, unit, limits, False) for hours, limits in sorted(limits_by_hours.items())}

    def judge(window: Window, before: Levels) -> Verdict:
        sites = len(window.sites)
        _, age_s = detect.newest(window.value, window.age_s, window.good)
        level, value = np.zeros(sites, np.int8), np.full(sites, np.nan)
        worst = np.zeros(sites, np.int64)
        sums, shares, short, kept = [], [], np.zeros(sites, bool), []
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
            short |= share < min_share
            higher = (step > level) | (number == 0)
            level, value, worst = np.where(higher, step, level), np.where(higher, total, value), np.where(higher, number, worst)
            sums.append(total)
            shares.append(share)
            kept.append(held)
        blind = (age_s > max_age_s) | (short & (level < np.maximum(before, Level.BLUE)))

        def say(at: int, step: Level) -> str:
            which = worst[at]
            hours, table = list(tables.items())[which]
            gap_min = (1.0 - shares[which][at]) * hours * 60.0
            bound = f"at least {{}} (a lower bound: {gap_min:.0f} min are missing)" if gap_min >= 1.0 else "{}"
            fell = f"{bound.format(_number(value[at], unit))} in {hours:g} h"
            if step == Level.NONE:
                return f"{fell}, inside all limits"
            edge = f"the {step.word} limit {_number(table.rows((window.sites[at],))[0, step - 1], unit)} in {hours:g} h"
            return f"{fell}; {edge}{_by(margin, unit)} is not yet cleared" if kept[which][at] else f"{fell}, beyond {edge}"

        return _verdict(window, before, level.astype(np.int8), blind, value, age_s, max_age_s, 1, say, least_share=min_share)

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


class _Table:
    """Limits as a (site, 4) array, with the direction in which they are bad."""

    def __init__(
        self, rule: str, quantity: Quantity, unit: str, limits: Limits | Mapping[str, Limits], falling: bool | None
    ) -> None:
        every = [limits] if isinstance(limits, Limits) else list(limits.values())
        if not every:
            raise InputError(f"rule {rule}: no limits; give at least one site")
        for one in every:
            if one.unit != unit:
                raise InputError(f"rule {rule} on {quantity}: limits in {one.unit!r}; wanted {unit!r}")
        directions = {_direction(one) for one in every} - {0}
        if falling is not None:
            directions.add(-1 if falling else 1)
        if len(directions) > 1:
            raise InputError(f"rule {rule}: some limits rise with the level and some fall; make two rules of it")
        self.unit, self.sign = unit, float(min(directions, default=1))
        self.beyond, self.inside = ("above", "below") if self.sign > 0 else ("below", "above")
        self.source = "; ".join(dict.fromkeys(one.source for one in every))
        self.verified = all(one.verified for one in every)
        self._everywhere = _row(limits) if isinstance(limits, Limits) else None
        self._by_site = {} if isinstance(limits, Limits) else {site: _row(one) for site, one in limits.items()}
        self._last: tuple[tuple[str, ...], Values] | None = None

    def rows(self, sites: tuple[str, ...]) -> Values:
        """The limits of `sites`, (site, 4); kept, because windows name the same sites again and again."""
        if self._everywhere is not None:
            return np.broadcast_to(self._everywhere, (len(sites), len(STEPS)))
        if self._last is None or self._last[0] is not sites:
            unknown = np.full(len(STEPS), np.nan)
            self._last = sites, np.array([self._by_site.get(s, unknown) for s in sites]).reshape(len(sites), len(STEPS))
        return self._last[1]


def _row(limits: Limits) -> Values:
    return np.array([limits.at.get(step, np.nan) for step in STEPS])


def _direction(limits: Limits) -> int:
    values = [limits.at[step] for step in STEPS if step in limits.at]
    return 0 if len(values) < 2 else (1 if values[1] > values[0] else -1)


def _check(name: str, *, min_readings: int, **settings: float) -> None:
    for setting, number in settings.items():
        if not (np.isfinite(number) and number >= 0):
            raise InputError(f"rule {name}: {setting} = {number}; wanted a finite number >= 0")
    if min_readings < 1:
        raise InputError(f"rule {name}: min_readings = {min_readings}; wanted at least 1")


def _verdict(
    window: Window,
    before: Levels,
    level: Levels,
    blind: NDArray[np.bool_],
    value: Values,
    age_s: Values,
    max_age_s: float,
    min_readings: int,
    say: Callable[[int, Level], str],
    least_share: float = 0.0,
) -> Verdict:
    """Put blindness over the levels, and words to the sites that warn, are blind, or have changed; the rest say nothing."""
    told = np.where(blind, np.int8(Level.BLIND), level)
    reasons = [""] * len(window.sites)
    for at in np.flatnonzero((told != before) | (told != Level.NONE)).tolist():
        step = Level(int(told[at]))
        if step != Level.BLIND:
            sentence = say(at, step)
        elif age_s[at] == np.inf:
            sentence = "blind: no usable reading at all"
        elif age_s[at] > max_age_s:
            sentence = f"blind: the last usable reading is {_span(age_s[at])} old; wanted one within {_span(max_age_s)}"
        elif least_share:
            sentence = f"blind: readings cover less than {least_share:.0%} of the time that is judged"
        else:
            sentence = f"blind: {int(window.good[at].sum())} usable readings; wanted at least {min_readings}"
        reasons[at] = f"{window.sites[at]}: {sentence}"
    number = np.where(blind, np.nan, value)
    for array in (told, number):
        array.setflags(write=False)
    return Verdict(told.astype(np.int8), number, tuple(reasons))


def _number(value: float, unit: str) -> str:
    return f"{value:.1f} {unit}" if unit.startswith("mm") else f"{value:.2f} {unit}"


def _span(seconds: float) -> str:
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:g} h"


def _for(seconds: float) -> str:
    return f" for {_span(seconds)}" if seconds > 0 else ""


def _by(margin: float, unit: str) -> str:
    return f" by {_number(margin, unit)}" if margin > 0 else ""
