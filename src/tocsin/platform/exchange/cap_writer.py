"""An alert becomes bytes: the same alert always the same bytes, and always valid against the OASIS schema of CAP 1.2."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np
from lxml import etree

from tocsin.platform.exchange.cap import Alert, Area, Info, NamedValue, Point, Reference, Resource

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"


def write_cap(alert: Alert) -> bytes:
    """CAP 1.2 as UTF-8, elements in the order of the schema, absent things left out, times with a numeric offset.

    It signs nothing and keeps no signature of a message that was read: whoever passes on the mail of others
    should pass on the bytes.
    """
    root = etree.Element(f"{{{NAMESPACE}}}alert", nsmap={None: NAMESPACE})
    _say(root, "identifier", alert.identifier)
    _say(root, "sender", alert.sender)
    _say(root, "sent", time_text(alert.sent))
    _say(root, "status", alert.status)
    _say(root, "msgType", alert.msg_type)
    _say(root, "source", alert.source)
    _say(root, "scope", alert.scope)
    _say(root, "restriction", alert.restriction)
    _say(root, "addresses", _quoted(alert.addresses))
    for code in alert.code:
        _say(root, "code", code)
    _say(root, "note", alert.note)
    _say(root, "references", " ".join(reference_text(reference) for reference in alert.references))
    _say(root, "incidents", _quoted(alert.incidents))
    for info in alert.info:
        _info(root, info)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def time_text(time: datetime) -> str:
    """2002-05-24T16:49:00-07:00. UTC is -00:00 and never Z: CAP 1.2, 3.3.2.

    >>> from datetime import timezone
    >>> time_text(datetime(2024, 5, 5, 12, tzinfo=timezone.utc))
    '2024-05-05T12:00:00-00:00'
    """
    text = time.isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "-00:00" if text.endswith("+00:00") else text


def reference_text(reference: Reference) -> str:
    """sender,identifier,sent."""
    return f"{reference.sender},{reference.identifier},{time_text(reference.sent)}"


def _info(root: etree._Element, info: Info) -> None:
    node = _part(root, "info")
    _say(node, "language", info.language)
    for category in info.category:
        _say(node, "category", category)
    _say(node, "event", info.event)
    for response in info.response_type:
        _say(node, "responseType", response)
    _say(node, "urgency", info.urgency)
    _say(node, "severity", info.severity)
    _say(node, "certainty", info.certainty)
    _say(node, "audience", info.audience)
    _pairs(node, "eventCode", info.event_code)
    for name, time in (("effective", info.effective), ("onset", info.onset), ("expires", info.expires)):
        _say(node, name, "" if time is None else time_text(time))
    _say(node, "senderName", info.sender_name)
    _say(node, "headline", info.headline)
    _say(node, "description", info.description)
    _say(node, "instruction", info.instruction)
    _say(node, "web", info.web)
    _say(node, "contact", info.contact)
    _pairs(node, "parameter", info.parameter)
    for resource in info.resource:
        _resource(node, resource)
    for area in info.area:
        _area(node, area)


def _resource(info: etree._Element, resource: Resource) -> None:
    node = _part(info, "resource")
    _say(node, "resourceDesc", resource.description)
    _say(node, "mimeType", resource.mime_type)
    _say(node, "size", "" if resource.size_bytes is None else str(resource.size_bytes))
    _say(node, "uri", resource.uri)
    _say(node, "derefUri", resource.deref_uri)
    _say(node, "digest", resource.digest)


def _area(info: etree._Element, area: Area) -> None:
    node = _part(info, "area")
    _say(node, "areaDesc", area.description)
    for polygon in area.polygons:
        _say(node, "polygon", " ".join(_pair(point) for point in polygon.points))
    for circle in area.circles:
        _say(node, "circle", f"{_pair((circle.lon, circle.lat))} {_number(circle.radius_km)}")
    _pairs(node, "geocode", area.geocodes)
    _say(node, "altitude", "" if area.altitude_ft is None else _number(area.altitude_ft))
    _say(node, "ceiling", "" if area.ceiling_ft is None else _number(area.ceiling_ft))


def _pairs(parent: etree._Element, tag: str, pairs: Iterable[NamedValue]) -> None:
    for pair in pairs:
        node = _part(parent, tag)
        _part(node, "valueName").text = pair.name
        _part(node, "value").text = pair.value  # a value may be empty, and is then still written: the schema asks for it


def _pair(point: Point) -> str:
    lon, lat = point
    return f"{_number(lat)},{_number(lon)}"


def _number(value: float) -> str:
    """The shortest digits that read back as the same number, without an exponent: xs:decimal knows none."""
    return np.format_float_positional(value + 0.0, unique=True, trim="-")  # + 0.0 turns -0.0 into 0.0


def _quoted(words: Iterable[str]) -> str:
    return " ".join(f'"{word}"' if any(mark.isspace() for mark in word) else word for word in words)


def _say(parent: etree._Element, tag: str, text: str) -> None:
    if text:
        _part(parent, tag).text = text


def _part(parent: etree._Element, tag: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}")
