"""Earthquakes from the GeoJSON feeds of the USGS: each event a Bulletin, each change of it another, with the one before as cause.

An earthquake is no reading: it has no site that goes on to measure. It is something an agency says, and says again, better.
Source of the format: USGS, "GeoJSON Summary Format", earthquake.usgs.gov/earthquakes/feed/v1.0/geojson.php.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import msgspec

from tocsin.edge.collect import Batch
from tocsin.edge.collectors.bulletins import CANCELLED, ISSUED, SUBJECT_CHARACTERS_MOST, Told
from tocsin.edge.collectors.pick import decode_json, short, time_us
from tocsin.edge.collectors.poll import PollKind
from tocsin.edge.collectors.tally import Drop
from tocsin.host import Host
from tocsin.vocabulary import Bulletin

EVENTS_MOST = 20_000
GONE_POLLS = 2
# How long an event stays in a feed, by the end of the feed's name.
WINDOWS_H = {"_hour": 1.0, "_day": 24.0, "_week": 168.0, "_month": 720.0}
# An event that is this near the end of the feed's time may have left it by age.
EDGE_SHARE = 0.1
FIGURES = {
    "mag": "magnitude",
    "felt": "felt_reports",
    "cdi": "intensity_felt",
    "mmi": "intensity_computed",
    "tsunami": "tsunami_flag",
}
DETAILS = ("magType", "ids", "sources", "status", "alert", "nst", "gap", "rms", "dmin")


class Usgs(PollKind, frozen=True, kw_only=True):
    """Events of at least `min_magnitude`, and those that once were; an event whose magnitude nobody knows yet is taken.

    An event that is no longer in the feed in two answers, though it is not too old for it, is told as cancelled: the USGS deletes
    what was no earthquake. That needs a feed whose name tells its time, as all_hour or 2.5_week do.
    """

    url: str = "https://earthquake.usgs.gov/earthquakes/feed/v1.0/summary/2.5_day.geojson"
    min_magnitude: float = -10.0

    @cached_property
    def told(self) -> Told:
        """What was said so far."""
        return Told(self.name)

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """What is new in each answer."""
        asking = self.asking(host)
        gone: dict[str, int] = {}
        aliases: dict[str, str] = {}
        try:
            await asyncio.to_thread(self.told.learn, host)  # a ledger of years takes seconds
            while True:
                try:
                    answer = await asking.get(self.url, accept="application/geo+json, application/json")
                    if answer.body is not None:
                        feed = decode_json(answer.body, bytes_most=self.bytes_most)
                        bulletins, is_whole = self._bulletins(feed, aliases)
                        seen = {bulletin.subject for bulletin in bulletins}
                        bulletins = [one for one in bulletins if self._is_wanted(one)]
                        if is_whole:
                            bulletins += self._gone(feed, seen, gone)
                        news = self.told.news(bulletins)
                        self.tally.taken += len(news)
                        yield news
                        self.told.keep(news)
                    else:
                        yield ()
                except Drop as drop:
                    asking.refuse(self.url, drop)
                else:
                    asking.accept()
                await asking.wait()
        finally:
            await asking.close()

    def _is_wanted(self, bulletin: Bulletin) -> bool:
        """True if it is strong enough, or was once said to be: then it is heard of until the end."""
        is_strong = not bulletin.figures.get("magnitude", math.inf) < self.min_magnitude
        return is_strong or self.told.last(bulletin.subject) is not None

    def _bulletins(self, feed: Any, aliases: dict[str, str]) -> tuple[list[Bulletin], bool]:
        """The events of a feed that can be read, and whether these are all."""
        features = feed.get("features") if isinstance(feed, dict) else None
        if not isinstance(features, list):
            raise Drop("no feed", "no list of `features`; wanted a GeoJSON FeatureCollection")
        found, is_whole = list[Bulletin](), bool(features) and len(features) <= EVENTS_MOST
        for feature in features[:EVENTS_MOST]:
            try:
                found.append(self._bulletin(feature, aliases))
            except Drop as drop:
                self.tally.drop(drop)
                is_whole = False
        return found, is_whole

    def _bulletin(self, feature: Any, aliases: dict[str, str]) -> Bulletin:
        told = feature.get("properties") if isinstance(feature, dict) else None
        if not isinstance(told, dict):
            raise Drop("no event", "a feature without `properties`")
        names = [name for name in _text(told, "ids").split(",") if name]
        name = feature.get("id")
        if (
            not isinstance(name, str)
            or not name.isprintable()
            or not 0 < len(name) <= SUBJECT_CHARACTERS_MOST
            or len(names) > 100
        ):
            raise Drop("no event", f"id = {short(name)}; wanted a name")
        updated, began = _moment(told.get("updated")), _moment(told.get("time"))
        longitude, latitude, depth_km = _place(feature.get("geometry"))
        figures = {word: number for key, word in FIGURES.items() if (number := _number(told.get(key))) is not None}
        if depth_km is not None:
            figures["depth_km"] = depth_km
        status = _text(told, "status")
        return Bulletin(
            time=updated,
            subject=self._subject(name, names, aliases),
            source=self.name,
            revision=f"{updated:%Y-%m-%dT%H:%M:%S.%fZ} {status}".strip(),
            state=CANCELLED if status == "deleted" else ISSUED,
            status="actual",
            event=_text(told, "type") or "earthquake",
            sender=_text(told, "net") or "USGS",
            headline=_text(told, "title") or name,
            begins=began,
            longitude=longitude,
            latitude=latitude,
            area=_text(told, "place"),
            figures=figures,
            url=url if (url := _text(told, "url")).startswith("https://") else "",
            text=msgspec.json.encode(
                {key: told.get(key) for key in DETAILS if not isinstance(told.get(key), dict | list)}
            ).decode(),
        )

    def _subject(self, name: str, names: list[str], aliases: dict[str, str]) -> str:
        """The event, also where another network's name for it has become the preferred one."""
        known = next((aliases[one] for one in (name, *names) if one in aliases), None)
        known = known or next(
            (f"usgs:{one}" for one in (name, *names) if self.told.last(f"usgs:{one}") is not None), f"usgs:{name}"
        )
        if len(aliases) > 10 * EVENTS_MOST:
            aliases.clear()
        aliases.update(dict.fromkeys((name, *names), known))
        return known

    def _gone(self, feed: Any, seen: set[str], gone: dict[str, int]) -> list[Bulletin]:
        """Events that ought to be in the feed and are not, for the second time."""
        window_h = next((hours for end, hours in WINDOWS_H.items() if end + ".geojson" in self.url), None)
        try:
            generated = _moment(feed["metadata"]["generated"])
        except (KeyError, TypeError, Drop):
            return []
        if window_h is None:
            return []
        since = generated - timedelta(hours=window_h * (1.0 - EDGE_SHARE))
        found = []
        for last in list(self.told.open()):
            if last.begins is None or not since <= last.begins <= last.time <= generated or last.subject in seen:
                gone.pop(last.subject, None)
                continue
            gone[last.subject] = gone.get(last.subject, 0) + 1
            if gone[last.subject] >= GONE_POLLS:
                del gone[last.subject]
                words = f"no longer in the feed: {last.headline}"
                revision = f"gone {generated:%Y-%m-%dT%H:%M:%S.%fZ}"
                found.append(
                    msgspec.structs.replace(last, time=generated, cause=(), state=CANCELLED, revision=revision, headline=words)
                )
        return found


def _text(told: dict[str, Any], key: str) -> str:
    raw = told.get(key)
    return "".join(mark for mark in raw[:500] if mark.isprintable()) if isinstance(raw, str) else ""


def _moment(raw: Any) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us(raw, "unix_ms"))


def _number(raw: Any) -> float | None:
    is_number = isinstance(raw, int | float) and not isinstance(raw, bool) and abs(raw) < 1e9
    return float(raw) if is_number else None


def _place(geometry: Any) -> tuple[float, float, float | None]:
    """Longitude, latitude and depth; raises Drop where an event is nowhere."""
    told = geometry.get("coordinates") if isinstance(geometry, dict) else None
    numbers = [_number(one) for one in told[:3]] if isinstance(told, list) else []
    if len(numbers) < 2 or numbers[0] is None or numbers[1] is None or abs(numbers[0]) > 360.0 or abs(numbers[1]) > 90.0:
        raise Drop("place", f"coordinates = {short(told)}; wanted longitude, latitude, depth in km")
    return numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else None
