"""How a node stands, as one value that it writes to its data folder again and again: sources, collectors, storage, uplink, actions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from tocsin.edge.actions import ActionStatus
from tocsin.edge.collect import Collector
from tocsin.edge.collectors.tally import Tally, TallyStatus
from tocsin.edge.latest import Latest, microseconds
from tocsin.edge.ring import NEVER
from tocsin.edge.spool import Spool, write_whole
from tocsin.edge.uplink import UplinkStatus
from tocsin.edge.watch import GAP, Watch
from tocsin.pack import Rule
from tocsin.science import quality
from tocsin.vocabulary import InputError, Level, NotFound, Quantity

NAME = "status.json"
OLD_AFTER_TICKS = 3.0
# Where neither a rule nor a check says how long a stream may be silent, its own usual interval has to: so many of them.
OVERDUE_INTERVALS = 10.0
CLOCK_S_LEAST = 1.0  # a reading that comes less than a second before its time proves no clock wrong

State = Literal["blind", "faulty", "overdue", "warns", "works"]
STATES: tuple[State, ...] = ("blind", "faulty", "overdue", "warns", "works")
FLAG_WORDS = ("good", "not evaluated", "suspect", "fail", "missing")  # in the order of FLAGS
COLUMNS = ("last_seen_us", "last_arrived_us", "age_s", "per_h", "lag_s", "lag_least_s", "lag_spread_s")
COUNT_WORDS = {
    "duplicates": "known already",
    "contradictions": "second numbers",
    "late": "late",
    "future": "of the future",
    "out_of_order": "out of order",
}


class Source(msgspec.Struct, frozen=True):
    """One stream: its last reading, how old, how late, how often, how good, what was dropped, and what is wrong.

    `per_hour`, `lag_s` (the median) and `shares` (of each QARTOD flag) speak of the last 24 readings. `clock_ahead_s`: its clock is ahead by so
    much at least, since its readings come before their time; None where nothing proves it. `dropped` counts since the process began, with
    what it read back from disk: what was known already (dropped), second numbers for one moment (stored as failed), late and of the
    future (stored, seen by no rule), out of order (harmless). `state` is the worst of: blind (a rule sees nothing, or it never spoke, or a gap),
    faulty (a check has told a fault), overdue (nothing for ten of its usual intervals), warns, works; `why` is it in words.
    """

    quantity: str
    site: str
    unit: str
    state: State
    why: str
    value: float | None
    time: datetime | None
    arrived: datetime | None
    age_s: float | None
    lag_s: float | None
    lag_spread_s: float | None
    clock_ahead_s: float | None
    per_hour: float | None
    good_share: float | None
    shares: Mapping[str, float]
    dropped: Mapping[str, int]
    faults: tuple[str, ...]
    blind: tuple[str, ...]
    level: str


class CollectorStatus(msgspec.Struct, frozen=True):
    """One collector: whether it works, and what it received, took, lost and dropped, and why; no tally where a third party's keeps none."""

    name: str
    kind: str
    broken: str
    tally: TallyStatus | None


class Storage(msgspec.Struct, frozen=True):
    """The readings on disk. Without `reserve_held` no room is kept back for warnings: the disk is too full, or was."""

    size_bytes: int
    keep_bytes: int
    blocks: int
    dropped_segments: int
    dropped_readings: int
    lost_readings: int
    damage: tuple[str, ...]
    reserve_held: bool = True


class Copy(msgspec.Struct, frozen=True):
    """The copy in PostgreSQL: how many readings wait for it, why, and how many blocks were dropped before they were copied."""

    waiting_readings: int
    trouble: str
    lost_blocks: int


class EdgeStatus(msgspec.Struct, frozen=True):
    """A node at one moment; sources and collectors with the worst first. `counted` is by quantity: stored, known already, late, of the future."""

    node: str
    version: str
    pid: int
    time: datetime
    started: datetime
    tick_s: float
    entries: int
    sources: tuple[Source, ...]
    broken: Mapping[str, str]
    counted: Mapping[str, Mapping[str, int]]
    storage: Storage
    uplink: UplinkStatus | None
    actions: tuple[ActionStatus, ...]
    collectors: tuple[CollectorStatus, ...] = ()
    postgres: Copy | None = None

    def is_old(self, now: datetime) -> bool:
        """True if the node should have written anew since: it does not run, or hangs."""
        return (now - self.time).total_seconds() > OLD_AFTER_TICKS * self.tick_s


def sources(latest: Latest, watch: Watch, rules: Mapping[str, tuple[Rule, ...]], now: datetime) -> tuple[Source, ...]:
    """All streams of a node, the worst first, then by quantity and site."""
    faults: dict[tuple[str, str], list[str]] = {}
    for site, name, check in sorted(watch.faults()):
        faults.setdefault((name, site), []).append(check)
    found: list[Source] = []
    for stands in latest.stream_status(now):
        name = stands.quantity.name
        names = [rule.name for several in rules.values() for rule in several if rule.reads.name == name]
        value = latest.streams(stands.quantity, lag=1).value
        columns = {key: getattr(stands, key).tolist() for key in (*COLUMNS, *COUNT_WORDS)}
        columns["share"] = stands.share.T.tolist()
        columns["value"] = value[:, -1].tolist() if len(value) else []
        for at, site in enumerate(stands.sites):
            row = {key: column[at] for key, column in columns.items()}
            levels = {rule: watch.level(rule, site) for rule in names}
            found.append(_source(stands.quantity, site, row, tuple(faults.get((name, site), ())), levels, microseconds(now)))
    return tuple(sorted(found, key=lambda one: (STATES.index(one.state), one.quantity, one.site)))


