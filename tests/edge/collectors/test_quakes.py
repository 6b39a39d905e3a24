"""Earthquakes of the USGS and of FDSN services: each revision once, the one before as its cause, and what was no earthquake is cancelled."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from collector_place import EDGE, Web, bulletins, made, polls, quick_host

from tocsin.edge.collectors.fdsn import Fdsn
from tocsin.edge.collectors.usgs import Usgs
from tocsin.vocabulary import Unavailable, record_id

WEEK = "https://earthquake.usgs.gov/earthquakes/feed/v1.0/summary/all_week.geojson"
T0_MS = 1772364000000  # 2026-03-01T11:20:00Z


def event(name: str = "us1", *, updated_ms: int = T0_MS + 600_000, **more: Any) -> dict[str, Any]:
    told = {
        "mag": 4.6,
        "place": "12 km N of Nowhere",
        "time": T0_MS,
        "updated": updated_ms,
        "url": f"https://earthquake.usgs.gov/earthquakes/eventpage/{name}",
        "felt": None,
        "tsunami": 0,
        "status": "automatic",
        "net": "us",
        "ids": f",{name},",
        "magType": "mb",
        "type": "earthquake",
        "title": "M 4.6 - 12 km N of Nowhere",
        **more,
    }
    return {"type": "Feature", "id": name, "properties": told, "geometry": {"type": "Point", "coordinates": [8.5, 47.4, 10.0]}}


def feed(*events: Any, generated_ms: int = T0_MS + 3_600_000) -> dict[str, Any]:
    return {"type": "FeatureCollection", "metadata": {"generated": generated_ms, "count": len(events)}, "features": list(events)}


def asked(answers: list[Any], collector: Any, *, host: Any = None) -> Any:
    """A host after the collector has had each answer once, in turn."""
    left = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        told = next(left)
        return told if isinstance(told, httpx.Response) else httpx.Response(200, json=told)

    host = host or quick_host(Web(answer))
    host.net = Web(answer)
    asyncio.run(polls(collector, host, len(answers)))
    return host


def test_the_real_feed_of_a_week_is_told_once_however_often_it_is_asked(shared_data: Path) -> None:
    body = (shared_data / "quake" / "usgs_earthquakes_week.geojson").read_bytes()
    quakes = made(Usgs, url=WEEK, min_magnitude=4.0)
    answers = [httpx.Response(200, content=body) for _ in range(3)]
    host = asked(answers, quakes)
    told = bulletins(host)
    strong = [one for one in json.loads(body)["features"] if one["properties"]["mag"] is None or one["properties"]["mag"] >= 4.0]
    assert len(told) == len(strong) > 100
    assert all(one.figures["magnitude"] >= 4.0 for one in told if "magnitude" in one.figures)
    assert quakes.tally.dropped == {}
    again = asked([httpx.Response(200, content=body)], made(Usgs, url=WEEK, min_magnitude=4.0), host=host)
    assert len(bulletins(again)) == len(told)


def test_an_event_is_told_with_where_when_and_how_strong() -> None:
    (told,) = bulletins(asked([feed(event())], made(Usgs, url=WEEK)))
    assert (told.subject, told.state, told.status, told.event, told.sender) == (
        "usgs:us1",
        "issued",
        "actual",
        "earthquake",
        "us",
    )
    assert (told.longitude, told.latitude, told.figures) == (8.5, 47.4, {"magnitude": 4.6, "depth_km": 10.0, "tsunami_flag": 0.0})
    assert (told.time - told.begins) == timedelta(minutes=10)  # type: ignore[operator]
    assert json.loads(told.text)["magType"] == "mb"


def test_a_revision_follows_the_one_before_it_and_an_older_one_is_no_news() -> None:
    later = event(updated_ms=T0_MS + 900_000, mag=4.9, status="reviewed")
    first, second = bulletins(asked([feed(event()), feed(later), feed(event()), feed(later)], made(Usgs, url=WEEK)))
    assert second.cause == (record_id(first),)
    assert (first.state, second.state, second.figures["magnitude"]) == ("issued", "updated", 4.9)


def test_an_event_that_turns_out_to_be_weaker_than_we_ask_for_is_heard_of_still() -> None:
    weaker = event(updated_ms=T0_MS + 900_000, mag=3.1)
    told = bulletins(asked([feed(event(), event("us2", mag=3.0)), feed(weaker)], made(Usgs, url=WEEK, min_magnitude=4.0)))
    assert [(one.subject, one.figures["magnitude"]) for one in told] == [("usgs:us1", 4.6), ("usgs:us1", 3.1)]


def test_the_chain_goes_on_after_a_new_start() -> None:
    host = asked([feed(event())], made(Usgs, url=WEEK))
    host = asked([feed(event(updated_ms=T0_MS + 900_000, mag=4.9))], made(Usgs, url=WEEK), host=host)
    first, second = bulletins(host)
    assert second.cause == (record_id(first),)


def test_another_networks_name_for_the_event_is_the_same_event() -> None:
    renamed = event("nc7", updated_ms=T0_MS + 900_000, ids=",us1,nc7,")
    told = bulletins(asked([feed(event()), feed(renamed)], made(Usgs, url=WEEK)))
    assert [one.subject for one in told] == ["usgs:us1", "usgs:us1"]


def test_an_event_that_is_deleted_or_gone_for_two_answers_is_cancelled() -> None:
    deleted = event(updated_ms=T0_MS + 900_000, status="deleted")
    assert [one.state for one in bulletins(asked([feed(event()), feed(deleted)], made(Usgs, url=WEEK)))] == [
        "issued",
        "cancelled",
    ]
    other = event("us2")
    gone = [feed(other, generated_ms=T0_MS + hour * 3_600_000) for hour in (2, 3, 4)]
    told = bulletins(asked([feed(event(), other), *gone], made(Usgs, url=WEEK)))
    assert [(one.subject, one.state) for one in told] == [
        ("usgs:us1", "issued"),
        ("usgs:us2", "issued"),
        ("usgs:us1", "cancelled"),
    ]
    assert "no longer in the feed" in told[-1].headline


def test_an_event_that_is_missing_once_or_has_grown_old_or_from_an_empty_feed_is_not_cancelled() -> None:
    other = event("us2")
    once = [feed(event(), other), feed(other), feed(event(), other), feed(other)]
    assert len(bulletins(asked(once, made(Usgs, url=WEEK)))) == 2
    week_ms = 7 * 86_400_000
    old = [feed(event(), other), *[feed(other, generated_ms=T0_MS + week_ms + k * 1_000) for k in range(3)]]
    assert len(bulletins(asked(old, made(Usgs, url=WEEK)))) == 2
    assert len(bulletins(asked([feed(event()), feed(), feed(), feed()], made(Usgs, url=WEEK)))) == 1


@pytest.mark.parametrize(
    "bad",
    [
        None,
        7,
        {"id": "x"},
        {**event("x"), "geometry": None},
        {**event("x"), "geometry": {"coordinates": [1e9, 0, 0]}},
        {**event("x"), "geometry": {"coordinates": ["a", "b"]}},
        {**event("x"), "id": {"a": 1}},
        {**event("x"), "id": "a\n" * 500},
        event("x", updated_ms=None),  # type: ignore[arg-type]
        event("x", time="yesterday"),
        event("x", time=10**40),
    ],
)
def test_a_broken_event_costs_only_itself(bad: Any) -> None:
    quakes = made(Usgs, url=WEEK)
    told = bulletins(asked([feed(bad, event())], quakes))
    assert [one.subject for one in told] == ["usgs:us1"]
    assert sum(quakes.tally.dropped.values()) == 1


def test_odd_fields_are_left_out_and_the_event_is_told() -> None:
    odd = event(mag={"a": 1}, title=None, place=7, url="javascript:alert(1)", felt=float(10**12), net="u\0s")
    (told,) = bulletins(asked([feed(odd)], made(Usgs, url=WEEK)))
    assert (told.figures, told.url, told.sender, told.headline) == ({"depth_km": 10.0, "tsunami_flag": 0.0}, "", "us", "us1")


def test_three_answers_that_are_no_feed_are_a_fault() -> None:
    with pytest.raises(Unavailable, match="3 answers in a row cannot be used: no feed"):
        asked([{"features": 7}] * 3, made(Usgs, url=WEEK))


# FDSN Web Service Specifications 1.2, fdsnws-event, text format, with a line as EMSC and INGV send them.
HEAD = "#EventID|Time|Latitude|Longitude|Depth/km|Author|Catalog|Contributor|ContributorID|MagType|Magnitude|MagAuthor|EventLocationName|EventType\n"
LINE = "31415|2026-03-01T11:20:00.120000|47.4|8.5|10.2|SED|cat|SED|31415|ML|3.1|SED|Zuerich (CH)|earthquake\n"
SERVICE = "https://example.org/fdsnws/event/1/query"


def test_the_text_of_an_event_service_is_told_and_a_changed_line_is_a_revision() -> None:
    quakes = made(Fdsn, url=SERVICE)
    changed = LINE.replace("|3.1|", "|3.3|")
    texts = [HEAD + LINE, HEAD + LINE, HEAD + changed]
    host = asked([httpx.Response(200, content=text.encode()) for text in texts] + [httpx.Response(204)], quakes)
    first, second = bulletins(host)
    assert (first.subject, first.headline, first.sender) == ("fdsn:example.org:31415", "M 3.1 ML Zuerich (CH)", "SED")
    assert first.figures == {"magnitude": 3.1, "depth_km": 10.2}
    assert (second.state, second.cause, second.figures["magnitude"]) == ("updated", (record_id(first),), 3.3)


def test_the_service_is_asked_for_a_time_a_size_and_an_area() -> None:
    quakes = made(Fdsn, url=SERVICE, area=[5.0, 45.0, 11.0, 48.0], min_magnitude=3.0, lookback_h=24.0)
    host = asked([httpx.Response(204)], quakes)
    query = parse_qs(urlsplit(str(host.net.asked[0].url)).query)
    assert query["starttime"][0].startswith("2026-02-28T12:0")
    assert (query["minmagnitude"], query["minlongitude"], query["maxlatitude"], query["format"]) == (
        ["3"],
        ["5"],
        ["48"],
        ["text"],
    )


def test_a_broken_line_costs_only_itself() -> None:
    quakes = made(Fdsn, url=SERVICE)
    bad = [
        "too|short\n",
        LINE.replace("47.4", "north"),
        LINE.replace("2026-03-01", "someday"),
        "x" * 5_000 + "\n",
        LINE.replace("31415|2026", "|2026"),
    ]
    body = (HEAD + "".join(bad)).encode() + b"\xff\xfe|\n" + LINE.encode()
    host = asked([httpx.Response(200, content=body)], quakes)
    assert len(bulletins(host)) == 1
    assert quakes.tally.dropped == {"no event": 2, "place": 1, "time": 1, "too large": 1, "not UTF-8": 1}


QUAKEML = """<?xml version="1.0" encoding="UTF-8"?>
<q:quakeml xmlns="http://quakeml.org/xmlns/bed/1.2" xmlns:q="http://quakeml.org/xmlns/quakeml/1.2">
<eventParameters publicID="quakeml:example.org/1"><event publicID="quakeml:example.org/event/31415">
<description><text>Zuerich (CH)</text><type>region name</type></description>
<origin publicID="o1"><time><value>2026-03-01T11:20:00Z</value></time><latitude><value>40.0</value></latitude>
<longitude><value>1.0</value></longitude></origin>
<origin publicID="o2"><time><value>2026-03-01T11:20:00.120Z</value></time><latitude><value>47.4</value></latitude>
<longitude><value>8.5</value></longitude><depth><value>10200</value></depth>
<creationInfo><agencyID>SED</agencyID><creationTime>2026-03-01T11:25:00Z</creationTime></creationInfo></origin>
<magnitude publicID="m1"><mag><value>3.1</value></mag><type>ML</type></magnitude>
<preferredOriginID>o2</preferredOriginID><preferredMagnitudeID>m1</preferredMagnitudeID><type>earthquake</type>
</event></eventParameters></q:quakeml>"""


def test_quakeml_is_read_by_its_preferred_origin_and_revised_by_its_creation_times() -> None:
    revised = QUAKEML.replace("11:25:00Z", "11:40:00Z").replace("<value>3.1</value>", "<value>3.2</value>")
    unreal = revised.replace("11:40:00Z", "11:50:00Z").replace("<type>earthquake</type>", "<type>not existing</type>")
    quakes = made(Fdsn, url=SERVICE, format="xml")
    host = asked([httpx.Response(200, content=text.encode()) for text in (QUAKEML, QUAKEML, revised, unreal)], quakes)
    told = bulletins(host)
    assert [(one.state, one.time.minute) for one in told] == [("issued", 25), ("updated", 40), ("cancelled", 50)]
    assert (told[0].latitude, told[0].figures) == (47.4, {"magnitude": 3.1, "depth_km": 10.2})


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        b"<a>" * 100_000,
        b"not xml",
        b"\xff\xfe<",
        QUAKEML.encode()[:-40],
    ],
)
def test_xml_that_is_hostile_or_cut_is_dropped_whole(body: bytes) -> None:
    quakes = made(Fdsn, url=SERVICE, format="xml")
    with pytest.raises(Unavailable, match="3 answers in a row"):
        asked([httpx.Response(200, content=body)] * 3, quakes)


def test_bulletins_that_are_not_in_the_ledger_come_again() -> None:
    web = Web(lambda request: httpx.Response(200, json=feed(event())))
    host, quakes = quick_host(web), made(Usgs, url=WEEK)

    async def play() -> None:
        source = quakes.batches(host)
        first = await anext(source)
        await source.aclose()  # nothing was written
        source = quakes.batches(host)
        assert await anext(source) == first
        host.ledger.append(EDGE, first)
        assert await anext(source) == ()
        await source.aclose()

    asyncio.run(play())


def test_settings_of_a_catalogue_that_mean_nothing_are_refused() -> None:
    for told in ({"area": [11.0, 45.0, 5.0, 48.0]}, {"lookback_h": 0.0}, {"url": SERVICE + "?x=1"}, {"format": "json"}):
        with pytest.raises(msgspec.ValidationError):
            made(Fdsn, **{"url": SERVICE, **told})
