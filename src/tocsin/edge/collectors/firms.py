"""Fires that satellites see: the CSV of NASA's FIRMS, of MODIS and of VIIRS, asked for or dropped into a folder, as bulletins at their place.

A detection is no reading: it has no site that goes on to measure. It is the middle of a pixel of 1 km (MODIS) or 375 m (VIIRS) in which something was hot as the satellite came
over. All that fall on one hundredth of a degree are one event, and each pass that sees it again is a revision; a bulletin is told once, also after a restart. That nothing is seen says
nothing: there is a cloud, or no satellite has come over. So nothing here ends an event; who judges it says for how long it counts.

Columns as NASA lists them (earthdata.nasa.gov: active fire data attributes for MODIS and VIIRS): latitude, longitude, acq_date, acq_time (UTC, HHMM), confidence, frp (MW), brightness or
bright_ti4 (K). Confidence is low, nominal or high (VIIRS: l, n, h); of MODIS it is a per cent, here nominal from 30, high from 80 (as users of FIRMS quote its guide; unverified).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

from tocsin.edge.collect import Batch
from tocsin.edge.collectors.bulletins import ISSUED, Told
from tocsin.edge.collectors.inbox import Inbox
from tocsin.edge.collectors.kind import Kind, Secret
from tocsin.edge.collectors.pick import decode_csv, short
from tocsin.edge.collectors.poll import PollKind
from tocsin.edge.collectors.tally import Drop, Tally
from tocsin.host import Host
from tocsin.pack.ready_rules.bulletin import CONFIDENCES, FIRE_DETECTION
from tocsin.vocabulary import Bulletin, Unavailable

CELLS_PER_DEG = 100  # about 1 km each: a pixel of MODIS
SHORT = {"l": 0, "low": 0, "n": 1, "nominal": 1, "h": 2, "high": 2}
NOMINAL_PERCENT, HIGH_PERCENT = 30.0, 80.0
VEGETATION = ("", "0")  # of `type`, where a file has it: the others are volcanoes, chimneys, and what is at sea
KEY = "{key}"
BYTES_MOST = 32 << 20

Confidence = Literal["low", "nominal", "high"]
Area = tuple[float, float, float, float]


class Firms(PollKind, frozen=True, kw_only=True):
    """A CSV of FIRMS that is asked for. `{key}` in the url stands for `map_key`, which is told to nobody; `area` is west, south, east, north."""

    least: Confidence = "nominal"
    area: Area | None = None
    map_key: Secret | None = None
    every_s: float = 600.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_area(self, self.area)
        if (KEY in self.url) != (self.map_key is not None):
            raise self.fault(f"url with {KEY} and `map_key` go together")

    @cached_property
    def told(self) -> Told:
        """What was said so far."""
        return Told(self.name)

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """What is new in each answer."""
        key = "" if self.map_key is None else self.map_key.read()
        asking = self.asking(host)
        url = self.url.replace(KEY, key)
        try:
            await asyncio.to_thread(self.told.learn, host)
            while True:
                try:
                    answer = await asking.get(url, accept="text/csv, */*;q=0.5")
                    if answer.body is not None:
                        rows = decode_csv(answer.body, bytes_most=self.bytes_most)
                        news = self.told.news(detections(rows, self.name, self.tally, least=self.least, area=self.area))
                        self.tally.taken += len(news)
                        yield news
                        self.told.keep(news)
                    else:
                        yield ()
                except Drop as drop:
                    asking.refuse(self.url, Drop(drop.reason, _without(str(drop), key)))
                except Unavailable as fault:
                    raise Unavailable(_without(str(fault), key)) from None
                else:
                    asking.accept()
                await asking.wait()
        finally:
            await asking.close()


class FirmsFiles(Kind, frozen=True, kw_only=True):
    """A folder into which CSV files of FIRMS are put. A file that is read moves to `done`, one that cannot be to `bad`, with the reason beside it."""

    folder: str
    least: Confidence = "nominal"
    area: Area | None = None
    every_s: float = 60.0
    settled_s: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_area(self, self.area)
        if not (self.every_s > 0 and self.settled_s >= 0):
            raise self.fault(f"every_s = {self.every_s}, settled_s = {self.settled_s}; wanted > 0 and >= 0")

    @cached_property
    def told(self) -> Told:
        """What was said so far."""
        return Told(self.name)

    @cached_property
    def _inbox(self) -> Inbox:
        return Inbox(self.name, self.folder, (".csv",), self.settled_s)

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """Look for files again and again; what a file tells anew is in the ledger before the file moves."""
        await asyncio.to_thread(self.told.learn, host)
        while True:
            for file in self._inbox.finished(host.clock.now()):
                self.tally.receive(host.clock.now())
                try:
                    if (size := file.stat().st_size) > BYTES_MOST:
                        raise Drop("too large", f"{size} bytes; wanted at most {BYTES_MOST}")
                    rows = decode_csv(file.read_bytes(), bytes_most=BYTES_MOST)
                    found = detections(rows, self.name, self.tally, least=self.least, area=self.area)
                except (Drop, OSError) as fault:
                    self.tally.drop(fault if isinstance(fault, Drop) else Drop("bad file", str(fault)))
                    self._inbox.put_aside(file, str(fault))
                    continue
                news = self.told.news(found)
                self.tally.taken += len(news)
                yield news
                self.told.keep(news)
                self._inbox.move(file, "done")
            await host.clock.sleep(self.every_s)


def detections(
    rows: Iterable[Mapping[str, str]], source: str, tally: Tally, *, least: Confidence = "nominal", area: Area | None = None
) -> list[Bulletin]:
    """The newest detection at each place, in order of time; of those of one moment the surest, then the hottest. What cannot be used is counted.

    Raises Drop where a column that it needs is missing.
    """
    found: dict[str, tuple[tuple[datetime, float, float], Bulletin]] = {}
    for row in rows:
        missing = [name for name in ("latitude", "longitude", "acq_date", "acq_time", "confidence") if name not in row]
        if missing:
            raise Drop("not FIRMS", f"no column {', '.join(missing)}; wanted the CSV of FIRMS")
        try:
            bulletin = _bulletin(row, source)
        except Drop as drop:
            tally.drop(drop)
            continue
        figures = bulletin.figures
        if figures["confidence_class"] < CONFIDENCES.index(least) or not _is_in(bulletin, area):
            continue
        rank = bulletin.time, figures["confidence_class"], figures.get("frp_mw", 0.0)
        if bulletin.subject not in found or rank > found[bulletin.subject][0]:
            found[bulletin.subject] = rank, bulletin
    return [bulletin for _, bulletin in sorted(found.values(), key=lambda one: (one[0][0], one[1].subject))]


def _bulletin(row: Mapping[str, str], source: str) -> Bulletin:
    if row.get("type", "").strip() not in VEGETATION:
        raise Drop("no vegetation fire", f"type = {short(row['type'])}; only 0 is a fire of vegetation")
    latitude, longitude = _number(row, "latitude"), _number(row, "longitude")
    if latitude is None or longitude is None or abs(latitude) > 90.0 or abs(longitude) > 180.0:
        raise Drop("place", f"latitude {short(row['latitude'])}, longitude {short(row['longitude'])}; wanted degrees")
    seen = _moment(row)
    grade, percent = _confidence(row["confidence"].strip().lower())
    figures = {"confidence_class": float(grade)}
    for name, value in (
        ("confidence_percent", percent),
        ("frp_mw", _number(row, "frp")),
        ("brightness_k", _number(row, "brightness") or _number(row, "bright_ti4")),
    ):
        if value is not None:
            figures[name] = value
    by = " ".join(word for word in (_word(row, "instrument"), _word(row, "satellite")) if word) or "satellite"
    power = f", {figures['frp_mw']:.0f} MW" if "frp_mw" in figures else ""
    return Bulletin(
        time=seen,
        subject=f"firms:{_cell(latitude):.2f},{_cell(longitude):.2f}",
        source=source,
        revision=f"{seen:%Y-%m-%dT%H:%MZ} {by} {latitude:.5f},{longitude:.5f}",
        state=ISSUED,
        status="actual",
        event=FIRE_DETECTION,
        sender="FIRMS",
        headline=f"{by} sees a fire with {CONFIDENCES[grade]} confidence{power}",
        begins=seen,
        longitude=longitude,
        latitude=latitude,
        figures=figures,
    )


def _cell(degrees: float) -> float:
    return round(degrees * CELLS_PER_DEG) / CELLS_PER_DEG + 0.0


def _confidence(told: str) -> tuple[int, float | None]:
    """The class, and the per cent where it is told: MODIS has numbers, VIIRS words."""
    if told in SHORT:
        return SHORT[told], None
    try:
        percent = float(told)
    except ValueError:
        percent = math.nan
    if not 0.0 <= percent <= 100.0:
        raise Drop("confidence", f"confidence = {short(told)}; wanted l, n, h or 0..100")
    return (percent >= NOMINAL_PERCENT) + (percent >= HIGH_PERCENT), percent


def _moment(row: Mapping[str, str]) -> datetime:
    """Date and HHMM in UTC, with or without the zeros before."""
    date, clock = row["acq_date"].strip(), row["acq_time"].strip().replace(":", "").zfill(4)
    try:
        return datetime.strptime(f"{date} {clock}", "%Y-%m-%d %H%M").replace(tzinfo=UTC)
    except ValueError as fault:
        raise Drop("time", f"acq_date {short(date)}, acq_time {short(row['acq_time'])}; wanted 2017-06-16, 1304") from fault


def _number(row: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(row.get(name, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _word(row: Mapping[str, str], name: str) -> str:
    return "".join(mark for mark in row.get(name, "").strip()[:20] if mark.isprintable())


def _is_in(bulletin: Bulletin, area: Area | None) -> bool:
    if area is None or bulletin.longitude is None or bulletin.latitude is None:
        return True
    west, south, east, north = area
    return west <= bulletin.longitude <= east and south <= bulletin.latitude <= north


def _check_area(kind: Kind, area: Area | None) -> None:
    if area is not None and not (-180.0 <= area[0] < area[2] <= 180.0 and -90.0 <= area[1] < area[3] <= 90.0):
        raise kind.fault(f"area = {list(area)}; wanted west, south, east, north in degrees")


def _without(words: str, key: str) -> str:
    return words.replace(key, KEY) if key else words
