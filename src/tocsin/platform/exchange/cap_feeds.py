"""Read the list of warnings that an agency publishes: an Atom or RSS index, entry by entry, with the links to the alerts.

Like `read_cap`, `read_feed` never raises for what is in the bytes. It fetches nothing: a link is a value, and only http and
https links are handed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec
from lxml import etree

from tocsin.platform.exchange.cap import NamedValue, Problem
from tocsin.platform.exchange.cap_reader import VERSIONS, CapReading, lenient_time, read_alert
from tocsin.platform.exchange.cap_xml import Log, child_text, parse

FEED_BYTES_MAX = 32 * 2**20
FEED_TAGS_MAX = 1_000_000
ENTRIES_MAX = 10_000
FIELDS_MAX = 500

ATOM = "http://www.w3.org/2005/Atom"
CAP_MEDIA_TYPE = "application/cap+xml"


class Link(msgspec.Struct, frozen=True):
    """Where an entry points; `rel` and `media_type` are empty where the feed does not say."""

    href: str
    rel: str = ""
    media_type: str = ""


class FeedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One warning as the index tells it.

    `fields` are the CAP elements that the index repeats, in its order, e.g. event or severity; a geocode or a parameter is
    named geocode/UGC. They are unchecked text: the alert behind the link decides. `reading` is the alert itself where the
    feed carries it.
    """

    identifier: str
    title: str
    updated: datetime | None
    summary: str
    links: tuple[Link, ...]
    fields: tuple[NamedValue, ...]
    reading: CapReading | None = None

    @property
    def alert_link(self) -> str:
        """The address of the alert: the link that says it is CAP, else the plain one; "" if there is none."""
        told = [link.href for link in self.links if link.media_type == CAP_MEDIA_TYPE]
        plain = [link.href for link in self.links if link.rel in ("", "alternate")]
        return next(iter((*told, *plain)), "")

    def field(self, name: str) -> str:
        """The first CAP field of that name, or ""."""
        return next((field.value for field in self.fields if field.name == name), "")


class FeedReading(msgspec.Struct, frozen=True, kw_only=True):
    """What came out of the bytes; `kind` is "atom", "rss", or "" if it was neither."""

    kind: str
    title: str = ""
    updated: datetime | None = None
    entries: tuple[FeedEntry, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_feed(data: bytes) -> FeedReading:
    """Read an Atom or RSS index of CAP alerts; at most ENTRIES_MAX entries, the rest is reported.

    >>> read_feed(b"<html/>").kind
    ''
    """
    log = Log()
    root = parse(data, log, bytes_max=FEED_BYTES_MAX, tags_max=FEED_TAGS_MAX)
    if root is None:
        return FeedReading(kind="", problems=log.problems)
    if root.tag == f"{{{ATOM}}}feed":
        return _feed("atom", root, "entry", log)
    channel = root.find("channel") if root.tag == "rss" else None
    if channel is not None:
        return _feed("rss", channel, "item", log)
    log.add("is neither Atom nor RSS", "/", str(root.tag), "feed of Atom, or rss with a channel")
    return FeedReading(kind="", problems=log.problems)


def _feed(kind: str, feed: etree._Element, entry_tag: str, log: Log) -> FeedReading:
    namespace = ATOM if kind == "atom" else ""
    entries = list(feed.iterchildren(_full(namespace, entry_tag)))
    if len(entries) > ENTRIES_MAX:
        log.add(f"has too many entries, the first {ENTRIES_MAX} are read", kind, str(len(entries)), f"{ENTRIES_MAX} or fewer")
    title = _need(feed, namespace, "title", kind, log)
    updated = _updated(feed, namespace, kind, log)
    read = [_entry(node, namespace, f"{kind}/{entry_tag}[{number}]", log) for number, node in enumerate(entries[:ENTRIES_MAX], 1)]
    return FeedReading(kind=kind, title=title, updated=updated, entries=tuple(read), problems=log.problems)


def _entry(node: etree._Element, namespace: str, path: str, log: Log) -> FeedEntry:
    atom = bool(namespace)
    identifier = _need(node, namespace, "id" if atom else "guid", path, log)
    links = tuple(_links(node, namespace, path, log))
    alerts = [alert for alert in node.iter("{*}alert") if etree.QName(alert).namespace in VERSIONS]
    reading = read_alert(alerts[0], Log()) if alerts else None
    if reading is None and not links:
        log.add("leads nowhere", path, "no link and no alert inside", "one of both")
    return FeedEntry(
        identifier=identifier,
        title=_need(node, namespace, "title", path, log),
        updated=_updated(node, namespace, path, log),
        summary=_text(node, namespace, "summary" if atom else "description"),
        links=links,
        fields=tuple(_fields(node, path, log)),
        reading=reading,
    )


def _links(node: etree._Element, namespace: str, path: str, log: Log) -> Iterator[Link]:
    for link in node.iterchildren(_full(namespace, "link")):
        href = (link.get("href") or "").strip() if namespace else child_text(link)
        if href.lower().startswith(("http://", "https://")) and not any(mark.isspace() for mark in href):
            yield Link(href, link.get("rel") or "", (link.get("type") or "").partition(";")[0].strip())
        else:
            log.add("is not a link to follow, left out", f"{path}/link", href, "an address that begins with http or https")


def _fields(node: etree._Element, path: str, log: Log) -> Iterator[NamedValue]:
    """CAP elements right under the entry. Their valueName and value often stand in no or in another namespace."""
    found = 0
    for child in node.iterchildren("*"):
        name = etree.QName(child)
        if name.namespace not in VERSIONS or name.localname == "alert":
            continue
        names = [child_text(part) for part in child.iterchildren("{*}valueName")]
        values = [child_text(part) for part in child.iterchildren("{*}value")]
        pairs = [(f"{name.localname}/{key}", value) for key, value in zip(names, values, strict=False)]
        for key, value in pairs or [(name.localname, child_text(child))]:
            found += 1
            if found > FIELDS_MAX:
                log.add(f"has too many CAP fields, the first {FIELDS_MAX} are read", path, "more", f"{FIELDS_MAX} or fewer")
                return
            if value:
                yield NamedValue(key.strip(), value)


def _updated(node: etree._Element, namespace: str, path: str, log: Log) -> datetime | None:
    if namespace:
        text = _need(node, namespace, "updated", path, log)
        return lenient_time(text, f"{path}/updated", log) if text else None
    text = _text(node, "", "pubDate")
    if not text:
        return None
    try:
        time = parsedate_to_datetime(text)
    except (ValueError, OverflowError) as fault:
        log.add(f"is not a time, left out: {fault}", f"{path}/pubDate", text, "e.g. Fri, 04 Feb 2011 20:32:08 GMT")
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)  # RFC 5322, 3.3: -0000 is UTC of an unknown place


def _need(node: etree._Element, namespace: str, tag: str, path: str, log: Log) -> str:
    text = _text(node, namespace, tag)
    if not text:
        log.add("is missing", f"{path}/{tag}", "nothing", "words")
    return text


def _text(node: etree._Element, namespace: str, tag: str) -> str:
    found = node.find(_full(namespace, tag))
    return "" if found is None else child_text(found)


def _full(namespace: str, tag: str) -> str:
    return f"{{{namespace}}}{tag}" if namespace else tag
