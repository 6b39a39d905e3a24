"""Rules on bulletins: the worst of all that hold at each place, one warning for each change, the bulletin as its cause.

As with rules on readings, `look` proposes records and changes nothing; `learn` takes what is in the ledger. So a crash between a bulletin and
its warning costs nothing: the next look, or the first after a restart, finds the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from tocsin.pack.ready_rules.bulletin import OVER, BulletinRule, Finding
from tocsin.vocabulary import Bulletin, InputError, Level, PackFault, Record, SensorFault, Warning, record_id

log = logging.getLogger(__name__)

EVENTS_MOST = 10_000
JUDGED: Mapping[str, frozenset[str]] = {"exercise": frozenset({"actual", "exercise"})}
RULE = "rule"
Event = tuple[str, str]  # the collector, and what it calls the event


def judged_statuses(purpose: str) -> frozenset[str]:
    """Bulletins of which status are judged: exercises only where the node itself is one, tests never."""
    return JUDGED.get(purpose, frozenset({"actual"}))


class _Told(msgspec.Struct):
    """What was last said of a place: the level, why, and of which events it was said at which level."""

    level: Level = Level.NONE
    leads: Event | None = None
    events: dict[Event, Level] = {}


class BulletinWatch:
    """What agencies say now, and which level each rule gives each place because of it."""

    def __init__(self, rules: Mapping[str, Sequence[BulletinRule]], *, statuses: frozenset[str] = frozenset({"actual"})) -> None:
        """`rules` by hazard. A bulletin of another status neither begins nor ends anything."""
        self._rules = [(hazard, rule) for hazard, several in rules.items() for rule in several]
        names = [rule.name for _, rule in self._rules]
        if len(set(names)) != len(names):
            raise InputError(f"watch: two rules on bulletins have one name among {sorted(names)}; a warning must name its rule")
        self.names, self._statuses = frozenset(names), statuses
        self._events: dict[Event, tuple[str, Bulletin]] = {}
        self._event_of: dict[str, Event] = {}
        self._told: dict[tuple[str, str], _Told] = {}
        self._broken: set[str] = set()

    def level(self, rule: str, place: str) -> Level:
        """What the rule last said of the place."""
        told = self._told.get((rule, place))
        return Level.NONE if told is None else told.level

    def learn(self, records: Iterable[Record]) -> None:
        """Take what the ledger holds: after appending, and at a restart from its beginning."""
        for record in records:
            match record:
                case Bulletin() if self._rules and record.status in self._statuses:
                    self._take(record)
                case Warning() if record.rule in self.names:
                    self._take_warning(record)
                case SensorFault() if record.check == RULE:
                    name = record.subject.removeprefix(f"{RULE} ")
                    (self._broken.discard if record.healed else self._broken.add)(name)
                case _:
                    pass

    def _take(self, bulletin: Bulletin) -> None:
        event = bulletin.source, bulletin.subject
        known = self._events.get(event)
        if known is not None and bulletin.time < known[1].time:
            return
        if known is None and not self._concerns(bulletin):
            return
        name = record_id(bulletin)
        self._events[event] = name, msgspec.structs.replace(bulletin, text="")
        self._event_of[name] = event
        if len(self._events) > EVENTS_MOST:
            led = {told.leads for told in self._told.values()}
            oldest = sorted((one for one in self._events if one not in led), key=lambda one: self._events[one][1].time)
            self._forget(oldest[: EVENTS_MOST // 10])

    def _concerns(self, bulletin: Bulletin) -> bool:
        """Whether any rule says anything of it, at the time when it was said."""
        return any(one.level != Level.NONE for _, rule in self._rules for one in self._judge(rule, bulletin, bulletin.time))

    def _take_warning(self, warning: Warning) -> None:
        told = self._told.setdefault((warning.rule, warning.subject), _Told(events={}))
        told.level = warning.level
        causes = [self._event_of[cause] for cause in warning.cause if cause in self._event_of]
        told.leads = causes[0] if causes and warning.level != Level.NONE else None
        if warning.level <= Level.NONE:
            told.events = {}
        elif causes:
            told.events[causes[0]] = warning.level

    def _forget(self, events: Iterable[Event]) -> None:
        gone = set(events)
        for event in gone:
            self._events.pop(event, None)
        self._event_of = {name: event for name, event in self._event_of.items() if event not in gone}
        for told in self._told.values():
            told.events = {event: level for event, level in told.events.items() if event not in gone}

    def look(self, now: datetime) -> tuple[Record, ...]:
        """Judge all that agencies say, as of now; return warnings for what has changed."""
        records: list[Record] = []
        silent = set(self._events)
        for hazard, rule in self._rules:
            try:
                found = {event: self._promised(rule, bulletin, now) for event, (_, bulletin) in self._events.items()}
            except Exception as broken:  # a rule's own code: whatever it raises must not silence the other rules
                silent.clear()
                if rule.name not in self._broken:
                    log.exception("rule_broken", extra={"rule": rule.name})
                    reason = f"{type(broken).__name__}: {broken}"
                    records.append(
                        SensorFault(time=now, subject=f"{RULE} {rule.name}", quantity="bulletins", check=RULE, reason=reason)
                    )
                continue
            if rule.name in self._broken:
                told = "the rule judges again"
                subject = f"{RULE} {rule.name}"
                records.append(SensorFault(time=now, subject=subject, quantity="bulletins", check=RULE, reason=told, healed=True))
            silent -= {event for event, several in found.items() if any(one.level != Level.NONE for one in several)}
            for at, place in enumerate(rule.places):
                here = {event: several[at] for event, several in found.items() if several[at].level != Level.NONE}
                warning = self._changed(hazard, rule, place, here, now)
                if warning is not None:
                    records.append(warning)
        self._forget(silent - {told.leads for told in self._told.values() if told.leads is not None})
        return tuple(records)

    def _judge(self, rule: BulletinRule, bulletin: Bulletin, now: datetime) -> tuple[Finding, ...]:
        try:
            return rule.judge(bulletin, now)
        except Exception:  # told as a fault of the rule at the next look
            return (Finding(Level.BLIND),)

    def _promised(self, rule: BulletinRule, bulletin: Bulletin, now: datetime) -> tuple[Finding, ...]:
        found = rule.judge(bulletin, now)
        if len(found) != len(rule.places):
            raise PackFault(f"rule {rule.name}: {len(found)} findings; wanted {len(rule.places)}, one for each place")
        return found

    def _changed(
        self, hazard: str, rule: BulletinRule, place: str, here: Mapping[Event, Finding], now: datetime
    ) -> Warning | None:
        """The warning for a place, if its level is another, or another event is as grave and was not told of."""
        told = self._told.get((rule.name, place), _Told())
        worst = max((one.level for one in here.values() if one.level > Level.NONE), default=None)
        level = worst if worst is not None else (Level.BLIND if here else Level.NONE)
        leading = [event for event, one in here.items() if one.level == level]
        untold = [event for event in leading if level > Level.NONE and told.events.get(event, Level.NONE) < level]
        if level == told.level and not untold:
            return None
        if not leading:
            return self._ended(hazard, rule, place, told, now)
        leads = max(untold or leading, key=lambda event: (self._events[event][1].time, event))
        before = () if told.leads in (None, leads) or told.leads not in self._events else (self._events[told.leads][0],)
        return Warning(
            time=now,
            subject=place,
            cause=(self._events[leads][0], *before),
            hazard=hazard,
            rule=rule.name,
            level=level,
            before=told.level,
            reason=f"{place}: {here[leads].reason}",
            value=here[leads].value,
            unit=rule.unit,
            public=rule.verified,
        )

    def _ended(self, hazard: str, rule: BulletinRule, place: str, told: _Told, now: datetime) -> Warning:
        of = sorted({*told.events, *([] if told.leads is None else [told.leads])} & self._events.keys())
        bulletins = sorted((self._events[event] for event in of), key=lambda one: one[1].time, reverse=True)
        if not bulletins:
            why = "no bulletin holds any more"
        elif bulletins[0][1].state in OVER:
            why = f"{bulletins[0][1].state} by {bulletins[0][1].sender}: {bulletins[0][1].headline}"
        else:
            why = f"over, or no longer grave enough: {bulletins[0][1].headline}"
        return Warning(
            time=now,
            subject=place,
            cause=tuple(name for name, _ in bulletins),
            hazard=hazard,
            rule=rule.name,
            level=Level.NONE,
            before=told.level,
            reason=f"{place}: {why}",
            value=None,
            unit=rule.unit,
            public=rule.verified,
        )
