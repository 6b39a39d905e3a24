"""What is written is valid against the schema of OASIS, is always the same, and reads back as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import xmlschema
from cap_example import ENGLISH, SENT, draft
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

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
    ResponseType,
    Scope,
    Severity,
    Status,
    Urgency,
    cancel,
    read_cap,
    release,
    update,
    write_cap,
)

CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=40).map(str.strip)
words = texts.filter(bool)
unquoted = words.map(lambda word: word.replace('"', "'"))
names = st.text("abcXYZ019.-_:@/'\">éü洪", min_size=1, max_size=30)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 28), timezones=zones).map(lambda t: t.replace(microsecond=0))  # noqa: DTZ001 - bounds are naive
pairs = st.builds(NamedValue, words, texts)
uris = st.sampled_from(["", "https://example.org/a%20b?c=d&e=(f)#g", "http://[a".replace("[", ""), "HTTPS://example.org"])
heights = st.floats(-1e5, 1e5)


@st.composite
def polygons(draw: st.DrawFn) -> Polygon:
    """Around a middle: simple by construction, since the angles rise."""
    lon, lat = draw(st.floats(-170, 170)), draw(st.floats(-80, 80))
    radii = draw(st.lists(st.floats(0.001, 5.0), min_size=3, max_size=12))
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    ring = [(float(lon + r * np.cos(a)), float(lat + r * np.sin(a))) for r, a in zip(radii, angles, strict=True)]
    return Polygon((*ring, ring[0]))


circles = st.builds(Circle, lon=st.floats(-180, 180), lat=st.floats(-90, 90), radius_km=st.floats(0, 20_000))


@st.composite
def areas(draw: st.DrawFn) -> Area:
    low, high = sorted([draw(heights), draw(heights)])
    tall = draw(st.sampled_from([(None, None), (low, None), (low, high)]))
    return Area(
        description=draw(words),
        polygons=tuple(draw(st.lists(polygons(), max_size=2))),
        circles=tuple(draw(st.lists(circles, max_size=2))),
        geocodes=tuple(draw(st.lists(pairs, max_size=2))),
        altitude_ft=tall[0],
        ceiling_ft=tall[1],
    )


resources = st.builds(
    Resource,
    description=words,
    mime_type=st.sampled_from(["image/png", "application/vnd.ms-excel", "text/plain; charset=utf-8"]),
    size_bytes=st.none() | st.integers(0, 10**12),
    uri=st.sampled_from(["", "map.png", "https://example.org/map.png", "cid:map"]),
    deref_uri=st.sampled_from(["", "aGVsbG8=", "aGVs\nbG8="]),
    digest=st.sampled_from(["", "0123456789abcdef0123456789ABCDEF01234567"]),
)


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    sent = draw(times)
    later = st.integers(1, 10**5).map(lambda seconds: sent + timedelta(seconds=seconds))
    infos = st.builds(
        Info,
        category=st.lists(st.sampled_from(Category), min_size=1, max_size=3, unique=True).map(tuple),
        event=words,
        urgency=st.sampled_from(Urgency),
        severity=st.sampled_from(Severity),
        certainty=st.sampled_from(Certainty),
        language=st.sampled_from(["en-US", "pt-BR", "zh-Hant-TW", "und"]),
        response_type=st.lists(st.sampled_from(ResponseType), max_size=3, unique=True).map(tuple),
        audience=texts,
        event_code=st.lists(pairs, max_size=2).map(tuple),
        effective=st.none() | times,
        onset=st.none() | times,
        expires=st.none() | later,
        sender_name=texts,
        headline=texts,
        description=texts,
        instruction=texts,
        web=uris,
        contact=texts,
        parameter=st.lists(pairs, max_size=2).map(tuple),
        resource=st.lists(resources, max_size=2).map(tuple),
        area=st.lists(areas(), max_size=2).map(tuple),
    )
    safe = names.map(lambda name: name.replace('"', "'"))
    msg_type = draw(st.sampled_from(MsgType))
    scope = draw(st.sampled_from(Scope))
    least = 0 if msg_type is MsgType.ALERT else 1
    return Alert(
        identifier=draw(names),
        sender=draw(names),
        sent=sent,
        status=draw(st.sampled_from(Status)),
        msg_type=msg_type,
        scope=scope,
        source=draw(texts),
        restriction=draw(words if scope is Scope.RESTRICTED else texts),
        addresses=tuple(draw(st.lists(safe | unquoted, min_size=int(scope is Scope.PRIVATE), max_size=3))),
        code=tuple(draw(st.lists(words, max_size=2))),
        note=draw(texts),
        references=tuple(draw(st.lists(st.builds(Reference, names, names, times), min_size=least, max_size=3))),
        incidents=tuple(draw(st.lists(safe | unquoted, max_size=2))),
        info=tuple(draw(st.lists(infos, max_size=2))),
    )


LARGE = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=150, deadline=None, suppress_health_check=LARGE)
@given(alert=alerts())
def test_any_alert_reads_back_as_it_was(alert: Alert) -> None:
    data = write_cap(alert)
    reading = read_cap(data)
    assert reading.problems == ()
    assert reading.alert == alert
    assert write_cap(reading.alert) == data


@settings(max_examples=100, deadline=None, suppress_health_check=LARGE)
@given(alert=alerts())
def test_any_alert_is_written_valid(alert: Alert, cap12: etree.XMLSchema) -> None:
    assert cap12.validate(etree.fromstring(write_cap(alert))), cap12.error_log


def life() -> list[Alert]:
    """A warning with all that may happen to it."""
    first = release(draft(), status=Status.ACTUAL, sent=SENT)
    fresh = draft(identifier="poa-2024-002", sent=SENT + timedelta(hours=1), onset=None)
    second = release(update(first, fresh), status=Status.ACTUAL, sent=SENT + timedelta(hours=1), follows=(first,))
    last: Any = cancel(
        second,
        identifier="c",
        sent=SENT + timedelta(hours=2),
        reason="Over.",
        words=(ENGLISH,),
        expires=SENT + timedelta(hours=3),
    )
    drill = draft(status=Status.EXERCISE, exercise="Rio Doce")
    return [draft(), first, second, last, drill]


def test_two_validators_agree_that_a_whole_life_is_valid(shared_data: Path, cap12: etree.XMLSchema) -> None:
    other = xmlschema.XMLSchema(shared_data / "cap" / "xsd" / "cap12.xsd")
    for alert in life():
        data = write_cap(alert)
        assert cap12.validate(etree.fromstring(data)), cap12.error_log
        other.validate(data.decode())


def test_the_same_alert_is_always_the_same_bytes() -> None:
    assert write_cap(draft()) == write_cap(draft())
    assert write_cap(draft()).startswith(
        b"<?xml version='1.0' encoding='UTF-8'?>\n<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">\n"
    )


def test_times_carry_a_number_and_never_a_letter() -> None:
    brasilia = timezone(timedelta(hours=-3))
    alert = draft(sent=SENT.astimezone(brasilia))
    root = etree.fromstring(write_cap(alert))
    assert root.findtext(f"{CAP}sent") == "2024-05-03T09:00:00-03:00"
    assert root.findtext(f"{CAP}info/{CAP}onset") == "2024-05-03T15:00:00-00:00"
    assert (
        etree.fromstring(write_cap(draft(sent=SENT.astimezone(timezone(timedelta(hours=5, minutes=45)))))).findtext(f"{CAP}sent")
        == "2024-05-03T17:45:00+05:45"
    )


def test_latitude_comes_first_in_cap() -> None:
    root = etree.fromstring(write_cap(draft()))
    assert root.findtext(f"{CAP}info/{CAP}area/{CAP}polygon") == "-30.05,-51.25 -30.05,-51.2 -30,-51.2 -30,-51.25 -30.05,-51.25"


@pytest.mark.parametrize(
    ("radius_km", "text"),
    [(0.0, "0"), (-0.0, "0"), (1.5, "1.5"), (1e-7, "0.0000001"), (12_345.678, "12345.678"), (20_000.0, "20000")],
)
def test_numbers_have_no_exponent_and_no_needless_digits(radius_km: float, text: str) -> None:
    spill = Area(description="x", circles=(Circle(lon=-0.0, lat=0.1, radius_km=radius_km),))
    root = etree.fromstring(write_cap(draft(areas=(spill,))))
    assert root.findtext(f"{CAP}info/{CAP}area/{CAP}circle") == f"0.1,0 {text}"


def test_markup_in_words_stays_words() -> None:
    evil = "</headline><status>Actual</status> & <b>"
    alert = draft(words=(draft_words(headline=evil),))
    root = etree.fromstring(write_cap(alert))
    assert root.findtext(f"{CAP}info/{CAP}headline") == evil
    assert len(root.findall(f".//{CAP}status")) == 1


def draft_words(**changes: Any) -> Any:
    return msgspec.structs.replace(ENGLISH, **changes)


def test_names_with_spaces_are_quoted_and_come_back() -> None:
    alert = Alert(
        identifier="a",
        sender="b",
        sent=datetime(2024, 5, 3, tzinfo=UTC),
        status=Status.ACTUAL,
        msg_type=MsgType.ALERT,
        scope=Scope.PRIVATE,
        addresses=("Ana Lima", "joe@example.org"),
        incidents=("Flood 2024", "x1"),
    )
    root = etree.fromstring(write_cap(alert))
    assert root.findtext(f"{CAP}addresses") == '"Ana Lima" joe@example.org'
    assert root.findtext(f"{CAP}incidents") == '"Flood 2024" x1'
    assert read_cap(write_cap(alert)).alert == alert
