"""What a CAP value refuses to be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from tocsin.platform.exchange import (
    Alert,
    Area,
    Category,
    Certainty,
    Circle,
    Info,
    MsgType,
    NamedValue,
    Polygon,
    Reference,
    Resource,
    Scope,
    Severity,
    Status,
    Urgency,
)
from tocsin.vocabulary.errors import InputError

NOON = datetime(2024, 5, 3, 12, 0, tzinfo=UTC)
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0))


def info(**changes: Any) -> Info:
    given: dict[str, Any] = {
        "category": (Category.MET,),
        "event": "Flood",
        "urgency": Urgency.IMMEDIATE,
        "severity": Severity.SEVERE,
        "certainty": Certainty.LIKELY,
    }
    return Info(**(given | changes))


def alert(**changes: Any) -> Alert:
    given: dict[str, Any] = {
        "identifier": "a1",
        "sender": "b@example.org",
        "sent": NOON,
        "status": Status.DRAFT,
        "msg_type": MsgType.ALERT,
        "scope": Scope.PUBLIC,
    }
    return Alert(**(given | changes))


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (SQUARE[:3], "3 points"),
        (SQUARE[:4], "wanted them equal"),
        (((0, 0), (1, 1), (1, 0), (0, 1), (0, 0)), "Self-intersection"),
        (((0, 0), (1, 0), (2, 0), (0, 0)), "no area"),
        (((0, 0), (181, 0), (1, 1), (0, 0)), "longitude 181"),
        (((0, 0), (0, 91), (1, 1), (0, 0)), "latitude 91"),
        (((0, 0), (float("nan"), 0), (1, 1), (0, 0)), "longitude nan"),
        (((0, 0), (0, float("inf")), (1, 1), (0, 0)), "latitude inf"),
    ],
)
def test_a_polygon_is_a_closed_simple_ring_on_the_earth(points: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Polygon(points)


def test_a_square_is_a_polygon() -> None:
    assert Polygon(SQUARE).points == SQUARE


@pytest.mark.parametrize("radius_km", [-0.1, 20_038.0, float("nan"), float("inf")])
def test_a_circle_is_not_larger_than_the_earth(radius_km: float) -> None:
    with pytest.raises(InputError, match="radius"):
        Circle(lon=0.0, lat=0.0, radius_km=radius_km)


def test_a_circle_may_be_a_point() -> None:
    assert Circle(lon=-173.274, lat=-16.053, radius_km=0.0).radius_km == 0.0


@pytest.mark.parametrize(
    "heights", [{"ceiling_ft": 10.0}, {"altitude_ft": 20.0, "ceiling_ft": 10.0}, {"altitude_ft": float("nan")}]
)
def test_a_ceiling_lies_over_an_altitude(heights: Any) -> None:
    with pytest.raises(InputError, match="area 'x'"):
        Area(description="x", **heights)


@pytest.mark.parametrize("field", ["identifier", "sender"])
@pytest.mark.parametrize("name", ["", "a b", "a,b", "a<b", "a&b", "a\u00a0b", "a\n"])
def test_identifier_and_sender_hold_no_space_comma_or_markup(field: str, name: str) -> None:
    with pytest.raises(InputError, match=field):
        alert(**{field: name})
    with pytest.raises(InputError, match=field):
        Reference(name if field == "sender" else "s", name if field == "identifier" else "i", NOON)


@pytest.mark.parametrize(
    "time",
    [
        datetime(2024, 5, 3, 12, 0),  # noqa: DTZ001 - a naive time is what is refused
        datetime(2024, 5, 3, 12, 0, 0, 1, tzinfo=UTC),
        datetime(2024, 5, 3, 12, 0, tzinfo=timezone(timedelta(hours=15))),
        datetime(2024, 5, 3, 12, 0, tzinfo=timezone(timedelta(seconds=61))),
    ],
)
def test_a_time_is_aware_and_of_whole_seconds(time: datetime) -> None:
    with pytest.raises(InputError, match="sent"):
        alert(sent=time)
    for name in ("effective", "onset", "expires"):
        with pytest.raises(InputError, match=name):
            info(**{name: time})


@pytest.mark.parametrize("before_s", [0, 1, 3600])
def test_a_warning_that_is_over_when_it_is_sent_is_refused(before_s: int) -> None:
    with pytest.raises(InputError, match="expires"):
        alert(info=(info(expires=NOON - timedelta(seconds=before_s)),))


def test_a_cancel_may_be_over_when_it_is_sent() -> None:
    earlier = Reference("b@example.org", "a0", NOON - timedelta(hours=1))
    over = info(expires=NOON)
    assert alert(msg_type=MsgType.CANCEL, references=(earlier,), info=(over,)).info == (over,)


@pytest.mark.parametrize("msg_type", [MsgType.UPDATE, MsgType.CANCEL, MsgType.ACK, MsgType.ERROR])
def test_all_but_an_alert_name_an_earlier_message(msg_type: MsgType) -> None:
    with pytest.raises(InputError, match="names no earlier message"):
        alert(msg_type=msg_type)


def test_a_private_message_has_addresses_and_a_restricted_one_a_rule() -> None:
    with pytest.raises(InputError, match="Private without addresses"):
        alert(scope=Scope.PRIVATE)
    with pytest.raises(InputError, match="Restricted without restriction"):
        alert(scope=Scope.RESTRICTED)
    assert alert(scope=Scope.PRIVATE, addresses=("Ana Lima",)).addresses == ("Ana Lima",)
    assert alert(scope=Scope.RESTRICTED, restriction="fire brigade only").restriction


@pytest.mark.parametrize("text", ["a\0b", "a\x0bb", "a\ud800b", "a\uffffb", " a", "a\n"])
def test_a_text_is_what_xml_can_carry_and_has_no_space_at_its_ends(text: str) -> None:
    for name in ("headline", "description", "instruction", "contact", "audience", "sender_name", "event"):
        with pytest.raises(InputError, match=name.split("_")[0]):
            info(**{name: text})
    for name in ("source", "note", "restriction"):
        with pytest.raises(InputError, match=name):
            alert(**{name: text})


def test_an_info_needs_a_category_and_an_event() -> None:
    with pytest.raises(InputError, match="category"):
        info(category=())
    with pytest.raises(InputError, match="event"):
        info(event="")


@pytest.mark.parametrize("language", ["", "pt_BR", "portuguese language", "abcdefghi", "pt-"])
def test_a_language_is_a_code(language: str) -> None:
    with pytest.raises(InputError, match="language"):
        info(language=language)


@pytest.mark.parametrize(
    "web", ["javascript:alert(1)", "file:///etc/passwd", "www.example.org", "http://a b", "http://a/%zz", "http://a|"]
)
def test_a_web_address_is_one_that_a_person_may_click(web: str) -> None:
    with pytest.raises(InputError, match="web"):
        info(web=web)


@pytest.mark.parametrize(
    "change",
    [
        {"mime_type": "png"},
        {"mime_type": ""},
        {"size_bytes": -1},
        {"uri": "javascript:alert(1)"},
        {"deref_uri": "<b>"},
        {"digest": "abc"},
        {"description": ""},
    ],
)
def test_a_resource_refuses_what_it_cannot_be(change: dict[str, Any]) -> None:
    given: dict[str, Any] = {"description": "map", "mime_type": "image/png", "uri": "map.png"}
    assert Resource(**given).uri == "map.png"
    with pytest.raises(InputError, match="cap "):
        Resource(**(given | change))


def test_a_parameter_may_be_empty_but_not_nameless() -> None:
    assert NamedValue("VTEC", "").value == ""
    with pytest.raises(InputError, match="valueName"):
        NamedValue("", "x")


def test_a_value_cannot_be_changed_but_a_changed_copy_is_checked_again() -> None:
    value = alert()
    with pytest.raises(AttributeError):
        value.status = Status.ACTUAL  # type: ignore[misc]
    with pytest.raises(InputError):
        msgspec.structs.replace(value, scope=Scope.PRIVATE)


def test_a_word_with_a_quotation_mark_is_refused_where_cap_quotes() -> None:
    with pytest.raises(InputError, match="quotation mark"):
        alert(addresses=('a"b',))
    with pytest.raises(InputError, match="quotation mark"):
        alert(incidents=('a"b',))
