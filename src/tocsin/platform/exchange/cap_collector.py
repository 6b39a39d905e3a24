"""Official alerts from an Atom or RSS feed of CAP messages: each alert a Bulletin, each update or cancellation one that follows it.

It is here and not beside the other collectors because reading CAP is the platform's. A message is told once, however often the
feed is asked. A test or an exercise keeps its status, and must not be taken for an actual alert. Nothing is verified: a signature
in a message is not looked at, so trust the feed only as far as you trust its server and TLS.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from functools import cached_property
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from tocsin.edge.collect import Batch
from tocsin.edge.collectors.bulletins import CANCELLED, ISSUED, REPLACED, Told
from tocsin.edge.collectors.poll import Asking, PollKind
from tocsin.edge.collectors.tally import Drop
from tocsin.host import Host
from tocsin.platform.exchange.cap import Alert, Info, MsgType, Reference
from tocsin.platform.exchange.cap_feeds import FeedEntry, read_feed
from tocsin.platform.exchange.cap_reader import ALERT_BYTES_MAX, CapReading, read_cap
from tocsin.platform.exchange.cap_writer import write_cap
from tocsin.vocabulary import Bulletin, BulletinPart, InputError, Unavailable

FETCHES_MOST = 2_000
FETCHED_MOST = 50_000
AREA_CHARACTERS_MOST = 2_000
HEADLINE_CHARACTERS_MOST = 500


class CapFeed(PollKind, frozen=True, kw_only=True):
    """The alerts of a feed, e.g. of NWS, MeteoAlarm or Canada. `language` prefers one of several, by how its code begins.

    Links are followed to the feed's own host and to `hosts`, and nowhere else. An alert that cannot be had or read is told as the
    index has it, if that names its event; it is asked for again each time.
    """

    language: str = ""
    hosts: tuple[str, ...] = ()

    @cached_property
    def told(self) -> Told:
        """What was said so far."""
        return Told(self.name)

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """What is new in each answer."""
        asking = self.asking(host)
        fetched: set[str] = set()
        try:
            await asyncio.to_thread(self.told.learn, host)  # a ledger of years takes seconds
            while True:
                try:
                    answer = await asking.get(self.url, accept="application/atom+xml, application/rss+xml, application/xml;q=0.9")
                    if answer.body is None:
                        yield ()
                    else:
                        found, done, is_whole = await self._alerts(asking, answer.body, fetched)
                        news = self.told.news(found)
                        self.tally.taken += len(news)
                        yield news
                        self.told.keep(news)
                        fetched |= done
                        if len(fetched) > FETCHED_MOST:
                            fetched.clear()
                        if not is_whole:
                            asking.forget(self.url)
                except Drop as drop:
                    asking.refuse(self.url, drop)
                else:
                    asking.accept()
                await asking.wait()
        finally:
            await asking.close()

    async def _alerts(self, asking: Asking, body: bytes, fetched: set[str]) -> tuple[list[Bulletin], set[str], bool]:
        """What the feed tells, which of its entries need not be asked for again, and whether these are all."""
        feed = read_feed(body)
        if not feed.kind:
            raise Drop("no feed", "; ".join(problem.what for problem in feed.problems) or "neither Atom nor RSS")
        found, done, fetches = list[Bulletin](), set[str](), 0
        subjects: dict[str, str] = {}
        is_whole = True
        readings: list[tuple[Alert, str, FeedEntry]] = []
        for entry in feed.entries:
            mark = f"{entry.identifier} {entry.updated} {entry.alert_link}"
            if mark in fetched:
                continue
            try:
                if entry.reading is None:
                    fetches += 1
                    if fetches > FETCHES_MOST:
                        raise Drop("too many", f"more than {FETCHES_MOST} new alerts at once; the rest follows")
                alert, text = await self._alert(asking, entry)
                readings.append((alert, text, entry))
                done.add(mark)
            except Drop as drop:
                self.tally.drop(drop)
                is_whole = False
                found += self._of_index(entry)
        for alert, text, entry in sorted(readings, key=lambda reading: reading[0].sent):
            told = self._of_alert(alert, text, entry.alert_link, subjects)
            before = self.told.last(_index_subject(entry))
            if told and before is not None and before.state not in (CANCELLED, REPLACED):
                told.append(self._replaced(before.subject, told[0]))
            found += told
        return found, done, is_whole

    async def _alert(self, asking: Asking, entry: FeedEntry) -> tuple[Alert, str]:
        """The alert of an entry and its text; raises Drop."""
        if entry.reading is not None:
            alert = _usable(entry.reading, entry.identifier)
            try:
                return alert, write_cap(alert).decode()
            except InputError:
                return alert, ""
        link = entry.alert_link
        if not link:
            raise Drop("leads nowhere", f"{entry.identifier[:100]!r} has no link")
        if urlsplit(link).hostname not in {urlsplit(self.url).hostname, *self.hosts}:
            raise Drop("link", f"{link[:150]!r} leads to another server; add it to `hosts` if you trust it")
        try:
            body = (await asking.get(link, accept="application/cap+xml, application/xml;q=0.9", is_fresh=True)).body or b""
        except Unavailable as fault:
            raise Drop("alert", str(fault)) from fault
        alert = _usable(read_cap(body), link)
        try:
            return alert, body.decode() if len(body) <= ALERT_BYTES_MAX else ""
        except UnicodeDecodeError:
            return alert, body.decode("latin-1")

    def _of_alert(self, alert: Alert, text: str, link: str, subjects: dict[str, str]) -> list[Bulletin]:
        """The bulletins that follow from one alert; `subjects` are those of the same answer, by revision."""
        revision = _name(alert)
        if self.told.subject_of(revision) is not None or revision in subjects:
            return []
        if alert.msg_type in (MsgType.ACK, MsgType.ERROR):
            self.tally.drop(Drop("no alert", f"{alert.identifier[:100]!r} is of type {alert.msg_type}"))
            return []
        named = [_name(one) for one in alert.references]
        known = list(dict.fromkeys(s for one in named if (s := subjects.get(one) or self.told.subject_of(one)) is not None))
        first = alert.references[0] if alert.references and alert.msg_type != MsgType.ALERT else alert
        subject = known[0] if known and alert.msg_type != MsgType.ALERT else f"cap:{first.sender},{first.identifier}"
        subjects[revision] = subject
        info = self._info(alert)
        told = Bulletin(
            time=alert.sent.astimezone(UTC),
            subject=subject,
            source=self.name,
            revision=revision,
            state=CANCELLED if alert.msg_type == MsgType.CANCEL else ISSUED,
            status=str(alert.status).lower(),
            event=info.event if info else "",
            sender=(info.sender_name if info else "") or alert.sender,
            headline=((info.headline or info.event) if info else alert.note or alert.identifier)[:HEADLINE_CHARACTERS_MOST],
            severity=str(info.severity).lower() if info else "",
            begins=((info.onset or info.effective or alert.sent) if info else alert.sent).astimezone(UTC),
            ends=info.expires.astimezone(UTC) if info and info.expires else None,
            area="; ".join(area.description for area in info.area)[:AREA_CHARACTERS_MOST] if info else "",
            url=link,
            text=text,
            parts=tuple(_part(one) for one in alert.info),
        )
        others = known[1:] if alert.msg_type == MsgType.UPDATE else []
        also = [self._replaced(other, told) for other in others]
        if alert.msg_type == MsgType.CANCEL:
            also += [msgspec.structs.replace(told, subject=other, text="", parts=UNSET) for other in known[1:]]
        return [told, *also]

    def _replaced(self, subject: str, by: Bulletin) -> Bulletin:
        """An alert that an update has taken into another one."""
        words = f"continued in {by.subject}: {by.headline}"[:HEADLINE_CHARACTERS_MOST]
        return msgspec.structs.replace(by, subject=subject, state=REPLACED, headline=words, text="", parts=UNSET)

    def _of_index(self, entry: FeedEntry) -> list[Bulletin]:
        """What the index itself says of an alert that cannot be had."""
        event = entry.field("event")
        if not event or entry.updated is None:
            return []
        revision = f"index {entry.identifier} {entry.updated.isoformat()}"[:1000]
        kind = entry.field("msgType")
        return [
            Bulletin(
                time=entry.updated.astimezone(UTC),
                subject=_index_subject(entry),
                source=self.name,
                revision=revision,
                state=CANCELLED if kind == MsgType.CANCEL else ISSUED,
                status=entry.field("status").lower() or "unknown",
                event=event[:200],
                sender=str(urlsplit(self.url).hostname),
                headline=f"{entry.title} (as the index tells it; the alert could not be read)"[:HEADLINE_CHARACTERS_MOST],
                severity=entry.field("severity").lower()[:40],
                area=entry.field("areaDesc")[:AREA_CHARACTERS_MOST],
                url=entry.alert_link,
                parts=(_part_of_index(entry),),
            )
        ]

    def _info(self, alert: Alert) -> Info | None:
        wanted = self.language.lower()
        return next(
            (info for info in alert.info if wanted and info.language.lower().startswith(wanted)), next(iter(alert.info), None)
        )


def _part(info: Info) -> BulletinPart:
    """What a rule needs of an info."""
    return BulletinPart(
        event=info.event,
        severity=str(info.severity).lower(),
        urgency=str(info.urgency).lower(),
        certainty=str(info.certainty).lower(),
        responses=tuple(str(one).lower() for one in info.response_type),
        ends=info.expires.astimezone(UTC) if info.expires else None,
        area="; ".join(area.description for area in info.area)[:AREA_CHARACTERS_MOST],
        rings=tuple(ring.points for area in info.area for ring in area.polygons),
        circles=tuple((one.lon, one.lat, one.radius_km) for area in info.area for one in area.circles),
        codes=tuple(f"{code.name}={code.value}" for area in info.area for code in area.geocodes),
    )


def _part_of_index(entry: FeedEntry) -> BulletinPart:
    """The same of what the index says. Its shapes are not read: the words of its area have to do."""
    expires = entry.field("expires")
    try:
        ends = datetime.fromisoformat(expires).astimezone(UTC) if expires else None
    except ValueError:
        ends = None
    return BulletinPart(
        event=entry.field("event")[:200],
        severity=entry.field("severity").lower()[:40],
        urgency=entry.field("urgency").lower()[:40],
        certainty=entry.field("certainty").lower()[:40],
        ends=ends,
        area=entry.field("areaDesc")[:AREA_CHARACTERS_MOST],
    )


def _index_subject(entry: FeedEntry) -> str:
    """An alert that only the index has told of."""
    return f"cap-index:{entry.identifier}"[:300]


def _name(one: Alert | Reference) -> str:
    """A message by the three things that identify it: CAP 1.2, section 3.2.1, references."""
    return f"{one.sender},{one.identifier},{one.sent.astimezone(UTC).isoformat()}"


def _usable(reading: CapReading, where: str) -> Alert:
    if reading.alert is None:
        why = "; ".join(f"{problem.where} {problem.what}" for problem in reading.problems[:3])
        raise Drop("no CAP", f"{where[:100]}: {why}")
    return reading.alert
