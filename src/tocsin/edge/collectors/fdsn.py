"""Earthquakes from any FDSN event service, as text or as QuakeML: each event a Bulletin, each change of it another.

Sources: FDSN Web Service Specifications, version 1.2 (2019), section fdsnws-event; QuakeML 1.2 Basic Event Description.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from tocsin.edge.collect import Batch
from tocsin.edge.collectors.bulletins import CANCELLED, ISSUED, SUBJECT_CHARACTERS_MOST, Told
from tocsin.edge.collectors.pick import short, time_us
from tocsin.edge.collectors.poll import PollKind
from tocsin.edge.collectors.tally import Drop
from tocsin.host import Host
from tocsin.vocabulary import Bulletin

EVENTS_MOST = 20_000
LINE_CHARACTERS_MOST = 2_000
# The columns of the text format, in the order of the specification; EventType is there since version 1.2.
COLUMNS = (
    *("id", "time", "latitude", "longitude", "depth_km", "author", "catalog", "contributor", "contributor_id"),
    *("magnitude_type", "magnitude", "magnitude_author", "place", "type"),
)
NEEDED = 13
BED = "{http://quakeml.org/xmlns/bed/1.2}"
_UTC = ZoneInfo("UTC")
NOT_THERE = frozenset({"not existing", "not reported"})


class Fdsn(PollKind, frozen=True, kw_only=True):
    """Events of the last `lookback_h` of at least `min_magnitude`. `url` ends at the service's `query`.

    The text format tells neither when an event was revised nor that it was deleted; QuakeML (`xml`) tells the first, and its type
    "not existing". Prefer it where the service is quick. `area` is (west, south, east, north) in degrees.
    """

    format: Literal["text", "xml"] = "text"
    min_magnitude: float = 2.5
    lookback_h: float = 48.0
    area: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if urlsplit(self.url).query or not 0 < self.lookback_h <= 8784 or not math.isfinite(self.min_magnitude):
            raise self.fault("wanted `url` without ?..., lookback_h in 0..8784 and min_magnitude as a number")
        if self.area is not None:
            west, south, east, north = self.area
            if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
                raise self.fault(f"area = {list(self.area)}; wanted west < east in -180..180 and south < north in -90..90")

    @cached_property
    def told(self) -> Told:
        """What was said so far."""
        return Told(self.name)

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """What is new in each answer."""
        asking = self.asking(host)
        try:
            await asyncio.to_thread(self.told.learn, host)  # a ledger of years takes seconds
            while True:
                try:
                    answer = await asking.get(self._asked(host.clock.now()), is_fresh=True)
                    read = self._lines if self.format == "text" else self._events
                    news = self.told.news(list(read(answer.body or b"")))
                    self.tally.taken += len(news)
                    yield news
                    self.told.keep(news)
                except Drop as drop:
                    asking.refuse(self.url, drop)
                else:
                    asking.accept()
                await asking.wait()
        finally:
            await asking.close()

    def _asked(self, now: datetime) -> str:
        since = now - timedelta(hours=self.lookback_h)
        query = {
            "starttime": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
            "minmagnitude": f"{self.min_magnitude:g}",
            "format": self.format,
            "orderby": "time",
            "limit": str(EVENTS_MOST),
        }
        if self.area is not None:
            edges = ("minlongitude", "minlatitude", "maxlongitude", "maxlatitude")
            query |= {name: f"{value:g}" for name, value in zip(edges, self.area, strict=True)}
        return f"{self.url}?{urlencode(query)}"

    def _lines(self, body: bytes) -> Iterator[Bulletin]:
        """The events of the text format."""
        for number, raw in enumerate(body.split(b"\n")[: EVENTS_MOST + 1], 1):
            if not raw.strip() or raw.startswith(b"#"):
                continue
            try:
                if len(raw) > LINE_CHARACTERS_MOST:
                    raise Drop("too large", f"line {number}: {len(raw)} bytes")
                try:
                    line = raw.decode("utf-8").strip("\r")
                except UnicodeDecodeError as fault:
                    raise Drop("not UTF-8", f"line {number}") from fault
                cells = [cell.strip() for cell in line.split("|")]
                if not NEEDED <= len(cells) <= len(COLUMNS):
                    raise Drop("no event", f"line {number}: {len(cells)} columns; wanted {NEEDED} or {len(COLUMNS)}")
                told = dict(zip(COLUMNS, cells, strict=False))
                began = _moment(told["time"])
                yield self._bulletin(told, revised=began, revision=hashlib.sha256(line.encode()).hexdigest()[:16])
            except Drop as drop:
                self.tally.drop(drop)

    def _events(self, body: bytes) -> Iterator[Bulletin]:
        """The events of a QuakeML document."""
        if not body.strip():
            return
        root = _tree(body)
        for number, event in enumerate(root.iter(f"{BED}event"), 1):
            if number > EVENTS_MOST:
                self.tally.drop(Drop("too large", f"more than {EVENTS_MOST} events"))
                return
            try:
                yield self._event(event)
            except Drop as drop:
                self.tally.drop(drop)

    def _event(self, event: ElementTree.Element) -> Bulletin:
        origin = _preferred(event, "origin")
        if origin is None:
            raise Drop("no event", f"{short(event.get('publicID'))}: no origin")
        magnitude = _preferred(event, "magnitude")
        depth_m = _float(_value(origin, "depth/value"))  # QuakeML counts depth in m
        told = {
            "id": event.get("publicID", ""),
            "time": _value(origin, "time/value"),
            "latitude": _value(origin, "latitude/value"),
            "longitude": _value(origin, "longitude/value"),
            "depth_km": "" if depth_m is None else repr(depth_m / 1000.0),
            "author": _value(event, "creationInfo/agencyID") or _value(origin, "creationInfo/agencyID"),
            "magnitude": "" if magnitude is None else _value(magnitude, "mag/value"),
            "magnitude_type": "" if magnitude is None else _value(magnitude, "type"),
            "place": _value(event, "description/text"),
            "type": _value(event, "type"),
        }
        made = [_value(part, "creationInfo/creationTime") for part in (event, origin, magnitude) if part is not None]
        times = [_moment(text) for text in made if text]
        revision = hashlib.sha256(repr((sorted(told.items()), sorted(made))).encode()).hexdigest()[:16]
        return self._bulletin(told, revised=max(times, default=_moment(told["time"])), revision=revision)

    def _bulletin(self, told: dict[str, str], *, revised: datetime, revision: str) -> Bulletin:
        name = told["id"]
        if not name or len(name) > SUBJECT_CHARACTERS_MOST or not name.isprintable():
            raise Drop("no event", f"id = {short(name)}; wanted a name")
        latitude, longitude = _float(told["latitude"]), _float(told["longitude"])
        if latitude is None or longitude is None or abs(latitude) > 90.0 or abs(longitude) > 360.0:
            raise Drop("place", f"{short(name)}: latitude {short(told['latitude'])}, longitude {short(told['longitude'])}")
        figures = {key: number for key in ("magnitude", "depth_km") if (number := _float(told.get(key, ""))) is not None}
        subject = f"fdsn:{urlsplit(self.url).hostname}:{name}"
        last = self.told.last(subject)
        place, size = told.get("place", ""), f"{figures['magnitude']:g}" if "magnitude" in figures else "?"
        kind = told.get("type", "") or "earthquake"
        return Bulletin(
            time=revised if last is None else max(revised, last.time),  # what is told without its time is not older than what was
            subject=subject,
            source=self.name,
            revision=revision,
            state=CANCELLED if kind in NOT_THERE else ISSUED,
            status="actual",
            event=kind,
            sender=told.get("author", "") or str(urlsplit(self.url).hostname),
            headline=f"M {size} {told.get('magnitude_type', '')} {place}".replace("  ", " ").strip()[:500],
            begins=_moment(told["time"]),
            longitude=longitude,
            latitude=latitude,
            area=place[:500],
            figures=figures,
        )


def _moment(text: str) -> datetime:
    """A time of the service; it is UTC where it does not say so, as the specification has it."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us(text, "iso", _UTC))


def _float(text: str) -> float | None:
    try:
        number = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _tree(body: bytes) -> ElementTree.Element:
    """Hostile XML as a tree: no document type, so no entities, and nothing is fetched."""
    try:
        text = body.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise Drop("not QuakeML", "a document type; wanted none")
        return ElementTree.fromstring(text)
    except UnicodeDecodeError as fault:
        raise Drop("not UTF-8", f"{fault.reason} at byte {fault.start}") from fault
    except (ElementTree.ParseError, ValueError, RecursionError) as fault:
        raise Drop("not QuakeML", str(fault)) from fault


def _preferred(event: ElementTree.Element, part: str) -> ElementTree.Element | None:
    """The preferred origin or magnitude of an event, else the first."""
    wanted = _value(event, f"preferred{part.capitalize()}ID")
    several = event.findall(f"{BED}{part}")
    return next((one for one in several if one.get("publicID") == wanted), next(iter(several), None))


def _value(element: ElementTree.Element, steps: str) -> str:
    found = element.find("/".join(BED + step for step in steps.split("/")))
    text = "" if found is None or found.text is None else found.text.strip()[:500]
    return "".join(mark for mark in text if mark.isprintable())
