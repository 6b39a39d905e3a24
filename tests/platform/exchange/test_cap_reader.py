"""Whatever the bytes are, a reading comes back; a warning that can be understood is not lost."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

import pytest
from cap_example import draft
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.platform.exchange import (
    CapReading,
    Category,
    Certainty,
    MsgType,
    NamedValue,
    Polygon,
    Scope,
    Severity,
    Status,
    Urgency,
    read_cap,
    read_feed,
    write_cap,
)

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
HEAD = (
    "<identifier>i1</identifier><sender>s@example.org</sender><sent>2024-05-03T12:00:00-03:00</sent>"
    "<status>Actual</status><msgType>Alert</msgType><scope>Public</scope>"
)
INFO = (
    "<category>Met</category><event>Flood</event><urgency>Immediate</urgency><severity>Severe</severity>"
    "<certainty>Observed</certainty>"
)


def message(head: str = HEAD, info: str = INFO, namespace: str = NAMESPACE) -> bytes:
    body = f"<info>{info}</info>" if info else ""
    return f'<alert xmlns="{namespace}">{head}{body}</alert>'.encode()


def area(inside: str) -> bytes:
    return message(info=f"{INFO}<area><areaDesc>x</areaDesc>{inside}</area>")


def only(data: bytes) -> Any:
    """The alert of a message with exactly one problem, and that problem."""
    reading = read_cap(data)
    assert len(reading.problems) == 1, [str(problem) for problem in reading.problems]
    return reading.alert, reading.problems[0]


def test_a_sound_message_has_no_problems() -> None:
    reading = read_cap(message())
    assert reading.problems == ()
    assert reading.version == "1.2"
    assert reading.alert is not None
    assert reading.alert.sent == datetime(2024, 5, 3, 15, 0, tzinfo=UTC)
    assert reading.alert.info[0].severity is Severity.SEVERE


@pytest.mark.parametrize("tag", ["identifier", "sender", "sent", "status", "msgType", "scope"])
def test_without_who_what_and_to_whom_there_is_no_alert(tag: str) -> None:
    reading = read_cap(message(re.sub(f"<{tag}>.*?</{tag}>", "", HEAD)))
    assert reading.alert is None
    assert reading.problems[0].where == f"alert/{tag}"


def test_a_problem_says_what_where_got_and_wanted() -> None:
    _, problem = only(message(info=INFO.replace("Severe", "Huge")))
    assert problem.where == "alert/info[1]/severity"
    assert problem.got == "Huge"
    assert problem.wanted == "one of Extreme, Severe, Moderate, Minor, Unknown"
    assert str(problem) == f"{problem.where}: {problem.what}; got 'Huge', wanted {problem.wanted}"


@pytest.mark.parametrize(
    ("tag", "value", "field", "read"),
    [
        ("urgency", "Soon", "urgency", Urgency.UNKNOWN),
        ("severity", "", "severity", Severity.UNKNOWN),
        ("certainty", "sure", "certainty", Certainty.UNKNOWN),
        ("category", "Water", "category", (Category.OTHER,)),
        ("event", "", "event", "(event not named)"),
    ],
)
def test_a_warning_with_a_broken_word_is_kept(tag: str, value: str, field: str, read: object) -> None:
    reading = read_cap(message(info=re.sub(f"<{tag}>.*?</{tag}>", f"<{tag}>{value}</{tag}>", INFO)))
    assert reading.alert is not None
    assert reading.problems
    assert getattr(reading.alert.info[0], field) == read


def test_a_word_in_the_wrong_case_is_understood_and_reported() -> None:
    alert, problem = only(message(HEAD.replace("Actual", "ACTUAL")))
    assert alert.status is Status.ACTUAL
    assert problem.got == "ACTUAL"


def test_very_likely_of_cap_1_0_is_likely() -> None:
    reading = read_cap(message(info=INFO.replace("Observed", "Very Likely"), namespace="http://www.incident.com/cap/1.0"))
    assert reading.problems == ()
    assert reading.alert is not None
    assert reading.alert.info[0].certainty is Certainty.LIKELY


def test_codes_of_cap_1_0_are_name_and_value_in_one_text() -> None:
    info = (
        INFO.replace("Observed", "Likely")
        + "<eventCode>SAME=CEM</eventCode><area><areaDesc>x</areaDesc><geocode>FIPS6 = 006109</geocode></area>"
    )
    head = HEAD.replace("<scope>Public</scope>", "").replace("-03:00", "Z") + "<password>secret</password>"
    reading = read_cap(message(head, info, "http://www.incident.com/cap/1.0"))
    assert reading.version == "1.0"
    assert reading.alert is not None
    assert reading.alert.scope is Scope.PUBLIC
    assert reading.alert.info[0].event_code == (NamedValue("SAME", "CEM"),)
    assert reading.alert.info[0].area[0].geocodes == (NamedValue("FIPS6", "006109"),)
    assert "secret" not in str(reading)


def test_cap_1_1_may_end_a_time_with_z_and_leave_out_a_mime_type() -> None:
    info = INFO + "<expires>2024-05-03T20:00:00Z</expires><resource><resourceDesc>map</resourceDesc></resource>"
    reading = read_cap(message(info=info, namespace="urn:oasis:names:tc:emergency:cap:1.1"))
    assert reading.problems == ()
    assert reading.version == "1.1"
    assert reading.alert is not None
    assert reading.alert.info[0].resource[0].mime_type == "application/octet-stream"


def test_an_end_before_the_beginning_is_left_out_so_that_the_warning_stands() -> None:
    alert, problem = only(message(info=INFO + "<expires>2024-05-03T12:00:00-03:00</expires>"))
    assert alert.info[0].expires is None
    assert problem.where == "alert/info[1]/expires"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2024-05-03T20:00:00Z", datetime(2024, 5, 3, 20, tzinfo=UTC)),
        ("2024-05-03T20:00:00.250-03:00", datetime(2024, 5, 3, 23, tzinfo=UTC)),
        ("2024-05-03 20:00-0300", datetime(2024, 5, 3, 23, tzinfo=UTC)),
        ("2024-05-03T20:00:00", datetime(2024, 5, 3, 23, tzinfo=UTC)),  # with the offset of sent
        ("2024-13-03T20:00:00-03:00", None),
        ("2024-05-03T20:00:00-15:00", None),
        ("2024-05-03T20:00:00-24:00", None),
        ("0000-05-03T20:00:00-03:00", None),
        ("tomorrow", None),
        ("٢٠٢٤-05-03T20:00:00-03:00", None),
    ],
)
def test_an_untidy_time_is_read_and_an_impossible_one_left_out(text: str, read: datetime | None) -> None:
    alert, problem = only(message(info=f"{INFO}<expires>{text}</expires>"))
    assert alert.info[0].expires == read
    assert problem.got == text


def test_a_time_without_offset_in_sent_is_read_as_utc() -> None:
    alert, _ = only(message(HEAD.replace("-03:00", "")))
    assert alert.sent == datetime(2024, 5, 3, 12, tzinfo=UTC)


def test_an_update_of_nothing_is_a_new_alert_and_a_cancel_of_nothing_is_nothing() -> None:
    alert, _ = only(message(HEAD.replace(">Alert<", ">Update<")))
    assert alert.msg_type is MsgType.ALERT
    assert read_cap(message(HEAD.replace(">Alert<", ">Cancel<"))).alert is None


def test_references_are_read_and_broken_ones_left_out() -> None:
    head = HEAD + "<references>a,b,2024-05-03T11:00:00-03:00\n c,d  e,f,yesterday</references>"
    reading = read_cap(message(head))
    assert reading.alert is not None
    assert [reference.identifier for reference in reading.alert.references] == ["b"]
    assert [problem.got for problem in reading.problems] == ["c,d", "yesterday"]


def test_a_forbidden_character_in_an_identifier_does_not_lose_the_warning() -> None:
    alert, problem = only(message(HEAD.replace("i1", "INVALID, 1")))
    assert alert.identifier == "INVALID__1"
    assert problem.where == "alert/identifier"


def test_private_without_addresses_is_not_shown_to_anybody() -> None:
    assert read_cap(message(HEAD.replace("Public", "Private"))).alert is None


def test_restricted_without_a_rule_stays_restricted() -> None:
    alert, _ = only(message(HEAD.replace("Public", "Restricted")))
    assert alert.scope is Scope.RESTRICTED
    assert alert.restriction


def test_latitude_first_becomes_longitude_first() -> None:
    ring = "-30.05,-51.25 -30.05,-51.2\n-30,-51.2 -30.05,-51.25"
    reading = read_cap(area(f"<polygon>{ring}</polygon><circle>-30,-51.2 1.5</circle>"))
    assert reading.problems == ()
    assert reading.alert is not None
    (ground,) = reading.alert.info[0].area
    assert ground.polygons == (Polygon(((-51.25, -30.05), (-51.2, -30.05), (-51.2, -30.0), (-51.25, -30.05))),)
    assert (ground.circles[0].lon, ground.circles[0].lat, ground.circles[0].radius_km) == (-51.2, -30.0, 1.5)


@pytest.mark.parametrize(
    "text",
    [
        "0,0 0,2 2,2",  # open
        "0,0, 0,2, 2,2, 0,0",
        "0 0 0 2 2 2 0 0",
        "0, 0 0, 2 2, 2 0, 0",
    ],
)
def test_an_untidy_polygon_is_read(text: str) -> None:
    alert, _ = only(area(f"<polygon>{text}</polygon>"))
    assert alert.info[0].area[0].polygons == (Polygon(((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 0.0))),)


def test_a_polygon_that_crosses_itself_becomes_its_hull_so_that_no_ground_is_lost() -> None:
    alert, _ = only(area("<polygon>0,0 2,2 2,0 0,2 0,0</polygon>"))
    (polygon,) = alert.info[0].area[0].polygons
    assert set(polygon.points) == {(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)}


@pytest.mark.parametrize(
    "text",
    ["", "0,0 0,1", "1,1 1,1 1,1 1,1", "91,0 0,1 1,1 91,0", "a,b c,d", "1e9,0 0,1 1,1 1e9,0", "0,0 0,1 1", "1" * 1000 + ",1"],
)
def test_a_polygon_without_ground_is_left_out_and_the_rest_is_kept(text: str) -> None:
    reading = read_cap(area(f"<polygon>{text}</polygon><geocode><valueName>UGC</valueName><value>NVC013</value></geocode>"))
    assert reading.problems
    assert reading.alert is not None
    (ground,) = reading.alert.info[0].area
    assert ground.polygons == ()
    assert ground.geocodes == (NamedValue("UGC", "NVC013"),)


def test_a_huge_polygon_becomes_its_hull() -> None:
    ring = [f"{lat:.4f},{lon}" for lon in (0, 1) for lat in (x / 2000 for x in range(12_000))]
    reading = read_cap(area(f"<polygon>{' '.join([*ring, ring[0]])}</polygon>"))
    assert "too many points" in reading.problems[0].what
    assert reading.alert is not None
    assert len(reading.alert.info[0].area[0].polygons[0].points) < 100


@pytest.mark.parametrize("circle", ["", "0,0", "0,0 -1", "0,0 99999", "91,0 1", "0,0 1 2", "a"])
def test_a_circle_that_cannot_be_is_left_out(circle: str) -> None:
    alert, _ = only(area(f"<circle>{circle}</circle>"))
    assert alert.info[0].area[0].circles == ()


@pytest.mark.parametrize("heights", ["<ceiling>5</ceiling>", "<altitude>9</altitude><ceiling>5</ceiling>"])
def test_a_ceiling_under_its_altitude_is_left_out(heights: str) -> None:
    alert, _ = only(area(heights))
    assert alert.info[0].area[0].ceiling_ft is None


def test_a_link_that_nobody_should_click_is_left_out_and_the_info_kept() -> None:
    alert, _ = only(message(info=INFO + "<web>javascript:alert(1)</web>"))
    assert alert.info[0].web == ""
    assert alert.info[0].event == "Flood"


def test_a_resource_that_cannot_be_used_is_left_out_and_the_info_kept() -> None:
    broken = "<resource><resourceDesc>map</resourceDesc><mimeType>image/png</mimeType><uri>file:///etc/passwd</uri></resource>"
    alert, _ = only(message(info=INFO + broken))
    assert alert.info[0].resource == ()


def test_unknown_repeated_and_disordered_elements_are_reported() -> None:
    head = HEAD.replace("<status>", "<foo/><status>") + "<source>b</source><source>c</source>"
    reading = read_cap(message(head))
    assert [problem.what.split(",")[0] for problem in reading.problems] == [
        "is unknown here",
        "is out of order",
        "is out of order",
        "is there more than once",
    ]
    assert reading.alert is not None
    assert reading.alert.source == "b"


def test_elements_inside_a_text_are_read_as_text() -> None:
    alert, _ = only(message(info=f"{INFO}<headline>Leave <b>now</b></headline>"))
    assert alert.info[0].headline == "Leave now"


@pytest.mark.parametrize("namespace", ["", "urn:oasis:names:tc:emergency:cap:1.3"])
def test_an_unknown_namespace_is_read_as_1_2_and_reported(namespace: str) -> None:
    alert, problem = only(message(namespace=namespace))
    assert alert.identifier == "i1"
    assert problem.got == namespace


def test_a_prefix_is_as_good_as_a_default_namespace() -> None:
    data = f'<c:alert xmlns:c="{NAMESPACE}">{HEAD}</c:alert>'.replace("<i", "<c:i").replace("</i", "</c:i")
    for tag in ("sender", "sent", "status", "msgType", "scope"):
        data = data.replace(f"<{tag}>", f"<c:{tag}>").replace(f"</{tag}>", f"</c:{tag}>")
    reading = read_cap(data.encode())
    assert reading.problems == ()
    assert reading.alert is not None


def test_a_signature_is_seen_and_never_called_proof() -> None:
    signed = message(
        HEAD + '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignatureValue>forged</SignatureValue></Signature>'
    )
    reading = read_cap(signed)
    assert reading.signed
    assert reading.problems == ()
    assert not read_cap(message()).signed
    assert "verified" not in CapReading.__struct_fields__


# Hostile input.

WATER = message(info=f"{INFO}<headline>água</headline>")
SOUND = write_cap(draft())
TAGS = re.findall(
    r"\w+",
    """identifier sender sent status msgType scope references incidents addresses language category event onset expires web
    polygon circle altitude size digest valueName""",
)

LAUGHS = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))


@pytest.mark.parametrize(
    "data",
    [
        b'<?xml version="1.0"?><!DOCTYPE alert [<!ENTITY a0 "lol">' + LAUGHS + b"]><alert>&a9;</alert>",
        b'<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert>&x;</alert>',
        b'<!-- <a> --> <?pi <a>?> <!DOCTYPE alert SYSTEM "http://127.0.0.1:9/x.dtd"><alert/>',
        '<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert>&x;</alert>'.encode("utf-16"),
        '<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert>&x;</alert>'.encode("utf-16-be"),
    ],
)
def test_a_document_type_is_not_read(data: bytes) -> None:
    for reading in (read_cap(data), read_feed(data)):
        assert "document type" in reading.problems[0].what
        assert "root:" not in str(reading)
    assert read_cap(data).alert is None


def test_an_entity_that_nobody_declared_is_not_guessed() -> None:
    assert read_cap(message(HEAD + "<note>&secret;</note>")).alert is None


def test_a_message_of_100_megabytes_is_not_read() -> None:
    reading = read_cap(b"<alert>" + b"a" * 100_000_000)
    assert reading.alert is None
    assert reading.problems[0].got == "100000007 bytes"


@pytest.mark.parametrize("depth", [40, 250, 50_000])
def test_deep_nesting_is_not_read(depth: int) -> None:
    reading = read_cap(b"<a>" * depth + b"</a>" * depth)
    assert reading.alert is None
    assert "deep" in str(reading.problems[0]) or "depth" in str(reading.problems[0])


def test_too_many_tags_are_not_read() -> None:
    assert "too many tags" in read_cap(b"<alert>" + b"<a/>" * 200_000 + b"</alert>").problems[0].what


def test_a_flood_of_problems_is_counted_and_not_kept() -> None:
    reading = read_cap(message(HEAD + "<foo/>" * 5_000))
    assert len(reading.problems) == 201
    assert reading.problems[-1].got == "4800"


@pytest.mark.parametrize(
    ("data", "clean"),
    [
        (WATER, True),
        (b'<?xml version="1.0" encoding="UTF-8"?>' + WATER, True),
        (b"\xef\xbb\xbf" + WATER, True),
        (WATER.decode().encode("utf-16"), True),
        (WATER.decode().encode("utf-16-le"), True),
        (
            b"<?xml version='1.0' encoding='ISO-8859-1'?>" + WATER.decode().encode("latin-1"),
            True,
        ),
        (WATER.decode().encode("latin-1"), False),
        (b'<?xml version="1.0" encoding="utf-16"?>' + WATER, False),
        (b'<?xml version="1.0" encoding="UTF-7"?>' + WATER, False),
        (b'<?xml version="1.0" encoding="rot13"?>' + WATER, False),
        (message(info=f"{INFO}<headline>á\0gua</headline>"), False),
    ],
)
def test_the_words_survive_every_usual_encoding_and_wrong_claim(data: bytes, clean: bool) -> None:
    reading = read_cap(data)
    assert reading.alert is not None
    assert reading.alert.info[0].headline == "água"
    assert (reading.problems == ()) is clean


def test_nothing_at_all_is_a_problem() -> None:
    for data in (b"", b" ", b"\0", b"<", b"{}", b"<html/>", b"\xff\xfe"):
        reading = read_cap(data)
        assert reading.alert is None
        assert reading.problems


def survives(data: bytes) -> None:
    """A reading comes back; and what was understood can be written and read again without a new problem."""
    reading = read_cap(data)
    assert reading.alert is not None or reading.problems
    if reading.alert is not None:
        again = read_cap(write_cap(reading.alert))
        assert again.alert == reading.alert
        assert again.problems == ()
    read_feed(data)


def test_a_message_cut_off_anywhere_is_never_taken_for_a_whole_one() -> None:
    for end in range(len(SOUND.rstrip())):
        reading = read_cap(SOUND[:end])
        assert reading.alert is None
        assert reading.problems


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(places=st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_flipped_bytes_never_break_the_reader(places: list[tuple[int, int]]) -> None:
    data = bytearray(SOUND)
    for place, byte in places:
        data[place] = byte
    survives(bytes(data))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tag=st.sampled_from(TAGS),
    text=st.text(max_size=60) | st.from_regex(r"[-+0-9T:,. ZeE]{0,40}", fullmatch=True),
)
def test_any_text_in_any_element_never_breaks_the_reader(tag: str, text: str) -> None:
    body = SOUND.decode()
    start = body.find(f"<{tag}>")
    piece = f"<{tag}>{escape(text)}</{tag}>"
    if start < 0:
        data = body.replace("</areaDesc>", f"</areaDesc>{piece}")
    else:
        end = body.index(f"</{tag}>", start) + len(tag) + 3
        data = body[:start] + piece + body[end:]
    survives(data.encode("utf-8", "surrogatepass"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_at_all_never_break_the_readers(data: bytes) -> None:
    survives(data)


def test_the_reader_keeps_the_offset_of_the_sender() -> None:
    reading = read_cap(message())
    assert reading.alert is not None
    assert reading.alert.sent.utcoffset() == timedelta(hours=-3)
