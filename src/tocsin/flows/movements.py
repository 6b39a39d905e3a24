"""How many went from where to where on a day: contributions without names in, counts that tell nothing of any one person out.

Each phone hands in at most one line a day: one journey of its choice by lot, (day, from, to), without a name, through a gateway that keeps no addresses.
The gateway adds them up here and throws them away. So one person changes one count by one, and a day is told once (`Exposure.spend_flows`): what a
person's whole history can cost is epsilon times the number of days told (Dwork and Roth 2014, theorem 3.14, sequential composition).
"""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Mapping, Sequence
from datetime import date

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.flows.exposure import Exposure
from tocsin.science.anonymity import SILENT, Below, Rule, tell, told_from
from tocsin.security.actor import Actor
from tocsin.vocabulary.errors import InputError

ROWS_MOST = 5_000_000
ZONES_MOST = 500
COLUMNS = ["day", "from", "to"]


class Movement(msgspec.Struct, frozen=True):
    """A count of journeys of one day; None where too few went to be told."""

    source: str
    target: str
    persons: int | None


class Movements(msgspec.Struct, frozen=True):
    """A day's movements between all zones, and by which rule they are told. No total beside them: the told cells are all that there is."""

    day: date
    epsilon: str
    k: int
    told_from: int
    slip: float
    cells: tuple[Movement, ...]
    silent: int


def read_contributions(text: str, zones: Sequence[str], *, where: str) -> dict[date, NDArray[np.int64]]:
    """Counts (from, to) of each day; raises InputError with the line that is none. Zones come from elsewhere: which there are must not depend on who went."""
    if not 2 <= len(zones) <= ZONES_MOST or len(set(zones)) != len(zones) or not all(z.strip() for z in zones):
        raise InputError(
            f"zones: {len(zones)}, {len(set(zones))} different; wanted 2 to {ZONES_MOST}, each with a name of its own"
        )
    number = {zone: n for n, zone in enumerate(zones)}
    rows = csv.reader(io.StringIO(text))
    if (header := next(rows, [])) != COLUMNS:
        raise InputError(f"{where}: line 1 is {','.join(header)[:80]!r}; wanted {','.join(COLUMNS)}")
    counts: dict[date, NDArray[np.int64]] = {}
    for line, row in enumerate(rows, 2):
        if line > ROWS_MOST:
            raise InputError(f"{where}: over {ROWS_MOST:,} lines; split it by days")
        try:
            day_text, source, target = row
            day, cell = date.fromisoformat(day_text), (number[source], number[target])
        except (ValueError, KeyError) as fault:
            raise InputError(
                f"{where}: line {line}: {','.join(row)[:80]!r}; wanted a day and two of the {len(zones)} zones"
            ) from fault
        counts.setdefault(day, np.zeros((len(zones), len(zones)), np.int64))[cell] += 1
    return counts


def tell_movements(
    day: date, counts: NDArray[np.int64], zones: Sequence[str], rule: Rule, below: Below, *, epsilon: str
) -> Movements:
    """A day's movements as they may be told; `below` has to be the system's own randomness."""
    told = tell(counts, rule, below)
    cells = tuple(
        Movement(source, target, None if told[i, j] == SILENT else int(told[i, j]))
        for i, source in enumerate(zones)
        for j, target in enumerate(zones)
    )
    return Movements(day, epsilon, rule.k, told_from(rule), rule.slip, cells, int((told == SILENT).sum()))


def release_movements(
    exposure: Exposure, actor: Actor, counts: Mapping[date, NDArray[np.int64]], zones: Sequence[str], rule: Rule, *, epsilon: str
) -> list[Movements]:
    """Tell each day, once: the privacy is noted as spent before anything is told, so a crash in between costs the day and never the person."""
    told = []
    for day in sorted(counts):
        words = f"movements of {day} were told between {len(zones)} zones: epsilon {epsilon}, from {told_from(rule)} persons ({actor.name})"
        exposure.spend_flows(actor, day, epsilon=epsilon, words=words)
        told.append(tell_movements(day, counts[day], zones, rule, secrets.randbelow, epsilon=epsilon))
    return told
