"""Official alerts from feeds: told once, updates and cancellations followed, tests kept apart, links not followed elsewhere."""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from collector_place import Web, bulletins, made, polls, quick_host

from tocsin.platform.exchange import read_cap
from tocsin.platform.exchange.cap_collector import CapFeed
from tocsin.vocabulary import Unavailable, record_id

FEED = "https://alerts.example.org/index.atom"


def alert(
    name: str, *, sent: str = "12:00:00", kind: str = "Alert", references: str = "", status: str = "Actual", **info: str
) -> bytes:
    told = {"language": "en-GB", "event": "flood", "headline": f"flood {name}", "severity": "Severe", **info}
    refs = f"<references>{references}</references>" if references else ""
    return f"""<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>{name}</identifier><sender>met@example.org</sender>
<sent>2026-03-01T{sent}+01:00</sent><status>{status}</status><msgType>{kind}</msgType><scope>Public</scope>{refs}
<info><language>de-DE</language><category>Met</category><event>Hochwasser</event><urgency>Immediate</urgency><severity>Severe</severity>
<certainty>Observed</certainty><headline>Hochwasser {name}</headline><area><areaDesc>Tal</areaDesc></area></info>
<info><language>{told["language"]}</language><category>Met</category><event>{told["event"]}</event><urgency>Immediate</urgency>
<severity>{told["severity"]}</severity><certainty>Observed</certainty><expires>2026-03-01T18:00:00+01:00</expires>
<senderName>Met Office of Nowhere</senderName><headline>{told["headline"]}</headline>
<area><areaDesc>valley</areaDesc></area></info></alert>""".encode()


def ref(name: str, sent: str = "12:00:00") -> str:
    return f"met@example.org,{name},2026-03-01T{sent}+01:00"


def index(*names: str, host: str = "alerts.example.org", fields: str = "") -> bytes:
    entries = "".join(
        f"<entry><id>{name}</id><title>title of {name}</title><updated>2026-03-01T12:00:00+01:00</updated>"
        f'<link href="https://{host}/{name}.cap" type="application/cap+xml"/>{fields}</entry>'
        for name in names
    )
    cap = 'xmlns:cap="urn:oasis:names:tc:emergency:cap:1.2"'
    return f'<feed xmlns="http://www.w3.org/2005/Atom" {cap}><title>t</title><updated>2026-03-01T12:00:00Z</updated>{entries}</feed>'.encode()


