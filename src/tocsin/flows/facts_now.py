"""What is so now, for the triggers of a plan that is carried out: the sensors' readings and the warnings that hold, each with its age.

What no sensor says is not known: the share of a zone that is flooded is known in simulations only, until somebody measures it.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime, timedelta

import numpy as np

from tocsin.edge.latest import Latest, Readings, microseconds
from tocsin.flows.board import Board
from tocsin.pack import FactKind, Pack, facts_for
from tocsin.pack.places import stands_in
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
        *,
        not_of: Set[str] = frozenset(),
    ) -> None:
        """`not_of` are hazards whose warnings do not count: others that are watched have plans of their own."""
        self._not_of = not_of
        self._latest, self._board, self._gauges, self._pack = latest, board, gauges, pack
        self._kinds = facts_for(pack.hazard)
        self._waters, self._began, self._now = waters, began, now
        self._read: dict[tuple[str, str], Readings | None] = {}

    def at(self, name: str, place: str, time_s: float) -> Fact | None:
        """The fact at a time; None where no sensor and no rule says anything of it."""
        moment = self._began + timedelta(seconds=time_s)
        match name:
            case "hours":
                return Fact(time_s / HOUR_S, "h")
            case "warning_level":
                return self._warning_level(moment)
        kind = self._kinds.get(name)
        if kind is None or not kind.observed:
            return None
        if kind.sum_s:
            return self._summed(kind, place, moment)
        return self._rise(kind, place, moment) if kind.rise_s else self._highest(kind, place, moment)

    def _warning_level(self, moment: datetime) -> Fact | None:
        """The worst that any rule said of any site by then; unknown where none warns and one sees nothing."""
        last: dict[tuple[str, str], Level] = {}
        blind: dict[tuple[str, str], bool] = {}
        for warning in self._board.warnings.values():
            if warning.time <= moment and warning.hazard not in self._not_of:
                key = (warning.rule, warning.subject)
                blind[key] = warning.level == Level.BLIND
                if not blind[key]:
                    last[key] = warning.level
        worst = max(last.values(), default=Level.NONE)
        return None if worst == Level.NONE and any(blind.values()) else Fact(float(worst), "level")

    def _highest(self, kind: FactKind, place: str, moment: datetime) -> Fact | None:
        """The highest of what the place's gauges say; where none has spoken for an hour, the one that spoke last."""
        said = [fact for site, q in self._sites(kind, place) if (fact := self._last(q, kind.unit, site, moment)) is not None]
        fresh = [fact for fact in said if fact.age_s <= HOUR_S]
        return max(fresh, key=lambda fact: fact.value) if fresh else min(said, key=lambda fact: fact.age_s, default=None)

    def _rise(self, kind: FactKind, place: str, moment: datetime) -> Fact | None:
        now = self._highest(kind, place, moment)
        before = self._highest(kind, place, moment - timedelta(seconds=kind.rise_s))
        if now is None or before is None or before.age_s > kind.rise_s / 2:
            return None
        return Fact(now.value - before.value, kind.unit, now.age_s)

    def _summed(self, kind: FactKind, place: str, moment: datetime) -> Fact | None:
        """What each gauge summed up lately, the mean of the gauges that spoke."""
        end_us = microseconds(moment)
        sums, ages = list[float](), list[float]()
        for site, quantity in self._sites(kind, place):
            time_us, value = self._good(quantity, site)
            inside = (time_us > end_us - int(kind.sum_s) * _US) & (time_us <= end_us)
            if inside.any():
                sums.append(float(value[inside].sum()))
                ages.append((end_us - int(time_us[inside][-1])) / _US)
        return Fact(float(np.mean(sums)), kind.unit, min(ages)) if sums else None

    def _sites(self, kind: FactKind, place: str) -> list[tuple[str, Quantity]]:
        """The sites that measure what a fact is observed by, and stand in its place: in a water by `stands_in`, elsewhere by the site's name."""
        quantity = next((q for q in self._pack.observes if q.name == kind.observed), None)
        if quantity is None or quantity not in self._latest.quantities():
            return []
        mine = [gauge for gauge in self._gauges if gauge.quantity == quantity.name]
        sites = self._latest.sites(quantity)
        if kind.place == "water":
            return [(site, quantity) for site in sites if stands_in(site, mine, place, len(self._waters))]
        return [(site, quantity) for site in sites if not place or place in (site, *(g.name for g in mine if g.site == site))]

    def _last(self, quantity: Quantity, unit: str, site: str, moment: datetime) -> Fact | None:
        time_us, value = self._good(quantity, site)
        end_us = microseconds(moment)
        k = int(np.searchsorted(time_us, end_us, side="right")) - 1
        return None if k < 0 else Fact(float(value[k]), unit, (end_us - int(time_us[k])) / _US)

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
