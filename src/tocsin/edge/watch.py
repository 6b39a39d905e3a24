"""Rules on what was read: one warning record for each change of level, with the readings that the rule saw as its cause.

`look` and `inspect` propose records and change nothing; `learn` takes the records that are in the ledger. So a ledger that does
not answer costs nothing but time, and a restart is `learn` over the ledger.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tocsin.edge.across import NOT_STUCK
from tocsin.edge.bulletin_watch import BulletinWatch
from tocsin.edge.check import Check, Test, code_of
from tocsin.edge.latest import LOOKED_AT, Latest, Streams, microseconds
from tocsin.pack.rule import Rule, Verdict
from tocsin.science import quality
from tocsin.vocabulary import Evidence, InputError, Level, PackFault, Quantity, Record, SensorFault, Warning, Window, record_id

log = logging.getLogger(__name__)

EVIDENCE_MOST = 200
SITES_AT_ONCE = 1_000
GLANCED_AT = 8  # so many of the newest readings does a rule see that only asks whether all is quiet
# A fault is told when so many of so many newest readings failed a test, and healed when fewer did and none of the newest three.
# A single spike is a bad reading and not yet a bad sensor.
TOLD_FROM = {
    Test.GROSS_RANGE: (1, 3),
    Test.SPIKE: (3, 12),
    Test.FLAT_LINE: (1, 3),
    Test.CLIMATOLOGY: (1, 3),
    Test.ATTENUATED_SIGNAL: (1, 3),
    Test.NEIGHBOUR: (3, 12),
    Test.LOCATION: (1, 3),
}
HEALED_AFTER = 3
STUCK, AHEAD, GAP, RULE = "stuck", "clock ahead", "gap", "rule"

Mask = NDArray[np.bool_]


class Watch:
    """Which level each rule gives each site, and which sensors are faulty."""

    def __init__(
        self,
        rules: Mapping[str, Sequence[Rule]],
        latest: Latest,
        *,
        since: datetime,
        grace_s: float = 1800.0,
        bulletins: BulletinWatch | None = None,
    ) -> None:
        """`rules` by hazard. For `grace_s` after `since` no site is called blind: readings have to come in first.

        `bulletins` judges what agencies say; it is looked at with all the rest.
        """
        self._latest = latest
        self._rules = [(hazard, rule) for hazard, several in rules.items() for rule in several]
        names = [rule.name for _, rule in self._rules]
        if len(set(names)) != len(names):
            raise InputError(f"watch: two rules have one name among {sorted(names)}; a warning must name its rule")
        self.bulletins = BulletinWatch({}) if bulletins is None else bulletins
        both = sorted(self.bulletins.names & set(names))
        if both:
            raise InputError(f"watch: {both[0]!r} is a rule on readings and one on bulletins; a warning must name its rule")
        self._since, self._grace = since, timedelta(seconds=grace_s)
        self._levels: dict[str, _Levels] = {name: _Levels() for name in names}
        self._faults: set[tuple[str, str, str]] = set()  # site, quantity, check
        self._told_of: dict[tuple[str, str], set[str]] = {}  # the sites of each (quantity, check)
        self._held: dict[str, datetime] = {}

    def level(self, rule: str, site: str) -> Level:
        """What the rule last said of the site."""
        return self._levels[rule].level_of(site)

    def faults(self) -> frozenset[tuple[str, str, str]]:
        """(site, quantity, check) of all faults that are told and not healed."""
        return frozenset(self._faults)

    def hold(self, sites: Iterable[str], until: datetime | None) -> None:
        """Judge these sites not before `until`: what they measured long ago still comes in. None lets them go."""
        for site in sites:
            if until is None:
                self._held.pop(site, None)
            else:
                self._held[site] = until

    def _is_held(self, sites: Sequence[str], now: datetime) -> Mask:
        return np.fromiter((site in self._held and now < self._held[site] for site in sites), bool, len(sites))

    def learn(self, records: Iterable[Record]) -> None:
        """Take what the ledger holds: after appending, and at a restart from its beginning."""
        several = tuple(records) if self.bulletins.names else records
        if self.bulletins.names:
            self.bulletins.learn(several)
        for record in several:
            match record:
                case Warning() if record.rule in self._levels:
                    self._levels[record.rule].put(record.subject, record.level)
                case SensorFault():
                    fault = record.subject, record.quantity, record.check
                    told_of = self._told_of.setdefault(fault[1:], set())
                    if record.healed:
                        self._faults.discard(fault)
                        told_of.discard(fault[0])
                    else:
                        self._faults.add(fault)
                        told_of.add(fault[0])
                case _:
                    pass

    def look(
        self,
        now: datetime,
        quantities: Iterable[Quantity] | None = None,
        *,
        touched: Mapping[str, NDArray[np.int64]] | None = None,
    ) -> tuple[Record, ...]:
        """Judge all sites of some quantities (or of all) at this moment; return evidence and warnings for what has changed.

        `touched` says by quantity at which places readings have come: rules that judge by site look at these only, and where the
        newest few readings show already that nothing is the matter, as before, a rule that can tell looks at no more of them. A rule
        that breaks its promise or raises is told as a fault of its own, once, and stops no other.
        """
        asked = None if quantities is None else {quantity.name for quantity in quantities}
        records: list[Record] = []
        for hazard, rule in self._rules:
            if asked is not None and asked.isdisjoint((rule.reads.name, *(quantity.name for quantity in rule.also))):
                continue
            fault = f"rule {rule.name}", rule.reads.name, RULE
            spoke = None if touched is None else touched.get(rule.reads.name)
            was_asked, reason = False, ""
            for places in self._parts(rule, spoke):
                try:
                    found = self._look_at(hazard, rule, places, now)
                except Exception as broken:  # a pack's own code: whatever it raises must not silence the other rules
                    if fault not in self._faults and not reason:
                        log.exception("rule_broken", extra={"rule": rule.name})
                    reason = reason or f"{type(broken).__name__}: {broken}"
                    continue
                was_asked |= found is not None
                records += found or ()
            if (reason and fault not in self._faults) or (not reason and was_asked and fault in self._faults):
                words = reason or "the rule judges again"
                told = SensorFault(time=now, subject=fault[0], quantity=fault[1], check=RULE, reason=words, healed=not reason)
                records.append(told)
        if asked is None:
            records += self.bulletins.look(now)
        return tuple(records)

    def _parts(self, rule: Rule, spoke: NDArray[np.int64] | None) -> Iterator[NDArray[np.int64] | None]:
        """The places to look at, so many at a time that whoever stores readings waits for none of it; None is all of them."""
        if not rule.by_site:
            yield None
            return
        places = np.arange(len(self._latest.sites(rule.reads))) if spoke is None else spoke
        for begin in range(0, places.size, SITES_AT_ONCE):
            yield places[begin : begin + SITES_AT_ONCE]

    def _look_at(self, hazard: str, rule: Rule, places: NDArray[np.int64] | None, now: datetime) -> list[Record] | None:
        """What has changed by one rule at some places; None where all was quiet, and the rule was not asked."""
        if places is not None and rule.is_quiet is not None:
            places = self._not_quiet(rule, rule.is_quiet, places, now)
            if not places.size:
                return None
        window = self._latest.window(rule.reads, rule.span_s, now, places=places)
        verdict = _promised(rule, window, self._judged(rule, window, places, now))
        return self._changes(hazard, rule, window, places, verdict, now)

    def _not_quiet(
        self, rule: Rule, is_quiet: Callable[[Window], Mask], places: NDArray[np.int64], now: datetime
    ) -> NDArray[np.int64]:
        """The places at which the rule has to look at all its readings."""
        last, sighted = self._levels[rule.name].of(self._latest.sites(rule.reads), places)
        calm = (last == Level.NONE) & (sighted == Level.NONE)
        window = self._latest.window(rule.reads, rule.span_s, now, places=places[calm], newest=GLANCED_AT)
        quiet = is_quiet(window)
        if quiet.shape != (len(window.sites),) or quiet.dtype != np.bool_:
            raise PackFault(f"rule {rule.name}: is_quiet gave {quiet.dtype} {quiet.shape}; wanted bool ({len(window.sites)},)")
        calm[calm] = quiet
        return np.asarray(places[~calm], np.int64)

    def _judged(self, rule: Rule, window: Window, places: NDArray[np.int64] | None, now: datetime) -> Verdict:
        before = self._levels[rule.name].of(self._latest.sites(rule.reads), places)[1][: len(window.sites)]
        if rule.judge_all is None:
            return rule.judge(window, before)
        others = {quantity.name: self._latest.window(quantity, rule.span_s, now) for quantity in rule.also}
        return rule.judge_all({rule.reads.name: window, **others}, before)

    def _changes(
        self, hazard: str, rule: Rule, window: Window, places: NDArray[np.int64] | None, verdict: Verdict, now: datetime
    ) -> list[Record]:
        last, sighted = (of[: len(window.sites)] for of in self._levels[rule.name].of(self._latest.sites(rule.reads), places))
        changed = verdict.level != last
        if now - self._since < self._grace:
            changed &= verdict.level != Level.BLIND
        if self._held:
            changed &= ~self._is_held(window.sites, now)
        records: list[Record] = []
        for at in np.flatnonzero(changed).tolist():
            site, level = window.sites[at], Level(int(verdict.level[at]))
            seen = self._latest.readings(rule.reads, site, rule.span_s, now, limit=EVIDENCE_MOST)
            evidence = Evidence(
                time=now,
                subject=site,
                quantity=rule.reads.name,
                unit=rule.reads.unit,
                sensor_time_us=tuple(seen.time_us.tolist()),
                value=tuple(None if math.isnan(number) else number for number in seen.value.tolist()),
                flag=tuple(seen.flag.tolist()),
                batch=seen.batch,
            )
            reason = verdict.reason[at] or f"{site}: sees again, and all limits are kept"
            number = float(verdict.value[at])
            if level == Level.BLIND and sighted[at] > Level.NONE:
                reason += f"; the {Level(int(sighted[at])).word} warning before is not lifted by this"
            warning = Warning(
                time=now,
                subject=site,
                cause=(record_id(evidence),),
                hazard=hazard,
                rule=rule.name,
                level=level,
                before=Level(int(last[at])),
                reason=reason,
                value=None if math.isnan(number) else number,
                unit=rule.reads.unit,
                public=rule.verified,
            )
            records += [evidence, warning]
        return records

    def inspect(
        self,
        now: datetime,
        quantities: Iterable[Quantity] | None = None,
        *,
        ahead: Mapping[str, float] | None = None,
        heard: NDArray[np.int64] | None = None,
    ) -> tuple[Record, ...]:
        """Faults that have begun or ended; `ahead`: sites whose clock is ahead, by how many s; `heard`: places of the others.

        With one of these given, what readings show is asked of the sites that spoke and of their neighbours only; who is silent, of all.
        """
        asked = None if quantities is None else {quantity.name for quantity in quantities}
        records: list[Record] = []
        for name, check in self._latest.checks().items():
            if asked is None or name in asked:
                for found in self._findings(check, now, ahead or {}, heard):
                    records += self._told(found, check.quantity, now)
        return tuple(records)

    def _findings(
        self, check: Check, now: datetime, ahead: Mapping[str, float], heard: NDArray[np.int64] | None
    ) -> list[_Finding]:
        quantity, unit = check.quantity, check.quantity.unit
        sites, arrived_us = self._latest.arrived(quantity)
        if not sites:
            return []
        spoke, skewed = None, self._latest.places(quantity, ahead)
        if ahead or heard is not None:
            spoke = self._latest.near_to(quantity, skewed if heard is None else np.union1d(heard, skewed))
        streams = self._latest.streams(quantity, places=spoke, lag=LOOKED_AT)
        where = streams.place
        findings = []
        for test, (told_from, looked_at) in TOLD_FROM.items():
            failed = code_of(streams.packed[:, -looked_at:], test) == quality.FAIL
            count = failed.sum(axis=1)
            findings.append(
                _Finding(
                    test.name.lower().replace("_", " "),
                    sites,
                    where,
                    count >= told_from,
                    ~failed[:, -HEALED_AFTER:].any(axis=1),
                    lambda at, test=test, count=count: self._words(check, test, streams, at, int(count[at])),  # type: ignore[misc]
                    f"the last {HEALED_AFTER} readings passed",
                )
            )
        if streams.stuck_since is not None:
            stuck = streams.stuck_since != NOT_STUCK
            moved = f" while a neighbour moved by {check.neighbour_move:g} {unit} or more"
            findings.append(
                _Finding(
                    STUCK,
                    sites,
                    where,
                    stuck,
                    ~stuck,
                    lambda at: self._flat_words(check, streams.place[at]) + moved,
                    "it moves, or its neighbours rest",
                )
            )
        if check.gap_s is not None:
            silent_s = (microseconds(now) - np.maximum(arrived_us, microseconds(self._since))) / quality.US_PER_S
            silent = silent_s > check.gap_s
            due = f"a reading is due every {check.interval_s / 60.0:g} min"
            findings.append(
                _Finding(
                    GAP,
                    sites,
                    np.arange(len(sites)),
                    silent,
                    ~silent,
                    lambda at: f"gap: nothing for {silent_s[at] / 60.0:.0f} min; {due}",
                    "it speaks again",
                )
            )
        if spoke is not None:
            is_ahead = np.isin(spoke, skewed)
            agrees = np.isin(spoke, np.empty(0, np.int64) if heard is None else heard)
            findings.append(
                _Finding(
                    AHEAD,
                    sites,
                    where,
                    is_ahead,
                    agrees & ~is_ahead,
                    lambda at: (
                        f"its clock is {ahead[streams.sites[at]]:.0f} s ahead of ours; wanted at most {check.future_s:.0f} s"
                    ),
                    "its time agrees with ours again",
                )
            )
        return findings

    def _told(self, found: _Finding, quantity: Quantity, now: datetime) -> list[Record]:
        records: list[Record] = []
        known = self._told_of.get((quantity.name, found.check), set())
        for site, at in found.begins():
            if site not in known and not (self._held and self._is_held([site], now)[0]):
                reason = found.reason(at)
                records.append(SensorFault(time=now, subject=site, quantity=quantity.name, check=found.check, reason=reason))
        if known:
            for site in sorted(known.intersection(found.ends())):
                if not (self._held and self._is_held([site], now)[0]):
                    records.append(
                        SensorFault(
                            time=now, subject=site, quantity=quantity.name, check=found.check, reason=found.healed, healed=True
                        )
                    )
        return records

    def _words(self, check: Check, test: Test, streams: Streams, at: int, count: int) -> str:
        unit, low_high = check.quantity.unit, check.spans(streams.sites[at : at + 1])[0]
        if test == Test.GROSS_RANGE:
            failed = np.flatnonzero(code_of(streams.packed[at], test) == quality.FAIL)
            possible = f"{low_high[0]:g}..{low_high[1]:g} {unit}"
            return f"gross range: {streams.value[at, failed[-1]]:g} {unit} is outside what the sensor can measure, {possible}"
        if test == Test.SPIKE:
            share = f"{count} of the last {TOLD_FROM[test][1]}"
            return f"spike: {share} readings leap away by more than {check.spike_fail:g} {unit} and back"
        if test == Test.CLIMATOLOGY:
            failed = np.flatnonzero(code_of(streams.packed[at], test) == quality.FAIL)
            return f"climatology: {streams.value[at, failed[-1]]:g} {unit} is not possible at this time of the year"
        if test == Test.ATTENUATED_SIGNAL:
            span = f"{check.attenuated_s / 60.0:g} min"
            what = "standard deviation" if check.attenuated_method == "std" else "range"
            return f"attenuated signal: the {what} of {span} is below {check.attenuated_fail:g} {unit}"
        if test == Test.NEIGHBOUR:
            share = f"{count} of the last {TOLD_FROM[test][1]}"
            return f"neighbour: {share} readings are more than {check.neighbour_fail:g} {unit} from those of its neighbours"
        if test == Test.LOCATION:
            return "location: it says that it is outside the area where it must be"
        return self._flat_words(check, streams.place[at])

    def _flat_words(self, check: Check, place: np.int64) -> str:
        row = self._latest.streams(check.quantity, places=np.array([place]))
        there = np.flatnonzero(np.isfinite(row.value[0]))
        if not there.size:  # the run has been forgotten since it was found
            return "flat line"
        last, lag = int(there[-1]), row.value.shape[1]
        since, count = quality.flat_since(row.time_us, row.value, last, tolerance=check.flat_tolerance, context=lag)
        span_min = (int(row.time_us[0, last]) - int(since[0])) / quality.US_PER_S / 60.0
        within = f"{check.flat_tolerance:g} {check.quantity.unit}"
        return f"flat line: {int(count[0])} readings within {within} over {span_min:.0f} min"


class _Finding:
    """What one check says of the sites at some places: where a fault is, where it is none any more, and the words."""

    def __init__(
        self,
        check: str,
        sites: tuple[str, ...],
        places: NDArray[np.int64],
        begun: Mask,
        ended: Mask,
        reason: Callable[[int], str],
        healed: str,
    ) -> None:
        self.check, self.reason, self.healed = check, reason, healed
        self._sites, self._places, self._begun, self._ended = sites, places, begun, ended

    def begins(self) -> Iterator[tuple[str, int]]:
        """Each site with a fault, and where it is in the finding."""
        for at in np.flatnonzero(self._begun).tolist():
            yield self._sites[self._places[at]], at

    def ends(self) -> set[str]:
        """The sites without one."""
        return {self._sites[place] for place in self._places[self._ended & ~self._begun].tolist()}


class _Levels:
    """The levels of one rule, as columns: the last one told, and the last one that was not BLIND (hysteresis goes by that)."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._level, self._sighted = np.empty(0, np.int8), np.empty(0, np.int8)
        self._places: tuple[tuple[str, ...], NDArray[np.int64]] | None = None

    def _place(self, site: str) -> int:
        at = self._index.setdefault(site, len(self._index))
        if at >= self._level.size:
            more = np.full(max(64, self._level.size), Level.NONE, np.int8)
            self._level, self._sighted = np.concatenate([self._level, more]), np.concatenate([self._sighted, more])
        return at

    def put(self, site: str, level: Level) -> None:
        at = self._place(site)
        self._level[at] = level
        if level != Level.BLIND:
            self._sighted[at] = level

    def level_of(self, site: str) -> Level:
        return Level(int(self._level[self._index[site]])) if site in self._index else Level.NONE

    def of(self, sites: tuple[str, ...], places: NDArray[np.int64] | None = None) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """(last told, last sighted) of all sites, or of those at some places in their order, each (site,)."""
        if self._places is None or self._places[0] is not sites:
            self._places = sites, np.array([self._place(site) for site in sites], np.int64)
        at = self._places[1] if places is None else self._places[1][places]
        return self._level[at], self._sighted[at]


def _promised(rule: Rule, window: Window, verdict: Verdict) -> Verdict:
    """The verdict, if it has one level of the known ones, one value and one reason for each site."""
    sites = len(window.sites)
    shapes = verdict.level.shape, verdict.value.shape, (len(verdict.reason),)
    if shapes != ((sites,),) * 3:
        raise PackFault(f"rule {rule.name}: shapes of level, value, reason {shapes}; wanted {(sites,)} each, one for each site")
    if sites and not (verdict.level.min() >= Level.BLIND and verdict.level.max() <= Level.RED):
        raise PackFault(f"rule {rule.name}: levels {verdict.level.min()}..{verdict.level.max()}; wanted -1 (blind) to 4 (red)")
    return verdict
