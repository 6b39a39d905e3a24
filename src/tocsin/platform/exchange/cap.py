"""A warning as the world exchanges it: the words of the Common Alerting Protocol, none of which can hold nonsense.

The names are those of the standard: OASIS, *Common Alerting Protocol Version 1.2*, 1 July 2010, cited here as CAP 1.2 with
its section. A value of these types can always be written as valid CAP 1.2. What a careful issuer demands beyond the standard
(no `Unknown`, an end, an area with a shape) is in `cap_draft.faults`, because the mail of others need not keep it.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
import shapely

from tocsin.vocabulary.errors import InputError

Point = tuple[float, float]

# Half of the WGS 84 equator, pi x 6378.137 km: no point of the Earth is farther away than this.
RADIUS_KM_MAX = 20_037.51
# Hours that an offset from UTC may have in xs:dateTime (W3C XML Schema Part 2, 3.2.7.3).
OFFSET_MAX = timedelta(hours=14)

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2: Char
_NOT_IN_NAME = re.compile(r"[\s,<&]")  # CAP 1.2, 3.2.1: no spaces, commas or restricted characters (< and &)
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")  # xs:language, RFC 3066
_MIME = re.compile(r"[\w.+-]+/[\w.+-]+(\s*;.*)?", re.ASCII)
_SHA1 = re.compile(r"[0-9A-Fa-f]{40}")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*")
_URI_PART = r"(?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"  # RFC 3986, without [ and ]
_URI = re.compile(f"{_URI_PART}(?:#{_URI_PART})?")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_WEB_SCHEMES = frozenset({"http", "https"})  # what a person may click; never javascript: or file:
_RESOURCE_SCHEMES = frozenset({"http", "https", "ftp", "cid", "urn"})


class Status(StrEnum):
    """How to handle the message. Only `Actual` is for the public; `Draft` is not actionable at all."""

    ACTUAL = "Actual"
    EXERCISE = "Exercise"
    SYSTEM = "System"
    TEST = "Test"
    DRAFT = "Draft"


class MsgType(StrEnum):
    """What the message does to earlier ones; all but `Alert` name them in `references`."""

    ALERT = "Alert"
    UPDATE = "Update"
    CANCEL = "Cancel"
    ACK = "Ack"
    ERROR = "Error"


class Scope(StrEnum):
    """Who may be told."""

    PUBLIC = "Public"
    RESTRICTED = "Restricted"
    PRIVATE = "Private"


class Category(StrEnum):
    """The kind of event. A flood is `Met`: CAP 1.2, 3.2.2, "Meteorological (inc. flood)"."""

    GEO = "Geo"
    MET = "Met"
    SAFETY = "Safety"
    SECURITY = "Security"
    RESCUE = "Rescue"
    FIRE = "Fire"
    HEALTH = "Health"
    ENV = "Env"
    TRANSPORT = "Transport"
    INFRA = "Infra"
    CBRNE = "CBRNE"
    OTHER = "Other"


class ResponseType(StrEnum):
    """The kind of action that is asked of the reader."""

    SHELTER = "Shelter"
    EVACUATE = "Evacuate"
    PREPARE = "Prepare"
    EXECUTE = "Execute"
    AVOID = "Avoid"
    MONITOR = "Monitor"
    ASSESS = "Assess"
    ALL_CLEAR = "AllClear"
    NONE = "None"


class Urgency(StrEnum):
    """When to act: `Immediate` now, `Expected` within the hour, `Future` soon, `Past` no longer."""

    IMMEDIATE = "Immediate"
    EXPECTED = "Expected"
    FUTURE = "Future"
    PAST = "Past"
    UNKNOWN = "Unknown"


class Severity(StrEnum):
    """Threat to life or property: `Extreme` extraordinary, `Severe` significant, `Moderate` possible, `Minor` minimal."""

    EXTREME = "Extreme"
    SEVERE = "Severe"
    MODERATE = "Moderate"
    MINOR = "Minor"
    UNKNOWN = "Unknown"


class Certainty(StrEnum):
    """How sure: `Observed` it is there, `Likely` p > 50 %, `Possible` p <= 50 %, `Unlikely` p near 0."""

    OBSERVED = "Observed"
    LIKELY = "Likely"
    POSSIBLE = "Possible"
    UNLIKELY = "Unlikely"
    UNKNOWN = "Unknown"


class NamedValue(msgspec.Struct, frozen=True):
    """One `valueName` and `value`: a parameter, an event code or a geocode of somebody's own system."""

    name: str
    value: str

    def __post_init__(self) -> None:
        _text("valueName", self.name, needed=True)
        _text(f"value of {self.name}", self.value)


