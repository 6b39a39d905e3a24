"""Read the warnings of others: whatever the bytes are, the answer is a value that says what could be read and what was wrong.

`read_cap` never raises for what is in the bytes. It keeps a warning alive where it can be understood, and says of each
repair what was got and what was wanted; it gives `alert = None` where it would have to guess whether, to whom or by whom
a warning was sent. Repairs err to the side of warning: an end that cannot be right is left out, a crossed outline becomes
its hull.

The XML is read without network, entities, or document type, in a bounded size, depth and number of elements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from functools import partial
from typing import TypeVar

import msgspec
import shapely
from lxml import etree

from tocsin.platform.exchange.cap import (
    OFFSET_MAX,
    Alert,
    Area,
    Category,
    Certainty,
    Circle,
    Info,
    MsgType,
    NamedValue,
    Point,
    Polygon,
    Problem,
    Reference,
    Resource,
    ResponseType,
    Scope,
    Severity,
    Status,
    Urgency,
)
from tocsin.platform.exchange.cap_xml import Log, child_text, parse, short
from tocsin.vocabulary.errors import InputError

Value = TypeVar("Value")
Word = TypeVar("Word", bound=StrEnum)

VERSIONS = {
    "http://www.incident.com/cap/1.0": "1.0",
    "urn:oasis:names:tc:emergency:cap:1.1": "1.1",
    "urn:oasis:names:tc:emergency:cap:1.2": "1.2",
}
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"

# Limits of what a stranger may send. The largest of 220 real alerts at hand has 55 kB, 49 vertices and depth 8.
ALERT_BYTES_MAX = 4 * 2**20
TAGS_MAX = 100_000
VERTICES_MAX = 10_000

# The elements of each part in the order of the schema.
_ALERT = "identifier sender sent status msgType password source scope restriction addresses code note references incidents info"
_INFO = (
    "language category event responseType urgency severity certainty audience eventCode effective onset expires senderName"
    " headline description instruction web contact parameter resource area"
)
_RESOURCE = "resourceDesc mimeType size uri derefUri digest"
_AREA = "areaDesc polygon circle geocode altitude ceiling"

_CAP_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", re.ASCII)
_ANY_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:[.,]\d+)? ?(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE)
_NUMBER = r"[+-]?\d{1,20}(?:\.\d{0,400})?"  # 400 digits: the smallest float without an exponent
_ANY_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)
_PAIR = re.compile(rf"({_NUMBER}),({_NUMBER})", re.ASCII)
_NUMBERS_ONLY = re.compile(r"[\d\s,.+-]*", re.ASCII)


class CapReading(msgspec.Struct, frozen=True, kw_only=True):
    """What came out of the bytes. `alert` is None where nothing safe could be made of them; `problems` then says why.

    `version` is of the message: "1.0", "1.1", "1.2", or "" if it was none. `signed` says only that a signature is there: it is
    NOT verified, and nobody may take it for proof of the sender.
    """

    alert: Alert | None
    problems: tuple[Problem, ...]
    version: str = ""
    signed: bool = False


def read_cap(data: bytes) -> CapReading:
    """Read one CAP message, 1.0, 1.1 or 1.2, however broken; see the module's first lines for what is repaired.

    >>> read_cap(b"<alert/>").alert is None
    True
    """
    log = Log()
    root = parse(data, log, bytes_max=ALERT_BYTES_MAX, tags_max=TAGS_MAX)
    if root is None:
        return CapReading(alert=None, problems=log.problems)
    return read_alert(root, log)


def read_alert(root: etree._Element, log: Log) -> CapReading:
    """Read a parsed `alert` element, also one that is inside of a feed."""
    name = etree.QName(root)
    namespace = name.namespace or ""
    if name.localname != "alert":
        log.add("is no CAP alert", "/", name.localname, "alert; a feed is read with read_feed")
        return CapReading(alert=None, problems=log.problems)
    if namespace not in VERSIONS:
        log.add("has an unknown namespace, read as CAP 1.2", "alert", namespace, "urn:oasis:names:tc:emergency:cap:1.2")
    version = VERSIONS.get(namespace, "1.2")
    signed = any(True for _ in root.iter(SIGNATURE))
    alert = _alert(_Node(root, "alert", namespace, version, log))
    return CapReading(alert=alert, problems=log.problems, version=version, signed=signed)


def lenient_time(text: str, where: str, log: Log, *, version: str = "1.1", otherwise: timezone = UTC) -> datetime | None:
    """A time of CAP or of a feed, whole seconds; without an offset it gets `otherwise` and a problem."""
    match = _ANY_TIME.fullmatch(text)
    wanted = "a time such as 2002-05-24T16:49:00-07:00"
    if not match:
        log.add("is not a time, left out", where, text, wanted)
        return None
    day, minute, second, zone = match.groups()
    if not _CAP_TIME.fullmatch(text) and (version == "1.2" or not zone):
        done = "is not as CAP writes a time" if zone else f"has no offset from UTC, read as {otherwise}"
        log.add(done, where, text, wanted)
    offset = "+00:00" if (zone or "").upper() == "Z" else zone or ""
    try:
        time = datetime.fromisoformat(f"{day}T{minute}{second or ':00'}{offset}")
    except ValueError as fault:
        log.add(f"is not a time, left out: {fault}", where, text, wanted)
        return None
    if abs(time.utcoffset() or timedelta(0)) > OFFSET_MAX:
        log.add("is in no time zone of the Earth, left out", where, text, "an offset within 14:00")
        return None
    return time if time.tzinfo else time.replace(tzinfo=otherwise)


class _Node:
    """An element with its place in the message, so that a problem can name it: alert/info[2]/area[1]/polygon."""

    def __init__(self, element: etree._Element, path: str, namespace: str, version: str, log: Log) -> None:
        self.element, self.path, self.namespace, self.version, self.log = element, path, namespace, version, log

    def check(self, names: str) -> None:
        """Report elements that CAP does not know here, and those out of the order of its schema."""
        order = names.split()
        last = 0
        for child in self.element.iterchildren("*"):
            name = etree.QName(child)
            if (name.namespace or "") != self.namespace or name.localname not in order:
                if child.tag != SIGNATURE:
                    self.log.add("is unknown here, ignored", self.path, name.localname, "only elements of CAP")
                continue
            place = order.index(name.localname)
            if place < last:
                self.log.add("is out of order", f"{self.path}/{name.localname}", f"after {order[last]}", f"before {order[last]}")
            last = max(last, place)

    def all(self, tag: str) -> Iterator[_Node]:
        full = f"{{{self.namespace}}}{tag}" if self.namespace else tag
        for number, child in enumerate(self.element.iterchildren(full), 1):
            yield _Node(child, f"{self.path}/{tag}[{number}]", self.namespace, self.version, self.log)

    def one(self, tag: str) -> _Node | None:
        found = list(self.all(tag))
        if len(found) > 1:
            self.log.add("is there more than once, the first is taken", f"{self.path}/{tag}", str(len(found)), "one")
        return _Node(found[0].element, f"{self.path}/{tag}", self.namespace, self.version, self.log) if found else None

    def said(self) -> str:
        if len(self.element):
            self.log.add("has elements inside its text, read as text", self.path, str(self.element[0].tag), "text only")
        return child_text(self.element)

    def text(self, tag: str, *, needed: str = "") -> str:
        """The text of the one `tag`; where it is missing, `needed` stands in for it and is reported."""
        node = self.one(tag)
        text = node.said() if node else ""
        if needed and not text:
            self.log.add(f"is missing, read as {needed!r}", f"{self.path}/{tag}", "nothing", "words")
            return needed
        return text

    def word(self, tag: str, words: type[Word]) -> Word | None:
        """The one `tag` as a word of the standard; None and a problem where it is missing or unknown."""
        node = self.one(tag)
        if node is None:
            self.log.add("is missing", f"{self.path}/{tag}", "nothing", f"one of {', '.join(words)}")
            return None
        return node.as_word(words)

    def words(self, tag: str, words: type[Word]) -> tuple[Word, ...]:
        found = [node.as_word(words) for node in self.all(tag)]
        return tuple(dict.fromkeys(word for word in found if word is not None))

    def as_word(self, words: type[Word]) -> Word | None:
        text = self.said()
        if text == "Very Likely" and words is Certainty:
            return words("Likely")  # CAP 1.2, 3.2.2: "Very Likely" of CAP 1.0 is to be treated as Likely
        for word in words:
            if word.value.lower() == text.lower():
                if word.value != text:
                    self.log.add(f"is misspelt, read as {word}", self.path, text, word)
                return word
        self.log.add("is not a word of CAP", self.path, text, f"one of {', '.join(words)}")
        return None

    def time(self, tag: str, otherwise: timezone) -> datetime | None:
        node = self.one(tag)
        text = node.said() if node else ""
        return lenient_time(text, f"{self.path}/{tag}", self.log, version=self.version, otherwise=otherwise) if text else None

    def number(self, tag: str) -> float | None:
        node = self.one(tag)
        text = node.said() if node else ""
        if text and not re.fullmatch(_NUMBER, text, re.ASCII):
            self.log.add("is not a number, left out", f"{self.path}/{tag}", text, "a number")
            return None
        return float(text) if text else None

    def pairs(self, tag: str) -> tuple[NamedValue, ...]:
        found = [self.log.keep(node.path, node._pair) for node in self.all(tag)]
        return tuple(pair for pair in found if pair is not None)

    def _pair(self) -> NamedValue:
        if self.version == "1.0":  # there it is the text name=value
            name, _, value = self.said().partition("=")
            return NamedValue(name.strip(), value.strip())
        return NamedValue(self.text("valueName"), self.text("value"))


def _alert(node: _Node) -> Alert | None:
    node.check(_ALERT)
    log = node.log
    identifier, sender = _name(node, "identifier"), _name(node, "sender")
    sent = node.time("sent", UTC)
    if sent is None:
        log.add("is missing", "alert/sent", node.text("sent") or "nothing", "a time such as 2002-05-24T16:49:00-07:00")
    status, msg_type, scope = node.word("status", Status), node.word("msgType", MsgType), _scope(node)
    if sent is None or status is None or msg_type is None or scope is None or not identifier or not sender:
        log.add("is not used", "alert", "a message without these", "identifier, sender, sent, status, msgType and scope")
        return None
    references = _references(node, sent)
    if msg_type is MsgType.UPDATE and not references:
        log.add("is an Update of nothing, read as a new Alert", "alert/references", "none", "sender,identifier,sent")
        msg_type = MsgType.ALERT
    restriction = node.text("restriction")
    if scope is Scope.RESTRICTED and not restriction:
        restriction = node.text("restriction", needed="(the sender did not say which)")
    return log.keep(
        "alert",
        lambda: Alert(
            identifier=identifier,
            sender=sender,
            sent=sent,
            status=status,
            msg_type=msg_type,
            source=node.text("source"),
            scope=scope,
            restriction=restriction,
            addresses=_words(node.text("addresses")),
            code=tuple(text for text in (code.said() for code in node.all("code")) if text),
            note=node.text("note"),
            references=references,
            incidents=_words(node.text("incidents")),
            info=_infos(node, sent, msg_type),
        ),
    )


def _name(node: _Node, tag: str) -> str:
    """An identifier or a sender; characters that it must not have become _, so that the warning is not lost."""
    text = node.text(tag)
    if not text:
        node.log.add("is missing", f"{node.path}/{tag}", "nothing", "a name")
    tidy = re.sub(r"[\s,<&]", "_", text)
    if tidy != text:
        done = f"has forbidden characters, read as {short(tidy)!r}"
        node.log.add(done, f"{node.path}/{tag}", text, "no space, comma, < or &")
    return tidy


def _scope(node: _Node) -> Scope | None:
    if node.version == "1.0" and node.one("scope") is None:
        node.log.add("is missing, read as Public", "alert/scope", "nothing", "a scope, though CAP 1.0 may leave it out")
        return Scope.PUBLIC
    return node.word("scope", Scope)


def _references(node: _Node, sent: datetime) -> tuple[Reference, ...]:
    found = []
    path = f"{node.path}/references"
    for word in node.text("references").split():
        parts = word.split(",")
        if len(parts) != 3:
            node.log.add("is not a reference, left out", path, word, "sender,identifier,sent")
            continue
        time = lenient_time(parts[2], path, node.log, version=node.version, otherwise=_zone(sent))
        reference = node.log.keep(path, partial(Reference, parts[0], parts[1], time)) if time else None
        if reference:
            found.append(reference)
    return tuple(found)


def _words(text: str) -> tuple[str, ...]:
    """Words between spaces; quotation marks keep a name with spaces together."""
    found = re.findall(r'"([^"]*)"|([^\s"]+)', text)
    return tuple(word for word in ((quoted or plain).strip() for quoted, plain in found) if word)


def _infos(alert: _Node, sent: datetime, msg_type: MsgType) -> tuple[Info, ...]:
    found = [_info(node, sent, msg_type) for node in alert.all("info")]
    return tuple(info for info in found if info is not None)


def _info(node: _Node, sent: datetime, msg_type: MsgType) -> Info | None:
    node.check(_INFO)
    zone = _zone(sent)
    expires = node.time("expires", zone)
    if expires is not None and expires <= sent and msg_type in (MsgType.ALERT, MsgType.UPDATE):
        node.log.add("is over before it is sent, read as without an end", f"{node.path}/expires", str(expires), f"after {sent}")
        expires = None
    category = node.words("category", Category)
    if not category:
        if node.version != "1.0":
            node.log.add("is missing, read as Other", f"{node.path}/category", "nothing", "a category")
        category = (Category.OTHER,)
    language = node.text("language") or "en-US"
    if not re.fullmatch(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", language):
        node.log.add("is not a language, read as und", f"{node.path}/language", language, "a code such as pt-BR")
        language = "und"  # RFC 5646: undetermined
    certainty = node.word("certainty", Certainty)
    web = node.text("web")
    info = node.log.keep(
        node.path,
        lambda: Info(
            language=language,
            category=category,
            event=node.text("event", needed="(event not named)"),
            response_type=node.words("responseType", ResponseType),
            urgency=node.word("urgency", Urgency) or Urgency.UNKNOWN,
            severity=node.word("severity", Severity) or Severity.UNKNOWN,
            certainty=certainty or Certainty.UNKNOWN,
            audience=node.text("audience"),
            event_code=node.pairs("eventCode"),
            effective=node.time("effective", zone),
            onset=node.time("onset", zone),
            expires=expires,
            sender_name=node.text("senderName"),
            headline=node.text("headline"),
            description=node.text("description"),
            instruction=node.text("instruction"),
            contact=node.text("contact"),
            parameter=node.pairs("parameter"),
            resource=_each(node, "resource", _resource),
            area=_each(node, "area", _area),
        ),
    )
    if info is None or not web:
        return info
    return node.log.keep(f"{node.path}/web", lambda: msgspec.structs.replace(info, web=web)) or info


def _resource(node: _Node) -> Resource:
    node.check(_RESOURCE)
    size = node.text("size")
    if size and not re.fullmatch(r"\d{1,18}", size, re.ASCII):
        node.log.add("is not a size, left out", f"{node.path}/size", size, "bytes")
        size = ""
    mime_type = node.text("mimeType") if node.version != "1.2" else node.text("mimeType", needed="application/octet-stream")
    return Resource(
        description=node.text("resourceDesc", needed="(resource not described)"),
        mime_type=mime_type or "application/octet-stream",
        size_bytes=int(size) if size else None,
        uri=node.text("uri"),
        deref_uri=node.text("derefUri"),
        digest=node.text("digest"),
    )


def _area(node: _Node) -> Area:
    node.check(_AREA)
    altitude, ceiling = node.number("altitude"), node.number("ceiling")
    if ceiling is not None and (altitude is None or ceiling < altitude):
        node.log.add("is not above an altitude, left out", f"{node.path}/ceiling", str(ceiling), f"more than {altitude} ft")
        ceiling = None
    return Area(
        description=node.text("areaDesc", needed="(area not described)"),
        polygons=_each(node, "polygon", _polygon),
        circles=_each(node, "circle", _circle),
        geocodes=node.pairs("geocode"),
        altitude_ft=altitude,
        ceiling_ft=ceiling,
    )


def _each(node: _Node, tag: str, read: Callable[[_Node], Value]) -> tuple[Value, ...]:
    found = [node.log.keep(child.path, partial(read, child)) for child in node.all(tag)]
    return tuple(value for value in found if value is not None)


def _polygon(node: _Node) -> Polygon:
    points = _points(node)
    if points and points[0] != points[-1]:
        node.log.add("is open, closed", node.path, f"{points[0]} .. {points[-1]}", "the last point equal to the first")
        points = (*points, points[0])
    if len(points) > VERTICES_MAX:
        node.log.add("has too many points, replaced by its hull", node.path, str(len(points)), f"{VERTICES_MAX} or fewer")
        return _hull(points)
    try:
        return Polygon(points)
    except InputError as refusal:
        hull = _hull(points)  # refuses in turn where no ground can be made of the points
        node.log.add("crosses itself, replaced by its hull", node.path, str(refusal), "a simple ring")
        return hull


def _hull(points: tuple[Point, ...]) -> Polygon:
    hull = shapely.MultiPoint(points).convex_hull
    if hull.geom_type != "Polygon":
        raise InputError(f"cap polygon: got {len(points)} points that enclose nothing; wanted 4 or more around an area")
    return Polygon(tuple((float(lon), float(lat)) for lon, lat in hull.exterior.coords))


def _points(node: _Node) -> tuple[Point, ...]:
    """Latitude,longitude in the text; (longitude, latitude) here."""
    text = node.said()
    matches = [_PAIR.fullmatch(word) for word in text.split()]
    if all(matches):
        return tuple((float(match[2]), float(match[1])) for match in matches if match)
    numbers = _ANY_NUMBER.findall(text)
    if len(numbers) % 2 or not _NUMBERS_ONLY.fullmatch(text) or max(map(len, numbers), default=0) > 50:
        raise InputError(f"cap polygon: got {short(text)!r}; wanted lat,lon lat,lon ..")
    node.log.add("is untidy, its numbers are read two by two", node.path, text, "lat,lon lat,lon ..")
    return tuple((float(lon), float(lat)) for lat, lon in zip(numbers[::2], numbers[1::2], strict=True))


def _circle(node: _Node) -> Circle:
    text = node.said()
    match = re.fullmatch(rf"({_NUMBER}),\s?({_NUMBER})\s+({_NUMBER})", text, re.ASCII)
    if not match:
        raise InputError(f"cap circle: got {short(text)!r}; wanted lat,lon radius_km")
    return Circle(lat=float(match[1]), lon=float(match[2]), radius_km=float(match[3]))


def _zone(sent: datetime) -> timezone:
    return timezone(sent.utcoffset() or timedelta(0))