class Site:
    """A feed and its alerts, as they are at the moment."""

    def __init__(self, *names: str, **alerts: bytes) -> None:
        self.index, self.alerts = index(*names), alerts
        self.web = Web(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/index.atom":
            return httpx.Response(200, content=self.index)
        name = request.url.path.strip("/").removesuffix(".cap")
        return httpx.Response(200, content=self.alerts[name]) if name in self.alerts else httpx.Response(404)

    def fetched(self) -> list[str]:
        return [request.url.path for request in self.web.asked if request.url.path != "/index.atom"]


def feed(**more: Any) -> CapFeed:
    return made(CapFeed, url=FEED, **more)  # type: ignore[no-any-return]


def told_by(site: Site, collector: CapFeed, *later: Any, host: Any = None) -> Any:
    """A host after the feed was asked, then changed by each of `later` and asked again."""
    host = host or quick_host()
    host.net = site.web

    async def play() -> None:
        await polls(collector, host, 1)
        for change in later:
            change()
            await polls(collector, host, 1)

    asyncio.run(play())
    return host


def test_an_alert_is_told_once_with_its_whole_text_and_fetched_once() -> None:
    site = Site("a1", a1=alert("a1"))
    collector = feed(language="en")
    host = quick_host(site.web)
    asyncio.run(polls(collector, host, 4))
    (told,) = bulletins(host)
    assert (told.subject, told.state, told.status, told.severity) == ("cap:met@example.org,a1", "issued", "actual", "severe")
    assert (told.event, told.sender, told.headline, told.area) == ("flood", "Met Office of Nowhere", "flood a1", "valley")
    assert (told.time.isoformat(), told.ends.isoformat()) == ("2026-03-01T11:00:00+00:00", "2026-03-01T17:00:00+00:00")  # type: ignore[union-attr]
    assert read_cap(told.text.encode()).alert is not None
    assert site.fetched() == ["/a1.cap"]


def test_an_update_and_a_cancellation_follow_the_alert_that_they_name_also_after_a_new_start() -> None:
    site = Site("a1", a1=alert("a1"))
    host = told_by(site, feed())
    site.index = index("a1", "a2")
    site.alerts["a2"] = alert("a2", sent="13:00:00", kind="Update", references=ref("a1"))
    host = told_by(site, feed(), host=host)
    site.index = index("a3")
    site.alerts["a3"] = alert("a3", sent="14:00:00", kind="Cancel", references=f"{ref('a1')} {ref('a2', '13:00:00')}")
    host = told_by(site, feed(), host=host)
    first, second, third = bulletins(host)
    assert {first.subject, second.subject, third.subject} == {"cap:met@example.org,a1"}
    assert [one.state for one in (first, second, third)] == ["issued", "updated", "cancelled"]
    assert (second.cause, third.cause) == ((record_id(first),), (record_id(second),))


def test_an_update_of_two_alerts_goes_on_with_one_and_replaces_the_other() -> None:
    site = Site("a1", "b1", "c1", a1=alert("a1"), b1=alert("b1"))
    site.alerts["c1"] = alert("c1", sent="13:00:00", kind="Update", references=f"{ref('a1')} {ref('b1')}")
    told = bulletins(told_by(site, feed()))
    assert [(one.subject[-2:], one.state) for one in told] == [
        ("a1", "issued"),
        ("b1", "issued"),
        ("a1", "updated"),
        ("b1", "replaced"),
    ]


def test_a_cancellation_of_what_we_never_saw_is_told_and_one_of_two_ends_both() -> None:
    site = Site("x", x=alert("x", sent="13:00:00", kind="Cancel", references=ref("never")))
    (told,) = bulletins(told_by(site, feed()))
    assert (told.subject, told.state) == ("cap:met@example.org,never", "cancelled")
    site = Site("a1", "b1", "c1", a1=alert("a1"), b1=alert("b1"))
    site.alerts["c1"] = alert("c1", sent="13:00:00", kind="Cancel", references=f"{ref('a1')} {ref('b1')}")
    told = bulletins(told_by(site, feed()))
    assert [(one.subject[-2:], one.state) for one in told[2:]] == [("a1", "cancelled"), ("b1", "cancelled")]


def test_an_exercise_is_never_actual() -> None:
    site = Site("a1", "a2", a1=alert("a1", status="Exercise"), a2=alert("a2", status="Test"))
    assert {one.status for one in bulletins(told_by(site, feed()))} == {"exercise", "test"}


def test_a_link_to_another_server_is_followed_only_where_it_is_trusted() -> None:
    site = Site(a1=alert("a1"))
    site.index = index("a1", host="169.254.169.254")
    collector = feed()
    assert bulletins(told_by(site, collector)) == []
    assert collector.tally.dropped == {"link": 1}
    assert site.fetched() == []
    site.index = index("a1", host="cdn.example.net")
    assert len(bulletins(told_by(site, feed(hosts=["cdn.example.net"])))) == 1


def test_an_alert_that_cannot_be_had_is_told_as_the_index_has_it_until_it_can() -> None:
    site = Site()
    fields = "<cap:event>Flash Flood Warning</cap:event><cap:severity>Severe</cap:severity><cap:status>Actual</cap:status>"
    site.index = index("a1", fields=fields)

    def mended() -> None:
        site.alerts["a1"] = alert("a1")

    collector = feed()
    told = bulletins(told_by(site, collector, lambda: None, mended))
    assert [(one.event, one.status) for one in told[:2]] == [("Flash Flood Warning", "actual"), ("Hochwasser", "actual")]
    assert [(one.subject, one.state) for one in told[2:]] == [("cap-index:a1", "replaced")]
    assert "could not be read" in told[0].headline
    assert collector.tally.dropped == {"alert": 2}


def test_one_broken_alert_costs_only_itself() -> None:
    site = Site("bad", "worse", "a1", bad=b"<alert/>", worse=b"\x00" * 1_000, a1=alert("a1"))
    collector = feed()
    assert [one.headline for one in bulletins(told_by(site, collector))] == ["Hochwasser a1"]
    assert collector.tally.dropped == {"no CAP": 2}


def test_an_acknowledgement_is_no_alert() -> None:
    site = Site("a1", a1=alert("a1", kind="Ack", references=ref("a0")))
    collector = feed()
    assert bulletins(told_by(site, collector)) == []
    assert collector.tally.dropped == {"no alert": 1}


@pytest.mark.parametrize(
    "body", [b"", b"<html/>", b"\xff\xfe", b"<!DOCTYPE a [<!ENTITY b 'c'>]><feed>&b;</feed>", b"<a>" * 100_000]
)
def test_what_is_no_feed_is_a_fault_at_the_third_time(body: bytes) -> None:
    web = Web(lambda request: httpx.Response(200, content=body))
    with pytest.raises(Unavailable, match="3 answers in a row cannot be used: no feed"):
        asyncio.run(polls(feed(), quick_host(web), 1))


def test_the_nws_index_of_a_hurricane_week_is_told_alert_by_alert(shared_data: Path) -> None:
    body = (shared_data / "cap" / "nws_atom_1_thtroyer.xml").read_bytes()
    with zipfile.ZipFile(shared_data / "cap" / "nws_cap12.zip") as packed:
        alerts = [packed.read(name) for name in sorted(packed.namelist()) if name.endswith(".xml")]
    given: dict[str, bytes] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("us.atom"):
            return httpx.Response(200, content=body)
        name = str(request.url)
        if name not in given and len(given) == len(alerts):
            return httpx.Response(404)
        return httpx.Response(
            200, content=given.setdefault(name, alerts[len(given)]) if name in given or len(given) < len(alerts) else b""
        )

    collector = made(CapFeed, url="https://alerts.weather.gov/cap/us.atom")
    host = quick_host(Web(answer))
    asyncio.run(polls(collector, host, 2))
    told = bulletins(host)
    whole = [one for one in told if one.text]
    index_only = [one for one in told if not one.text and one.subject.startswith("cap-index:")]
    assert len({one.revision for one in whole}) == len({_identity(one) for one in alerts})
    assert index_only
    assert all(one.event and one.severity and one.area for one in told)


def _identity(raw: bytes) -> str:
    found = read_cap(raw).alert
    assert found is not None
    return f"{found.sender},{found.identifier},{found.sent}"


def test_the_canadian_alerts_and_the_sample_feeds_are_read(shared_data: Path) -> None:
    folder = shared_data / "cap"
    for name in ("earthquake_index.atom", "weather_index.atom", "ny_index.rss", "no_entries.atom"):
        body = (folder / "google_testdata" / name).read_bytes()
        canada = (folder / "google_testdata" / "canada.cap").read_bytes()
        hosts = ["www.weather.gov", "earthquake.usgs.gov", "www.nyalert.gov", "alerts.weather.gov"]
        web = Web(
            lambda request, body=body, canada=canada: httpx.Response(
                200, content=body if request.url.path == "/index.atom" else canada
            )
        )
        collector = feed(hosts=hosts)
        host = quick_host(web)
        asyncio.run(polls(collector, host, 1))
        assert "no CAP" not in collector.tally.dropped
        if name != "no_entries.atom":
            assert len(bulletins(host)) >= 1