class Polygon(msgspec.Struct, frozen=True):
    """A closed ring of (longitude, latitude), degrees WGS 84; the last point repeats the first. No holes, no crossing.

    CAP itself writes latitude first; that turn happens in the reader and the writer and nowhere else. A ring across
    the 180th meridian has to be cut in two there.
    """

    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        if len(self.points) < 4:
            raise InputError(f"cap polygon: got {len(self.points)} points; wanted 4 or more, the last equal to the first")
        for lon, lat in self.points:
            _position("polygon", lon, lat)
        if self.points[0] != self.points[-1]:
            raise InputError(f"cap polygon: first point {self.points[0]}, last {self.points[-1]}; wanted them equal")
        shape = shapely.Polygon(self.points)
        if not shape.is_valid or shape.area == 0.0:
            reason = shapely.is_valid_reason(shape)
            raise InputError(f"cap polygon: a ring that crosses itself or has no area ({reason}); wanted a simple one")


class Circle(msgspec.Struct, frozen=True, kw_only=True):
    """All within `radius_km` of a point; 0 is the point alone, as earthquake services send it."""

    lon: float
    lat: float
    radius_km: float

    def __post_init__(self) -> None:
        _position("circle", self.lon, self.lat)
        if not 0.0 <= self.radius_km <= RADIUS_KM_MAX:
            raise InputError(f"cap circle: radius {self.radius_km} km; wanted 0..{RADIUS_KM_MAX} km")


class Area(msgspec.Struct, frozen=True, kw_only=True):
    """Where: all of its shapes and codes together. Heights are feet above mean sea level, because the standard says so."""

    description: str
    polygons: tuple[Polygon, ...] = ()
    circles: tuple[Circle, ...] = ()
    geocodes: tuple[NamedValue, ...] = ()
    altitude_ft: float | None = None
    ceiling_ft: float | None = None

    def __post_init__(self) -> None:
        _text("areaDesc", self.description, needed=True)
        heights = [height for height in (self.altitude_ft, self.ceiling_ft) if height is not None]
        if not all(math.isfinite(height) for height in heights):
            raise InputError(f"cap area {self.description!r}: heights {heights}; wanted finite feet")
        if self.ceiling_ft is not None and (self.altitude_ft is None or self.ceiling_ft < self.altitude_ft):
            got = f"ceiling {self.ceiling_ft} ft over altitude {self.altitude_ft} ft"
            raise InputError(f"cap area {self.description!r}: {got}; wanted an altitude below it")


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, a map or a sound that belongs to the warning: behind `uri`, or as base64 in `deref_uri`."""

    description: str
    mime_type: str
    size_bytes: int | None = None
    uri: str = ""
    deref_uri: str = ""
    digest: str = ""  # SHA-1 of the content in hexadecimal, as CAP 1.2 wants it: finds damage, stops no forger

    def __post_init__(self) -> None:
        _text("resourceDesc", self.description, needed=True)
        if not _MIME.fullmatch(self.mime_type) or _NOT_XML.search(self.mime_type):
            raise InputError(f"cap resource {self.description!r}: mimeType {self.mime_type!r}; wanted e.g. image/png")
        if self.size_bytes is not None and self.size_bytes < 0:
            raise InputError(f"cap resource {self.description!r}: size {self.size_bytes}; wanted bytes, 0 or more")
        _uri("uri", self.uri, _RESOURCE_SCHEMES, relative=True)
        if not _BASE64.fullmatch(self.deref_uri) or self.deref_uri != self.deref_uri.strip():
            raise InputError(f"cap resource {self.description!r}: derefUri is not base64; wanted base64, stripped")
        if self.digest and not _SHA1.fullmatch(self.digest):
            raise InputError(f"cap resource {self.description!r}: digest {self.digest[:60]!r}; wanted 40 hexadecimal digits")


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """What is said in one language: what, how bad, how soon, how sure, where, until when, what to do."""

    category: tuple[Category, ...]
    event: str
    urgency: Urgency
    severity: Severity
    certainty: Certainty
    language: str = "en-US"  # the default of CAP 1.2, 3.2.2
    response_type: tuple[ResponseType, ...] = ()
    audience: str = ""
    event_code: tuple[NamedValue, ...] = ()
    effective: datetime | None = None  # None: when it was sent
    onset: datetime | None = None
    expires: datetime | None = None
    sender_name: str = ""
    headline: str = ""
    description: str = ""
    instruction: str = ""
    web: str = ""
    contact: str = ""
    parameter: tuple[NamedValue, ...] = ()
    resource: tuple[Resource, ...] = ()
    area: tuple[Area, ...] = ()

    def __post_init__(self) -> None:
        if not self.category:
            raise InputError(f"cap info {self.event!r}: no category; wanted one of {', '.join(Category)}")
        _text("event", self.event, needed=True)
        if not _LANGUAGE.fullmatch(self.language):
            raise InputError(f"cap info {self.event!r}: language {self.language!r}; wanted a code such as pt-BR")
        for name in ("audience", "sender_name", "headline", "description", "instruction", "contact"):
            _text(name, getattr(self, name))
        _uri("web", self.web, _WEB_SCHEMES, relative=False)
        for name in ("effective", "onset", "expires"):
            time: datetime | None = getattr(self, name)
            if time is not None:
                _time(name, time)


class Reference(msgspec.Struct, frozen=True):
    """The full name of an earlier message: who sent which, when."""

    sender: str
    identifier: str
    sent: datetime

    def __post_init__(self) -> None:
        _name("sender in references", self.sender)
        _name("identifier in references", self.identifier)
        _time("sent in references", self.sent)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One message. Change makes a new one: see `cap_draft.update` and `cap_draft.cancel`."""

    identifier: str
    sender: str
    sent: datetime
    status: Status
    msg_type: MsgType
    scope: Scope
    source: str = ""
    restriction: str = ""
    addresses: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    note: str = ""
    references: tuple[Reference, ...] = ()
    incidents: tuple[str, ...] = ()
    info: tuple[Info, ...] = ()

    def __post_init__(self) -> None:
        _name("identifier", self.identifier)
        _name("sender", self.sender)
        _time("sent", self.sent)
        for name in ("source", "restriction", "note"):
            _text(name, getattr(self, name))
        for word in self.code:
            _text("code", word, needed=True)
        for word in (*self.addresses, *self.incidents):
            _text("addresses or incidents", word, needed=True)
            if '"' in word:
                raise InputError(f"cap alert {self.identifier}: {word!r} holds a quotation mark; wanted none")
        if self.scope is Scope.PRIVATE and not self.addresses:
            raise InputError(f"cap alert {self.identifier}: scope Private without addresses; wanted who may read it")
        if self.scope is Scope.RESTRICTED and not self.restriction:
            raise InputError(f"cap alert {self.identifier}: scope Restricted without restriction; wanted the rule in words")
        if self.msg_type is not MsgType.ALERT and not self.references:
            raise InputError(f"cap alert {self.identifier}: {self.msg_type} names no earlier message; wanted references")
        if self.msg_type in (MsgType.ALERT, MsgType.UPDATE):
            for info in self.info:
                if info.expires is not None and info.expires <= self.sent:
                    raise InputError(f"cap alert {self.identifier}: expires {info.expires}; wanted after it is sent, {self.sent}")

    @property
    def reference(self) -> Reference:
        """How a later message names this one."""
        return Reference(self.sender, self.identifier, self.sent)


