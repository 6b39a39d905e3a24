"""An index of warnings: entries, links to follow, the CAP fields that it repeats."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cap_example import draft
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.platform.exchange import NamedValue, read_feed, write_cap

ALERT = write_cap(draft()).decode().partition("\n")[2]
DATE = "<updated>2024-05-03T12:00:00Z</updated>"
ENTRY = """<entry><id>e1</id><title>Flood</title><updated>2024-05-03T12:00:00Z</updated><summary>Water</summary>
<link href="http://example.org/page"/><link rel="related" type="application/cap+xml" href="https://example.org/cap/1"/>
<cap:event>Flood Warning</cap:event><cap:severity>Severe</cap:severity><cap:polygon></cap:polygon>
<cap:geocode><valueName>FIPS6</valueName><value>002090</value><valueName>UGC</valueName><value>AKZ221</value></cap:geocode></entry>"""


def atom(entries: str) -> bytes:
    head = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:cap="urn:oasis:names:tc:emergency:cap:1.1">'
    return f"{head}<title>All</title><updated>2024-05-03T12:00:00Z</updated>{entries}</feed>".encode()


def rss(items: str) -> bytes:
    return f'<rss version="2.0"><channel><title>All</title>{items}</channel></rss>'.encode()


def test_an_atom_index_gives_entries_links_and_cap_fields() -> None:
    reading = read_feed(atom(ENTRY))
    assert (reading.kind, reading.title, reading.problems) == ("atom", "All", ())
    assert reading.updated == datetime(2024, 5, 3, 12, tzinfo=UTC)
    (entry,) = reading.entries
    assert (entry.identifier, entry.title, entry.summary) == ("e1", "Flood", "Water")
    assert entry.alert_link == "https://example.org/cap/1"
    assert entry.fields == (
        NamedValue("event", "Flood Warning"),
        NamedValue("severity", "Severe"),
        NamedValue("geocode/FIPS6", "002090"),
        NamedValue("geocode/UGC", "AKZ221"),
    )
    assert entry.field("severity") == "Severe"
    assert entry.field("urgency") == ""


def test_an_rss_index_gives_entries_and_links() -> None:
    item = (
        "<item><title>Closed</title><guid>g1</guid><link>https://example.org/cap/1</link>"
        "<pubDate>Fri, 04 Feb 2011 20:20:00 GMT</pubDate></item>"
    )
    reading = read_feed(rss(item))
    assert (reading.kind, reading.problems) == ("rss", ())
    (entry,) = reading.entries
    assert (entry.identifier, entry.alert_link) == ("g1", "https://example.org/cap/1")
    assert entry.updated == datetime(2011, 2, 4, 20, 20, tzinfo=UTC)


def test_an_alert_inside_an_entry_is_read() -> None:
    reading = read_feed(atom(f"<entry><id>e</id><title>t</title>{DATE}<content>{ALERT}</content></entry>"))
    (entry,) = reading.entries
    assert reading.problems == ()
    assert entry.reading is not None
    assert entry.reading.alert == draft()


@pytest.mark.parametrize("href", ["javascript:alert(1)", "file:///etc/passwd", "", "//example.org", "https://example.org/a b"])
def test_a_link_that_nobody_should_follow_is_left_out(href: str) -> None:
    reading = read_feed(atom(f'<entry><id>e</id><title>t</title>{DATE}<link href="{href}"/></entry>'))
    assert reading.entries[0].links == ()
    assert reading.entries[0].alert_link == ""
    assert [problem.where for problem in reading.problems] == ["atom/entry[1]/link", "atom/entry[1]"]


def test_missing_parts_are_reported_and_the_entry_is_kept() -> None:
    reading = read_feed(atom("<entry/>"))
    assert len(reading.entries) == 1
    assert {problem.where.rpartition("/")[2] for problem in reading.problems} == {"id", "title", "updated", "entry[1]"}


@pytest.mark.parametrize("date", ["yesterday", "Fri, 99 Feb 2011 20:20:00 GMT", "Fri, 04 Feb 2011 20:20:00 +9999"])
def test_an_impossible_date_is_left_out(date: str) -> None:
    reading = read_feed(rss(f"<item><title>t</title><guid>g</guid><link>http://a.b</link><pubDate>{date}</pubDate></item>"))
    assert reading.entries[0].updated is None
    assert reading.problems[0].got == date


def test_only_the_first_ten_thousand_entries_are_read() -> None:
    reading = read_feed(atom("<entry/>" * 10_001))
    assert len(reading.entries) == 10_000
    assert reading.problems[0].got == "10001"


def test_only_the_first_five_hundred_fields_of_an_entry_are_read() -> None:
    reading = read_feed(atom(f"<entry>{'<cap:event>x</cap:event>' * 501}</entry>"))
    assert len(reading.entries[0].fields) == 500
    assert any("too many CAP fields" in problem.what for problem in reading.problems)


def test_what_is_no_feed_is_none() -> None:
    for data in (b"<html/>", b"<rss/>", ALERT.encode(), b""):
        reading = read_feed(data)
        assert (reading.kind, reading.entries) == ("", ())
        assert reading.problems


FEED = atom(ENTRY + f"<entry>{ALERT}</entry>")


@settings(max_examples=300, deadline=None)
@given(
    places=st.lists(st.tuples(st.integers(0, len(FEED) - 1), st.integers(0, 255)), min_size=1, max_size=8),
    end=st.integers(0, len(FEED)),
)
def test_a_damaged_feed_never_breaks_the_reader(places: list[tuple[int, int]], end: int) -> None:
    data = bytearray(FEED)
    for place, byte in places:
        data[place] = byte
    assert read_feed(bytes(data)).kind in ("atom", "rss", "")
    assert read_feed(bytes(data[:end])).kind in ("atom", "")
