"""Rules on what an agency has said: an earthquake that is strong and near, a fire that a satellite sees, an official alert that is grave and here.

A rule of this kind looks at one bulletin and at the time, and gives a level for each of its places. Who watches (`edge.bulletin_watch`) takes the
worst of all bulletins that hold, so that revisions and cancellations change or end a warning. No number here is a default: how strong and
how near is for those to say who answer for the place.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import numpy as np

from tocsin.science.quality import distance_m
from tocsin.science.shapes import Ring, beside, do_touch, is_inside, ring_distance_m
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.level import Level
from tocsin.vocabulary.records import Bulletin, BulletinPart

OVER = ("cancelled", "replaced")
URGENCIES = ("immediate", "expected", "future", "past", "unknown")
CERTAINTIES = ("observed", "likely", "possible", "unlikely", "unknown")
SEVERITIES = ("extreme", "severe", "moderate", "minor", "unknown")
ALL_CLEAR = "allclear"
FIRE_DETECTION = "fire detection"
CONFIDENCES = ("low", "nominal", "high")


class Finding(msgspec.Struct, frozen=True):
    """What a rule says of one place because of one bulletin. BLIND: the agency does not say yet what would decide."""

    level: Level = Level.NONE
    reason: str = ""
    value: float | None = None


class BulletinRule(msgspec.Struct, frozen=True):
    """(bulletin, now) -> a finding for each of `places`. Pure; the same bulletin may be judged again as time passes."""

    name: str
    places: tuple[str, ...]
    judge: Callable[[Bulletin, datetime], tuple[Finding, ...]]
    meaning: str
    source: str
    verified: bool
    unit: str = ""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A point and what is within `radius_km` of it, or a `box` (west, south, east, north), degrees."""

    lon: float
    lat: float
    radius_km: float = 0.0
    box: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        numbers = (self.lon, self.lat, self.radius_km, *(self.box or ()))
        if not (all(map(math.isfinite, numbers)) and abs(self.lon) <= 180.0 and abs(self.lat) <= 90.0 and self.radius_km >= 0.0):
            raise InputError(f"place [{self.lon}, {self.lat}, {self.radius_km}]; wanted longitude, latitude, radius in km >= 0")

    @classmethod
    def of_box(cls, west: float, south: float, east: float, north: float) -> Place:
        """All of a box, e.g. that of a twin."""
        if not (west < east and south < north):
            raise InputError(f"place: box {[west, south, east, north]}; wanted west < east and south < north")
        return cls(lon=(west + east) / 2.0, lat=(south + north) / 2.0, box=(west, south, east, north))

    def distance_km(self, lon: float, lat: float) -> float:
        """From a point to the edge of the place along the great circle; 0 inside."""
        if self.box is not None:
            west, south, east, north = self.box
            lon -= 360.0 * round((lon - self.lon) / 360.0)
            x, y = min(max(lon, west), east), min(max(lat, south), north)
        else:
            x, y = self.lon, self.lat
        apart_km = float(distance_m(np.array(lon), np.array(lat), np.array(x), np.array(y))) / 1000.0
        return max(0.0, apart_km - self.radius_km)

    def touches(self, ring: Ring) -> bool:
        """True if a ring, or what is inside it, has a point in common with the place."""
        ring = beside(ring, self.lon)
        if self.box is not None:
            west, south, east, north = self.box
            return do_touch(ring, np.array([[west, south], [east, south], [east, north], [west, north], [west, south]]))
        if self.radius_km > 0.0:
            return ring_distance_m(self.lon, self.lat, ring) <= 1000.0 * self.radius_km
        return bool(is_inside(np.array([self.lon]), np.array([self.lat]), ring)[0])