class Problem(msgspec.Struct, frozen=True):
    """One thing that is not as it should be: what, where, what was got and what was wanted."""

    what: str
    where: str
    got: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; got {self.got!r}, wanted {self.wanted}"


def _text(where: str, text: str, *, needed: bool = False) -> None:
    if needed and not text:
        raise InputError(f"cap {where}: is empty; wanted words")
    bad = _NOT_XML.search(text)
    if bad:
        raise InputError(f"cap {where}: character U+{ord(bad.group()):04X} at {bad.start()}; XML cannot carry it, take it out")
    if text != text.strip():
        raise InputError(f"cap {where}: {text[:40]!r} has space at an end; strip it")


def _name(where: str, name: str) -> None:
    _text(where, name, needed=True)
    if _NOT_IN_NAME.search(name):
        raise InputError(f"cap {where}: {name[:80]!r}; wanted no space, comma, < or & (CAP 1.2, 3.2.1)")


def _time(where: str, time: datetime) -> None:
    offset = time.utcoffset()
    if offset is None:
        raise InputError(f"cap {where}: {time} has no offset from UTC; wanted an aware time")
    if time.microsecond or offset.total_seconds() % 60 or abs(offset) > OFFSET_MAX:
        raise InputError(f"cap {where}: {time.isoformat()}; wanted whole seconds and an offset of whole minutes within 14 h")


def _position(where: str, lon: float, lat: float) -> None:
    if not (-180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0):
        raise InputError(f"cap {where}: longitude {lon}, latitude {lat}; wanted -180..180 and -90..90 degrees WGS 84")


def _uri(where: str, uri: str, schemes: frozenset[str], *, relative: bool) -> None:
    scheme = _SCHEME.match(uri)
    known = scheme.group(1).lower() in schemes if scheme else relative
    if uri and not (known and _URI.fullmatch(uri)):
        raise InputError(f"cap {where}: {uri[:80]!r}; wanted an address that begins with {' or '.join(sorted(schemes))}")
