"""What the ready-made rules share: limits as columns, and the words of a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tocsin.pack.rule import Limits, Verdict
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.level import Level
from tocsin.vocabulary.quantity import Quantity
from tocsin.vocabulary.world import Window

STEPS = (Level.BLUE, Level.YELLOW, Level.ORANGE, Level.RED)

Levels = NDArray[np.int8]
Values = NDArray[np.float64]


class Table:
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
        self._limits = limits
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

    def called(self, site: str, step: Level) -> str:
        """What the document calls that limit, behind a comma; empty where it has no name for it."""
        limits = self._limits if isinstance(self._limits, Limits) else self._limits[site]
        return f", {limits.called[step]}" if step in limits.called else ""


def _row(limits: Limits) -> Values:
    return np.array([limits.at.get(step, np.nan) for step in STEPS])


def _direction(limits: Limits) -> int:
    values = [limits.at[step] for step in STEPS if step in limits.at]
    return 0 if len(values) < 2 else (1 if values[1] > values[0] else -1)


def check_settings(name: str, *, min_readings: int, **settings: float) -> None:
    for setting, number in settings.items():
        if not (np.isfinite(number) and number >= 0):
            raise InputError(f"rule {name}: {setting} = {number}; wanted a finite number >= 0")
    if min_readings < 1:
        raise InputError(f"rule {name}: min_readings = {min_readings}; wanted at least 1")


def say_verdict(
    window: Window,
    before: Levels,
    level: Levels,
    blind: NDArray[np.bool_],
    value: Values,
    age_s: Values,
    max_age_s: float,
    say: Callable[[int, Level], str],
    lacks: Callable[[int], str],
) -> Verdict:
    """Put blindness over the levels, and words to the sites that warn, are blind, or have changed; the rest say nothing.

    `lacks` tells what is missing at a blind site that has spoken within `max_age_s`.
    """
    told = np.where(blind, np.int8(Level.BLIND), level)
    reasons = [""] * len(window.sites)
    for at in np.flatnonzero((told != before) | (told != Level.NONE)).tolist():
        step = Level(int(told[at]))
        if step != Level.BLIND:
            sentence = say(at, step)
        elif age_s[at] == np.inf:
            sentence = "blind: no usable reading at all"
        elif age_s[at] > max_age_s:
            sentence = f"blind: the last usable reading is {span_words(age_s[at])} old; wanted one within {span_words(max_age_s)}"
        else:
            sentence = f"blind: {lacks(at)}"
        reasons[at] = f"{window.sites[at]}: {sentence}"
    number = np.where(blind, np.nan, value)
    for array in (told, number):
        array.setflags(write=False)
    return Verdict(told.astype(np.int8), number, tuple(reasons))


def few_words(window: Window, at: int, min_readings: int) -> str:
    """What a site lacks that has too few readings."""
    return f"{int(window.good[at].sum())} usable readings; wanted at least {min_readings}"


def number_words(value: float, unit: str) -> str:
    if unit == "1":
        return f"{value:.2f}"
    return f"{value:.1f} {unit}" if unit.startswith("mm") else f"{value:.2f} {unit}"


def span_words(seconds: float) -> str:
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:g} h"


def for_words(seconds: float) -> str:
    return f" for {span_words(seconds)}" if seconds > 0 else ""


def by_words(margin: float, unit: str) -> str:
    return f" by {number_words(margin, unit)}" if margin > 0 else ""
