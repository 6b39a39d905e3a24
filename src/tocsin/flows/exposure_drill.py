"""A drill with many phones: they meet, some people test positive and publish, and every phone's colour is held against what truly happened.

The truth is kept beside the phones, from the plan of meetings alone: who was how long how near whom, and who fell ill when. A colour that differs from it
is a fault of the phones, of the files or of the platform. What the platform holds afterwards can be looked at: that is what an authority has.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from tocsin.edge.phone import TX_POWER_DBM, Phone
from tocsin.flows.exposure import PERSON, VENUE, Exposure, read_files
from tocsin.platform.ledger import open_ledger
from tocsin.security.actor import Actor
from tocsin.security.exposure.identifiers import INTERVAL_S, derive
from tocsin.security.exposure.risk import Risk
from tocsin.security.exposure.status import Contact, status_of
from tocsin.security.exposure.upload import Upload, fake_upload, read_upload, real_upload
from tocsin.security.exposure.venues import VenueCode, new_venue_code, notices
from tocsin.security.gate import RoleGate
from tocsin.vocabulary.errors import InputError

PURPOSE = "drill"
ATTENUATIONS_DB = (50, 60, 65, 72, 85)
FIRST_HOUR, HOURS = 8, 12
PER_VENUE = 50
FIRST_DAY = datetime(2026, 5, 1, tzinfo=UTC)
OFFICIAL = Actor("drill", frozenset({"health"}))


class DrillClock:
    """A clock that the drill turns by hand."""

    def __init__(self, time: datetime) -> None:
        self.time = time

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Drilled(msgspec.Struct, frozen=True):
    """What came of a drill. `differ` are the phones whose colour is not that of what truly happened to them; it has to be 0."""

    phones: int
    days: int
    meetings: int
    visits: int
    positive: int
    published_keys: int
    file_bytes: int
    sightings_matched: int
    visits_matched: int
    colours: dict[str, int]
    differ: int


class _Meeting(msgspec.Struct, frozen=True):
    one: int
    other: int
    begins: datetime
    intervals: int
    attenuation_db: int


class _Stay(msgspec.Struct, frozen=True):
    phone: int
    venue: int
    entered: datetime
    left: datetime


def drill(
    exposure: Exposure,
    official: Actor,
    clock: DrillClock,
    *,
    phones: int,
    days: int,
    positive: int,
    seed: int,
    meetings_per_day: float = 3.0,
    on_progress: Callable[[str, float, float], None] | None = None,
) -> Drilled:
    """Run the drill; `exposure` must live by `clock`. The same seed gives the same meetings; the keys are always fresh."""
    if not (2 <= phones <= 100_000 and 1 <= days <= 10 and 0 <= positive < phones and 0 < meetings_per_day <= 50):
        raise InputError(
            f"drill: {phones} phones, {days} days, {positive} positive, {meetings_per_day} meetings; "
            "wanted 2 to 100,000, 1 to 10 days, fewer positive than phones, up to 50 meetings a day"
        )
    rng = np.random.default_rng(seed)
    begins = clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    meetings, stays = _plan(rng, phones, days, meetings_per_day, begins)
    venues = [new_venue_code(f"Drill venue {n}") for n in range(max(1, phones // PER_VENUE))]
    people = [Phone(None, clock=clock) for _ in range(phones)]
    _live(people, venues, meetings, stays, clock, on_progress)
    clock.time = begins + timedelta(days=days)
    onset = {
        int(n): (clock.now() - timedelta(days=int(rng.integers(0, 4)))).date()
        for n in rng.choice(phones, positive, replace=False)
    }
    _upload(exposure, official, people, venues, stays, onset, rng)
    clock.time += timedelta(hours=4)  # the last keys are published only when a replay of them is too late
    published = exposure.publish(official)
    keys, notes, digest = read_files(published, exposure.public_pem)
    derived = list(derive([k.day for k in keys.keys]))  # once for all phones; a real phone does it for itself
    truth = _truth(meetings, stays, onset, exposure.risk)
    colours, differ, matched, visited = Counter[str](), 0, 0, 0
    for number, phone in enumerate(people):
        taken = phone.take(keys, notes.notices, digest=digest, risk=exposure.risk, derived=derived)
        matched, visited = matched + taken.matched, visited + taken.visits
        told = phone.status(purpose=PURPOSE, risk=exposure.risk)
        expected = status_of(
            truth[number], purpose=PURPOSE, now=clock.now(), newest_export=published.ends, risk=exposure.risk
        ).colour
        colours[told.colour] += 1
        differ += told.colour is not expected
        if on_progress is not None:
            on_progress("matching", number + 1, phones)
        phone.close()
    return Drilled(
        phones,
        days,
        len(meetings),
        len(stays),
        positive,
        len(keys.keys),
        len(published.keys),
        matched,
        visited,
        dict(sorted(colours.items())),
        differ,
    )


def _plan(
    rng: np.random.Generator, phones: int, days: int, per_day: float, begins: datetime
) -> tuple[list[_Meeting], list[_Stay]]:
    meetings, stays, met_already = list[_Meeting](), list[_Stay](), set[tuple[int, int, datetime]]()
    for day in range(days):
        morning = begins + timedelta(days=day, hours=FIRST_HOUR)
        for _ in range(rng.poisson(per_day * phones / 2)):
            one, other = rng.choice(phones, 2, replace=False)
            at = morning + timedelta(seconds=INTERVAL_S * int(rng.integers(0, HOURS * 6 - 3)))
            met = _Meeting(int(one), int(other), at, int(rng.integers(1, 4)), int(rng.choice(ATTENUATIONS_DB)))
            parts = {(min(one, other), max(one, other), at + timedelta(seconds=INTERVAL_S * n)) for n in range(met.intervals)}
            if not parts & met_already:  # two cannot be at two distances at once
                met_already |= parts
                meetings.append(met)
        for phone in np.flatnonzero(rng.random(phones) < 0.2):
            entered = morning + timedelta(minutes=int(rng.integers(0, 60 * (HOURS - 3))))
            left = entered + timedelta(minutes=int(rng.integers(10, 130)))
            stays.append(_Stay(int(phone), int(rng.integers(0, max(1, phones // PER_VENUE))), entered, left))
    return meetings, stays


def _live(
    people: list[Phone],
    venues: list[VenueCode],
    meetings: list[_Meeting],
    stays: list[_Stay],
    clock: DrillClock,
    on_progress: Callable[[str, float, float], None] | None,
) -> None:
    """Let the days pass: who meets hears each other, each interval anew; who leaves a venue keeps the visit."""
    due: list[tuple[datetime, int, _Meeting | _Stay]] = []
    for meeting in meetings:
        for part in range(meeting.intervals):
            due.append((meeting.begins + timedelta(seconds=INTERVAL_S * part), len(due), meeting))
    due += [(stay.left, len(due) + n, stay) for n, stay in enumerate(stays)]
    for done, (at, _, event) in enumerate(sorted(due, key=lambda row: row[:2]), 1):
        clock.time = at
        if isinstance(event, _Stay):
            people[event.phone].visit(venues[event.venue].text(), entered=event.entered, left=event.left)
        else:
            one, other = people[event.one], people[event.other]
            rssi_dbm, said, heard = TX_POWER_DBM - event.attenuation_db, one.say(), other.say()
            one.hear(*heard, rssi_dbm=rssi_dbm, seconds=INTERVAL_S)
            other.hear(*said, rssi_dbm=rssi_dbm, seconds=INTERVAL_S)
        if on_progress is not None:
            on_progress("days pass", done, len(due))


def _upload(
    exposure: Exposure,
    official: Actor,
    people: list[Phone],
    venues: list[VenueCode],
    stays: list[_Stay],
    onset: dict[int, date],
    rng: np.random.Generator,
) -> None:
    """Who tested positive hands over keys, their venues hand over hours, and everybody else sends fakes of the same length."""

    def codes(count: int, purpose: str) -> list[str]:
        found = list[str]()
        while len(found) < count:
            found += exposure.issue(official, count=min(100, count - len(found)), purpose=purpose)
        return found

    visited = [stay for stay in stays if stay.phone in onset]
    sent = [real_upload(code, people[n].day_keys(), onset[n]) for n, code in zip(onset, codes(len(onset), PERSON), strict=True)]
    for stay, code in zip(visited, codes(len(visited), VENUE), strict=True):
        sent.append(Upload(code, notices=tuple(notices(venues[stay.venue], stay.entered, stay.left))))
    sent += [fake_upload() for _ in range(len(people) // 10)]
    for place in rng.permutation(len(sent)):
        exposure.take(read_upload(sent[place].packed()))


def _truth(meetings: list[_Meeting], stays: list[_Stay], onset: dict[int, date], risk: Risk) -> defaultdict[int, list[Contact]]:
    """What truly happened to each, from the plan alone: no key, no identifier, no file is looked at."""
    near = defaultdict[tuple[int, date], float](float)
    for m in meetings:
        for who, other in ((m.one, m.other), (m.other, m.one)):
            if other in onset:
                days = (m.begins.date() - onset[other]).days
                near[who, m.begins.date()] += m.intervals * risk.minutes(
                    seconds=INTERVAL_S, attenuation_db=m.attenuation_db, days_since_onset=days
                )
    there = defaultdict[tuple[int, date], float](float)
    for ill in (s for s in stays if s.phone in onset):
        for s in stays:
            if s.venue == ill.venue and s.phone not in onset:  # who published has forgotten the visits
                overlap = (min(s.left, ill.left) - max(s.entered, ill.entered)).total_seconds() / 60
                there[s.phone, s.entered.date()] += max(0.0, overlap)
    found = defaultdict[int, list[Contact]](list)
    for who, day in {*near, *there}:
        found[who].append(Contact(day, near[who, day], there[who, day]))
    return found


def drill_in(
    folder: Path,
    *,
    phones: int,
    days: int,
    positive: int,
    seed: int,
    on_progress: Callable[[str, float, float], None] | None = None,
) -> Drilled:
    """A drill with a platform of its own in a new folder, which afterwards holds what an authority would have."""
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; wanted a new folder: a drill's keys do not belong among real ones")
    clock = DrillClock(FIRST_DAY)
    gate = RoleGate()
    ledger = open_ledger(folder, clock=clock, gate=gate, purpose="exercise")
    try:
        exposure = Exposure(ledger.store, clock=clock, gate=gate, ledger=ledger, region="drill")
        return drill(exposure, OFFICIAL, clock, phones=phones, days=days, positive=positive, seed=seed, on_progress=on_progress)
    finally:
        ledger.close()