class Strength(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A level from a magnitude on, where the epicentre is within so many km of the place."""

    level: str
    magnitude: float
    within_km: float


def earthquake(
    name: str,
    places: Mapping[str, Place],
    steps: Sequence[Strength],
    *,
    lasts_h: float,
    source: str,
    verified: bool = False,
    events: Sequence[str] = ("earthquake",),
    feeds: Sequence[str] = (),
    depth_km_most: float = math.inf,
    meaning: str = "",
) -> BulletinRule:
    """An earthquake of a catalogue is strong and near; the highest level of all `steps` that hold, for `lasts_h` from its beginning.

    The distance is that of the epicentre from the edge of the place. An event whose magnitude nobody has told yet, within reach of a
    step, makes the place BLIND. `feeds` are the collectors that are listened to, all where none is named.
    """
    words = _levels_of(name, places, [step.level for step in steps])
    for step in steps:
        if not (math.isfinite(step.magnitude) and step.within_km > 0):
            raise InputError(
                f"rule {name}: steps: magnitude {step.magnitude}, within_km {step.within_km}; wanted numbers, and > 0 km"
            )
    _check(name, lasts_h, source)
    if not depth_km_most > 0:
        raise InputError(f"rule {name}: depth_km_most = {depth_km_most}; wanted km > 0")
    kinds = {event.lower() for event in events}

    def judge(bulletin: Bulletin, now: datetime) -> tuple[Finding, ...]:
        began = bulletin.begins or bulletin.time
        if (
            bulletin.state in OVER
            or bulletin.event.lower() not in kinds
            or (feeds and bulletin.source not in feeds)
            or bulletin.longitude is None
            or bulletin.latitude is None
            or bulletin.figures.get("depth_km", 0.0) > depth_km_most
            or now >= began + timedelta(hours=lasts_h)
        ):
            return (Finding(),) * len(places)
        magnitude = bulletin.figures.get("magnitude")
        found = []
        for place, at in places.items():
            far_km = at.distance_km(bulletin.longitude, bulletin.latitude)
            near = [step for step in steps if far_km <= step.within_km]
            held = [step for step in near if magnitude is not None and magnitude >= step.magnitude]
            where = f"{far_km:.0f} km from {place}, {began:%Y-%m-%d %H:%M}Z ({bulletin.headline})"
            if held:
                worst = max(held, key=lambda step: words[step.level])
                limit = f"the {worst.level} step is M {worst.magnitude:g} within {worst.within_km:g} km"
                found.append(Finding(words[worst.level], f"earthquake M {magnitude:g} {where}; {limit}", magnitude))
            elif near and magnitude is None:
                found.append(Finding(Level.BLIND, f"blind: an earthquake {where} whose magnitude nobody has told yet"))
            else:
                found.append(Finding())
        return tuple(found)

    told = meaning or f"an earthquake of M {min(step.magnitude for step in steps):g} or more is near"
    return BulletinRule(name, tuple(places), judge, told, source, verified)


class Sighting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A level from a confidence on, where the detection is within so many km of the place."""

    level: str
    confidence: str
    within_km: float


def fire_detection(
    name: str,
    places: Mapping[str, Place],
    steps: Sequence[Sighting],
    *,
    lasts_h: float,
    source: str,
    verified: bool = False,
    feeds: Sequence[str] = (),
    meaning: str = "",
) -> BulletinRule:
    """A satellite sees a fire near a place, surely enough; the highest level of all `steps` that hold, for `lasts_h` from when it was seen.

    The distance is that of the pixel's middle from the edge of the place. `feeds` are the collectors that are listened to, all where none is named.
    """
    words = _levels_of(name, places, [step.level for step in steps])
    for step in steps:
        if step.confidence not in CONFIDENCES or not step.within_km > 0:
            raise InputError(
                f"rule {name}: steps: confidence {step.confidence!r}, within_km {step.within_km}; wanted {', '.join(CONFIDENCES)}, and > 0 km"
            )
    _check(name, lasts_h, source)

    def judge(bulletin: Bulletin, now: datetime) -> tuple[Finding, ...]:
        seen = bulletin.begins or bulletin.time
        if (
            bulletin.state in OVER
            or bulletin.event != FIRE_DETECTION
            or (feeds and bulletin.source not in feeds)
            or bulletin.longitude is None
            or bulletin.latitude is None
            or now >= seen + timedelta(hours=lasts_h)
        ):
            return (Finding(),) * len(places)
        sure = bulletin.figures.get("confidence_class", 0.0)
        found = []
        for place, at in places.items():
            far_km = at.distance_km(bulletin.longitude, bulletin.latitude)
            held = [step for step in steps if far_km <= step.within_km and sure >= CONFIDENCES.index(step.confidence)]
            if not held:
                found.append(Finding())
                continue
            worst = max(held, key=lambda step: words[step.level])
            limit = f"the {worst.level} step is {worst.confidence} confidence within {worst.within_km:g} km"
            where = f"{far_km:.0f} km from {place}, {seen:%Y-%m-%d %H:%M}Z ({bulletin.headline})"
            found.append(Finding(words[worst.level], f"a fire {where}; {limit}", bulletin.figures.get("frp_mw")))
        return tuple(found)

    told = meaning or "a satellite sees a fire near, or a hot roof or a glint of the sun"
    return BulletinRule(name, tuple(places), judge, told, source, verified, "MW")


def official_alert(
    name: str,
    places: Mapping[str, Place],
    levels: Mapping[str, str],
    *,
    lasts_h: float,
    source: str,
    verified: bool = False,
    events: Sequence[str] = ("*",),
    urgencies: Sequence[str] = ("immediate", "expected", "future", "unknown"),
    certainties: Sequence[str] = ("observed", "likely", "possible", "unknown"),
    codes: Mapping[str, Sequence[str]] | None = None,
    words: Mapping[str, Sequence[str]] | None = None,
    feeds: Sequence[str] = (),
    meaning: str = "",
) -> BulletinRule:
    """An official alert holds at a place: `levels` says which of our levels a severity of CAP is.

    It is at a place if one of its shapes touches it, one of its codes is among the place's `codes` (NAME=VALUE), or the words of its
    area match one of the place's `words`; both are patterns, as in `UGC=ORZ0*` and `*valley*`. It holds until it ends, or for `lasts_h` where it
    does not say when. An alert that calls all clear is none. A place may have codes or words and no shape.
    """
    codes, words = codes or {}, words or {}
    named = tuple(dict.fromkeys((*places, *codes, *words)))
    known = {level.word: level for level in Level if level > Level.NONE}
    if not named:
        raise InputError(f"rule {name}: places, codes and words are empty; wanted one place or more")
    for what, given, wanted in (
        ("levels", levels, SEVERITIES),
        ("urgencies", urgencies, URGENCIES),
        ("certainties", certainties, CERTAINTIES),
    ):
        odd = next((word for word in given if word not in wanted), None)
        if odd is not None or not given:
            raise InputError(f"rule {name}: {what} = {list(given)}; wanted some of {', '.join(wanted)}")
    odd = next((word for word in levels.values() if word not in known), None)
    if odd is not None:
        raise InputError(f"rule {name}: levels = {odd!r}; wanted {', '.join(known)}")
    if not events:
        raise InputError(f"rule {name}: events = []; wanted patterns, or '*' for all")
    _check(name, lasts_h, source)
    of_severity = {severity: known[word] for severity, word in levels.items()}

    def is_at(part: BulletinPart, place: str) -> bool:
        at = places.get(place)
        if at is not None and (
            any(at.touches(np.array(ring)) for ring in part.rings)
            or any(at.distance_km(lon, lat) <= radius_km for lon, lat, radius_km in part.circles)
        ):
            return True
        return any(_matches(code, codes.get(place, ())) for code in part.codes) or _matches(part.area, words.get(place, ()))

    def level_of(part: BulletinPart, bulletin: Bulletin, now: datetime) -> Level:
        ends = part.ends or bulletin.ends or bulletin.time + timedelta(hours=lasts_h)
        holds = (
            now < ends
            and ALL_CLEAR not in part.responses
            and (part.urgency or "unknown") in urgencies
            and (part.certainty or "unknown") in certainties
            and _matches(part.event, events)
        )
        return of_severity.get(part.severity or "unknown", Level.NONE) if holds else Level.NONE

    def judge(bulletin: Bulletin, now: datetime) -> tuple[Finding, ...]:
        if bulletin.state in OVER or (feeds and bulletin.source not in feeds) or isinstance(bulletin.parts, msgspec.UnsetType):
            return (Finding(),) * len(named)
        graded = [(part, level_of(part, bulletin, now)) for part in bulletin.parts]
        grave = sorted((pair for pair in graded if pair[1] > Level.NONE), key=lambda pair: -pair[1])
        found = []
        for place in named:
            here = next(((part, level) for part, level in grave if is_at(part, place)), None)
            if here is None:
                found.append(Finding())
                continue
            part, level = here
            how = ", ".join(word for word in (part.severity, part.urgency, part.certainty) if word)
            until = f" until {part.ends:%Y-%m-%d %H:%M}Z" if part.ends else ""
            reason = f"{bulletin.sender}: {bulletin.headline} ({part.event}: {how}){until}; area: {part.area[:200]}"
            found.append(Finding(level, reason))
        return tuple(found)

    return BulletinRule(name, named, judge, meaning or "an official alert holds here", source, verified)


def _levels_of(name: str, places: Mapping[str, Place], levels: Sequence[str]) -> dict[str, Level]:
    """The levels by their words; raises InputError where there is no place, no step, or a step of no level."""
    words = {level.word: level for level in Level if level > Level.NONE}
    if not places or not levels:
        raise InputError(f"rule {name}: places {list(places)} and {len(levels)} steps; wanted one or more of both")
    for level in levels:
        if level not in words:
            raise InputError(f"rule {name}: steps: level {level!r}; wanted {', '.join(words)}")
    return words


def _check(name: str, lasts_h: float, source: str) -> None:
    if not (math.isfinite(lasts_h) and lasts_h > 0):
        raise InputError(f"rule {name}: lasts_h = {lasts_h}; wanted hours > 0")
    if not source:
        raise InputError(f"rule {name}: source is empty; wanted who says so")


def _matches(text: str, patterns: Sequence[str]) -> bool:
    """Whether a text matches one of some patterns, small and capital letters alike."""
    return any(fnmatch.fnmatchcase(text.casefold(), pattern.casefold()) for pattern in patterns)
