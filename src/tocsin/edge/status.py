"""How a node stands, as one value that it writes to its data folder again and again: sources, storage, uplink, actions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from tocsin.edge.actions import ActionStatus
from tocsin.edge.check import Test, code_of
from tocsin.edge.latest import Latest, microseconds
from tocsin.edge.ring import NEVER
from tocsin.edge.spool import Spool, write_whole
from tocsin.edge.uplink import UplinkStatus
from tocsin.edge.watch import Watch
from tocsin.pack import Rule
from tocsin.science import quality
from tocsin.vocabulary import InputError, Level, NotFound, Quantity

NAME = "status.json"
LOOKED_AT = 12
OLD_AFTER_TICKS = 3.0


class Source(msgspec.Struct, frozen=True):
    """One stream: its last reading, how old, how late it came, how often they come, how many are good, and what is wrong."""

    quantity: str
    site: str
    unit: str
    value: float | None
    time: datetime | None
    age_s: float | None
    lag_s: float | None
    per_hour: float | None
    good_share: float | None
    faults: tuple[str, ...]
    blind: tuple[str, ...]
    level: str


class Storage(msgspec.Struct, frozen=True):
    """The readings on disk."""

    size_bytes: int
    keep_bytes: int
    blocks: int
    dropped_segments: int
    dropped_readings: int
    lost_readings: int
    damage: tuple[str, ...]


class Copy(msgspec.Struct, frozen=True):
    """The copy in PostgreSQL: how many readings wait for it, why, and how many blocks were dropped before they were copied."""

    waiting_readings: int
    trouble: str
    lost_blocks: int


class EdgeStatus(msgspec.Struct, frozen=True):
    """A node at one moment. `counted` is by quantity: stored, known already, late, of the future."""

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
    postgres: Copy | None = None

    def is_old(self, now: datetime) -> bool:
        """True if the node should have written anew since: it does not run, or hangs."""
        return (now - self.time).total_seconds() > OLD_AFTER_TICKS * self.tick_s


def sources(latest: Latest, watch: Watch, rules: Mapping[str, tuple[Rule, ...]], now: datetime) -> tuple[Source, ...]:
    """All streams of a node, by quantity and site."""
    faults: dict[tuple[str, str], list[str]] = {}
    for site, name, check in sorted(watch.faults()):
        faults.setdefault((name, site), []).append(check)
    found: list[Source] = []
    for quantity in sorted(latest.quantities(), key=lambda q: q.name):
        rule_names = [rule.name for several in rules.values() for rule in several if rule.reads.name == quantity.name]
        found += _streams(latest, watch, quantity, rule_names, faults, microseconds(now))
    return tuple(found)


def _streams(
    latest: Latest, watch: Watch, quantity: Quantity, rules: list[str], faults: Mapping[tuple[str, str], list[str]], now_us: int
) -> list[Source]:
    streams = latest.streams(quantity)
    time_us, value = streams.time_us[:, -LOOKED_AT:], streams.value[:, -LOOKED_AT:]
    there = time_us != NEVER
    worst = np.maximum.reduce([code_of(streams.packed[:, -LOOKED_AT:], test) for test in Test])
    good = (there & np.isfinite(value) & (worst < quality.SUSPECT)).sum(axis=1)
    count = there.sum(axis=1)
    found = []
    for at in np.argsort(streams.sites).tolist():
        site, has = streams.sites[at], bool(count[at])
        last_us, arrived_us = int(time_us[at, -1]), int(streams.arrived_us[at])
        span_s = (last_us - int(time_us[at, -count[at]])) / quality.US_PER_S if count[at] > 1 else 0.0
        levels = {rule: watch.level(rule, site) for rule in rules}
        number = float(value[at, -1])
        found.append(
            Source(
                quantity=quantity.name,
                site=site,
                unit=quantity.unit,
                value=number if has and np.isfinite(number) else None,
                time=_date(last_us) if has else None,
                age_s=(now_us - last_us) / quality.US_PER_S if has else None,
                lag_s=(arrived_us - last_us) / quality.US_PER_S if has and arrived_us != NEVER else None,
                per_hour=round(3600.0 * (int(count[at]) - 1) / span_s, 3) if span_s > 0 else None,
                good_share=round(int(good[at]) / int(count[at]), 3) if has else None,
                faults=tuple(faults.get((quantity.name, site), ())),
                blind=tuple(rule for rule, level in levels.items() if level == Level.BLIND),
                level=max(levels.values(), default=Level.NONE).word,
            )
        )
    return found


def _date(time_us: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(time_us / quality.US_PER_S, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def counts(counted: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """What a node counted, by quantity and then by what became of the readings."""
    by_quantity: dict[str, dict[str, int]] = {}
    for (quantity, what), count in sorted(dict(counted).items()):
        by_quantity.setdefault(quantity, {})[what] = count
    return by_quantity


def storage(spool: Spool) -> Storage:
    """How the log of readings stands."""
    lost = spool.unsent
    return Storage(
        spool.size_bytes,
        spool.keep_bytes,
        spool.number,
        spool.dropped_segments,
        spool.dropped_readings,
        0 if lost is None else lost.readings,
        tuple(spool.damage),
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
