"""What is so now, for the triggers of a plan that is carried out: the sensors' readings and the warnings that hold, each with its age.

What no sensor says is not known: the share of a zone that is flooded is known in simulations only, until somebody measures it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import numpy as np

from tocsin.edge.latest import Latest, Readings, microseconds
from tocsin.flows.board import Board
from tocsin.pack import Pack
from tocsin.pack.trigger import Fact
from tocsin.platform.twin import Gauge
from tocsin.vocabulary import Flag, Level, NotFound, Quantity

USABLE = (Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT)  # as for rules: the front of a flood is suspect and of high interest
LOOK_BACK_S = 26 * 3600.0
HOUR_S = 3600.0
_US = 1_000_000


class FactsNow:
    """Facts of one moment and before, in seconds after a plan began. Made for one step, then thrown away."""

    def __init__(
        self,
        latest: Latest,
        board: Board,
        gauges: Sequence[Gauge],
        pack: Pack,
        waters: Sequence[str],
        began: datetime,
        now: datetime,
    ) -> None:
        self._latest, self._board, self._gauges, self._pack = latest, board, gauges, pack
        self._waters, self._began, self._now = waters, began, now
        self._read: dict[tuple[str, str], Readings | None] = {}

    def at(self, name: str, place: str, time_s: float) -> Fact | None:
        """The fact at a time; None where no sensor and no rule says anything of it."""
        moment = self._began + timedelta(seconds=time_s)
        facts: dict[str, Callable[[], Fact | None]] = {
            "hours": lambda: Fact(time_s / HOUR_S, "h"),
            "warning_level": lambda: self._warning_level(moment),
            "level_m": lambda: self._level(place, moment),
            "rise_m_per_h": lambda: self._rise(place, moment),
            "rain_mm_per_h": lambda: self._rain(moment),
        }
        return facts[name]() if name in facts else None

    def _warning_level(self, moment: datetime) -> Fact | None:
        """The worst that any rule said of any site by then; unknown where none warns and one sees nothing."""
        last: dict[tuple[str, str], Level] = {}
        blind: dict[tuple[str, str], bool] = {}
        for warning in self._board.warnings.values():
            if warning.time <= moment:
                key = (warning.rule, warning.subject)
                blind[key] = warning.level == Level.BLIND
                if not blind[key]:
                    last[key] = warning.level
        worst = max(last.values(), default=Level.NONE)
        return None if worst == Level.NONE and any(blind.values()) else Fact(float(worst), "level")

    def _level(self, water: str, moment: datetime) -> Fact | None:
        """The highest of what the water's gauges say; where none has spoken for an hour, the one that spoke last."""
        said = [fact for site, quantity in self._sites("m", water) if (fact := self._last(quantity, site, moment)) is not None]
        fresh = [fact for fact in said if fact.age_s <= HOUR_S]
        return max(fresh, key=lambda fact: fact.value) if fresh else min(said, key=lambda fact: fact.age_s, default=None)

    def _rise(self, water: str, moment: datetime) -> Fact | None:
        now, before = self._level(water, moment), self._level(water, moment - timedelta(hours=1))
        if now is None or before is None or before.age_s > HOUR_S / 2:
            return None
        return Fact(now.value - before.value, "m/h", now.age_s)

    def _rain(self, moment: datetime) -> Fact | None:
        """What fell in the last hour, the mean of the gauges that spoke in it."""
        end_us = microseconds(moment)
        fell, ages = list[float](), list[float]()
        for site, quantity in self._sites("mm", ""):
            time_us, value = self._good(quantity, site)
            inside = (time_us > end_us - int(HOUR_S) * _US) & (time_us <= end_us)
            if inside.any():
                fell.append(float(value[inside].sum()))
                ages.append((end_us - int(time_us[inside][-1])) / _US)
        return Fact(float(np.mean(fell)), "mm/h", min(ages)) if fell else None

    def _sites(self, unit: str, water: str) -> list[tuple[str, Quantity]]:
        """The sites that measure in a unit, and stand in a water where one is named: by the gauge's water, its name, its site, or the only one."""
        found = []
        for quantity in self._pack.observes:
            if quantity.unit != unit:
                continue
            named = {gauge.site: (gauge.water, gauge.name) for gauge in self._gauges if gauge.quantity == quantity.name}
            for site in self._latest.sites(quantity) if quantity in self._latest.quantities() else ():
                stands_in, name = named.get(site, ("", ""))
                if not water or water in (stands_in, name, site) or (len(self._waters) == 1 and not stands_in):
                    found.append((site, quantity))
        return found

    def _last(self, quantity: Quantity, site: str, moment: datetime) -> Fact | None:
        time_us, value = self._good(quantity, site)
        end_us = microseconds(moment)
        k = int(np.searchsorted(time_us, end_us, side="right")) - 1
        return None if k < 0 else Fact(float(value[k]), quantity.unit, (end_us - int(time_us[k])) / _US)

    def _good(
        self, quantity: Quantity, site: str
    ) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
        """A site's readings that may be used, oldest first."""
        key = (quantity.name, site)
        if key not in self._read:
            try:
                self._read[key] = self._latest.readings(quantity, site, LOOK_BACK_S, self._now)
            except NotFound:
                self._read[key] = None
        read = self._read[key]
        if read is None:
            return np.empty(0, np.int64), np.empty(0, np.float64)
        usable = np.isin(read.flag, [int(flag) for flag in USABLE]) & quantity.believable(read.value)
        return read.time_us[usable], read.value[usable]
