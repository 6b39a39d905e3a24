"""Readings from another SensorThings server: the Datastreams that a filter finds, each from the last time that was read.

Source: OGC SensorThings API Part 1: Sensing, version 1.1 (18-088).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path as File
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import msgspec
import numpy as np

from tocsin.edge.collect import CONVERSIONS, Batch, convert
from tocsin.edge.collectors.paths import path
from tocsin.edge.collectors.pick import Pick, batches_of, decode_json, short, site_name
from tocsin.edge.collectors.poll import Asking, PollKind
from tocsin.edge.collectors.tally import Drop
from tocsin.edge.latest import microseconds
from tocsin.edge.spool import write_whole
from tocsin.host import Host
from tocsin.vocabulary import InputError, Quantity, Unavailable

PAGE = 1_000
PAGES_MOST = 1_000
STREAMS_MOST = 10_000
STATE_BYTES_MOST = 16 << 20
# How some servers write the symbol of a unit, and how it is written here. Both name the same unit.
SYMBOLS = {
    "°C": "degC",
    "Cel": "degC",
    "°F": "degF",
    "m^3/s": "m3/s",
    "m³/s": "m3/s",
    "mm/hr": "mm/h",
    "feet": "ft",
    "l/s": "L/s",
}


class Streams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Datastreams that measure `quantity`: those that `filter` finds, an expression of $filter over Datastreams.

    `site` is a path in the Datastream with its Thing, e.g. $.Thing.properties.station. `unit` stands for what the server says; a
    Datastream whose unit can be neither known nor converted is left out.
    """

    quantity: Quantity
    filter: str
    site: str = "$.Thing.name"
    unit: str = ""

    def __post_init__(self) -> None:
        path(self.site)
        if not self.filter.strip() or len(self.filter) > 2_000:
            raise InputError(
                f"streams of {self.quantity.name}: no `filter`; wanted e.g. \"ObservedProperty/name eq 'water level'\""
            )
        if self.unit:
            convert(np.zeros(0), self.unit, self.quantity.unit)


class _Stream(msgspec.Struct, frozen=True):
    """One Datastream: its address, and what its observations are."""

    url: str
    pick: Pick