def _source(
    quantity: Quantity, site: str, row: Mapping[str, Any], faults: tuple[str, ...], levels: Mapping[str, Level], now_us: int
) -> Source:
    """One stream, of its row of the columns of a StreamStatus."""
    has, arrived_us = row["last_seen_us"] != NEVER, row["last_arrived_us"]
    share = dict(zip(FLAG_WORDS, row["share"], strict=True)) if has else {}
    least_s = _number(row["lag_least_s"])
    blind = tuple(rule for rule, level in levels.items() if level == Level.BLIND)
    level = max(levels.values(), default=Level.NONE)
    silent_s = (now_us - arrived_us) / quality.US_PER_S if arrived_us != NEVER else None
    state, why = _state(has, faults, blind, level, silent_s, _number(row["per_h"]))
    return Source(
        quantity=quantity.name,
        site=site,
        unit=quantity.unit,
        state=state,
        why=why,
        value=_number(row["value"]) if has else None,
        time=_date(row["last_seen_us"]) if has else None,
        arrived=_date(arrived_us) if arrived_us != NEVER else None,
        age_s=_number(row["age_s"]),
        lag_s=_number(row["lag_s"]),
        lag_spread_s=_number(row["lag_spread_s"]),
        clock_ahead_s=-least_s if least_s is not None and least_s <= -CLOCK_S_LEAST else None,
        per_hour=_number(row["per_h"], 3),
        good_share=round(share["good"] + share["not evaluated"], 3) if has else None,
        shares={word: round(number, 3) for word, number in share.items() if number > 0},
        dropped={word: row[key] for key, word in COUNT_WORDS.items() if row[key]},
        faults=faults,
        blind=blind,
        level=level.word,
    )


def _state(
    has: bool, faults: tuple[str, ...], blind: tuple[str, ...], level: Level, silent_s: float | None, per_hour: float | None
) -> tuple[State, str]:
    """The worst that is to be said of a stream, and all of it in words."""
    words = ["never heard"] if not has else []
    words += [", ".join(faults)] if faults else []
    words += [f"{', '.join(blind)} {'see' if len(blind) > 1 else 'sees'} nothing"] if blind else []
    intervals = silent_s * per_hour / 3600.0 if silent_s is not None and per_hour is not None else 0.0
    if intervals > OVERDUE_INTERVALS:
        words.append(f"silent for {intervals:.0f} of its usual intervals")
    if level > Level.NONE:
        words.append(level.word)
    said = "; ".join(words)
    if blind or not has or GAP in faults:
        return "blind", said
    if faults:
        return "faulty", said
    if intervals > OVERDUE_INTERVALS:
        return "overdue", said
    return ("warns", said) if level > Level.NONE else ("works", said)


def collectors(collecting: Iterable[Collector], broken: Mapping[str, str]) -> tuple[CollectorStatus, ...]:
    """All collectors of a node, the broken ones first, then those that dropped most."""
    found = []
    for one in collecting:
        tally = getattr(one, "tally", None)
        told = tally.status() if isinstance(tally, Tally) else None
        found.append(CollectorStatus(one.name, type(one).__name__, broken.get(one.name, ""), told))
    return tuple(sorted(found, key=lambda one: (not one.broken, -_dropped(one), one.name)))


def _dropped(one: CollectorStatus) -> int:
    return 0 if one.tally is None else sum(one.tally.dropped.values()) + one.tally.lost


def _number(number: float, digits: int | None = None) -> float | None:
    if not math.isfinite(number):
        return None
    return number if digits is None else round(number, digits)


def _date(time_us: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(time_us / quality.US_PER_S, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def counts(counted: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """What was counted by two names, e.g. by quantity and by what became of its readings, as tables in tables."""
    by_quantity: dict[str, dict[str, int]] = {}
    for (quantity, what), count in sorted(dict(counted).items()):
        by_quantity.setdefault(quantity, {})[what] = count
    return by_quantity


def storage(spool: Spool, *, reserve_held: bool) -> Storage:
    """How the log of readings stands."""
    lost = spool.unsent
    return Storage(
        spool.size_bytes,
        spool.keep_bytes,
        spool.number,
        spool.dropped_segments,
        spool.dropped_readings,
        (0 if lost is None else lost.readings) + spool.unkept_readings,
        tuple(spool.damage),
        reserve_held,
    )


def write_status(folder: Path, status: EdgeStatus) -> None:
    """Put the status in its place as a whole; raises OSError."""
    write_whole(folder / NAME, msgspec.json.encode(status))


def read_status(folder: Path) -> EdgeStatus:
    """What the node of a data folder last wrote."""
    path = folder / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=EdgeStatus)
    except FileNotFoundError as fault:
        raise NotFound(f"{path}: is not there; has the node ever run? `tocsin edge run` starts it") from fault
    except (OSError, msgspec.MsgspecError) as fault:
        raise InputError(f"{path}: {fault}; wanted what a node of this version writes") from fault