class SensorThings(PollKind, frozen=True, kw_only=True):
    """`url` ends at the version, e.g. https://example.org/FROST-Server/v1.1.

    At first the last `lookback_h` are read; then from the last time that was read, less `overlap_s` for what the server gets late:
    what comes twice is kept once. `state_file` keeps these times beyond the life of the process.
    """

    streams: tuple[Streams, ...]
    lookback_h: float = 24.0
    overlap_s: float = 3600.0
    state_file: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.streams:
            raise self.fault("no `streams`; wanted which Datastreams to read")
        if urlsplit(self.url).query:
            raise self.fault(f"url = '{self.url}'; wanted the address up to the version, without ?...")
        if not 0 < self.lookback_h <= 87_840:
            raise self.fault(f"lookback_h = {self.lookback_h:g}; wanted above 0 and at most 87840, ten years")
        if not 0 <= self.overlap_s <= 86_400 * 31:
            raise self.fault(f"overlap_s = {self.overlap_s:g}; wanted 0..2678400, 31 days")

    @cached_property
    def reached(self) -> dict[str, int]:
        """For each Datastream the last time that is on disk here, in microseconds."""
        if not self.state_file:
            return {}
        try:
            raw = File(self.state_file).read_bytes()[: STATE_BYTES_MOST + 1]
            return msgspec.json.decode(raw, type=dict[str, int])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as fault:
            self.tally.drop(Drop("state", f"{self.state_file}: {fault}; beginning anew"))
            return {}

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """Page after page of each Datastream; a Datastream that cannot be read stops no other."""
        asking = self.asking(host)
        try:
            while True:
                for stream in await self._find(asking):
                    last_us, url = 0, self._first_page(stream, host.clock.now())
                    for _ in range(PAGES_MOST):
                        try:
                            values, following = await self._page(asking, url)
                        except Drop as drop:
                            self.tally.drop(drop)
                            break
                        now_us = microseconds(host.clock.now())
                        readings = list(self.intake.readings(values, [stream.pick], {}, now_us))
                        for batch in batches_of(readings, now_us):
                            yield batch
                        last_us = max([last_us, *(one.time_us for one in readings if one.time_us <= now_us)])
                        if not following:
                            break
                        url = following
                    if last_us > self.reached.get(stream.url, 0):
                        self.reached[stream.url] = last_us
                yield ()
                self._keep()
                await asking.wait()
        finally:
            await asking.close()

    async def _find(self, asking: Asking) -> list[_Stream]:
        """The Datastreams as they are now; a new gauge is found without a restart."""
        found: dict[str, _Stream] = {}
        for wanted in self.streams:
            url = (
                f"{self.url.rstrip('/')}/Datastreams?$filter={quote(wanted.filter, safe='')}"
                "&$expand=Thing&$orderby=%40iot.id%20asc&$top=200"
            )
            for _ in range(PAGES_MOST):
                try:
                    values, url = await self._page(asking, url)
                except Drop as drop:
                    self.tally.drop(drop)
                    break
                for value in values:
                    if len(found) >= STREAMS_MOST:
                        raise Unavailable(f"{self.url}: more than {STREAMS_MOST} Datastreams; wanted a narrower filter")
                    try:
                        stream = self._stream(value, wanted)
                    except Drop as drop:
                        self.tally.drop(drop)
                        continue
                    found.setdefault(stream.url, stream)
                if not url:
                    break
        return list(found.values())

    def _stream(self, value: Any, wanted: Streams) -> _Stream:
        name = value.get("@iot.id") if isinstance(value, dict) else None
        if isinstance(name, bool) or not isinstance(name, int | str) or len(str(name)) > 200:
            raise Drop("no Datastream", f"@iot.id = {short(name)}; wanted a number or a text")
        spelt = str(name) if isinstance(name, int) else "'" + quote(name.replace("'", "''"), safe="'") + "'"
        symbol = path("$.unitOfMeasurement.symbol").first(value)
        unit = wanted.unit or (SYMBOLS.get(symbol, symbol) if isinstance(symbol, str) else "")
        if unit != wanted.quantity.unit and (unit, wanted.quantity.unit) not in CONVERSIONS:
            raise Drop(
                "unit", f"Datastream {spelt}: {short(unit)} is not {wanted.quantity.unit}; give `unit` where it means the same"
            )
        site = path(wanted.site).first(value)
        name_of_site = site_name(str(site) if isinstance(site, int) else site)
        if set(name_of_site) & set("${}"):
            raise Drop("site", f"site = {short(name_of_site)}; wanted a name without $ and braces")
        pick = Pick(quantity=wanted.quantity, value="$.result", time="$.end", unit=unit, site=name_of_site)
        return _Stream(f"{self.url.rstrip('/')}/Datastreams({spelt})", pick)

    def _first_page(self, stream: _Stream, now: datetime) -> str:
        since = now - timedelta(hours=self.lookback_h)
        if stream.url in self.reached:
            reached = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.reached[stream.url])
            since = max(since, reached - timedelta(seconds=self.overlap_s))
        told = f"phenomenonTime gt {since.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        return (
            f"{stream.url}/Observations?$filter={quote(told, safe='')}&$orderby=phenomenonTime%20asc"
            f"&$select=phenomenonTime,result&$top={PAGE}"
        )

    async def _page(self, asking: Asking, url: str) -> tuple[list[Any], str]:
        """The values of a page, and the address of the next; raises Drop where it is no page."""
        body = (await asking.get(url, accept="application/json", is_fresh=True)).body or b""
        told = decode_json(body, bytes_most=self.bytes_most)
        values = told.get("value") if isinstance(told, dict) else None
        if not isinstance(values, list):
            raise Drop("no page", f"{url[:150]}: no `value`; is it SensorThings?")
        following = told.get("@iot.nextLink", "")
        if not isinstance(following, str) or not following:
            return [_ended(value) for value in values], ""
        following = urljoin(url, following)
        if urlsplit(following)[:2] != urlsplit(self.url)[:2] or len(following) > 8_000:
            raise Drop("next link", f"{following[:150]!r} leads to another server; we do not follow")
        return [_ended(value) for value in values], following

    def _keep(self) -> None:
        """Write how far we are, in one piece; where that fails we read again what we have."""
        if not self.state_file:
            return
        target = File(self.state_file)
        try:
            write_whole(target, msgspec.json.encode(self.reached))
        except OSError as fault:
            self.tally.drop(Drop("state", f"{target}: {fault}"))


def _ended(value: Any) -> Any:
    """An observation with the moment that stands for it: of an interval its end, when the reading was complete."""
    told = value.get("phenomenonTime") if isinstance(value, dict) else None
    if not isinstance(told, str):
        return value
    return {**value, "end": told.rpartition("/")[2]}
