"""Fires that satellites see: FIRMS of MODIS and of VIIRS, from a folder and from a server, told once at their place."""

from __future__ import annotations

import asyncio
import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from collector_place import EDGE, NOON, Web, bulletins, made, polls, quick_host, still_host

from tocsin.edge.collectors.firms import Firms, FirmsFiles, detections
from tocsin.edge.collectors.tally import Drop, Tally
from tocsin.vocabulary import Unavailable

MODIS = "latitude,longitude,brightness,scan,track,acq_date,acq_time,satellite,instrument,confidence,version,bright_t31,frp,daynight,type\n"
VIIRS = (
    "latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,confidence,version,bright_ti5,frp,daynight\n"
)
URL = "https://firms.modaps.eosdis.nasa.gov/api/area/csv/KEY/VIIRS_SNPP_NRT/-10,36,-6,42/1"


def modis(latitude: float = 40.0, confidence: str = "85", time: str = "1304", kind: str = "0", frp: str = "80.7") -> str:
    return f"{latitude},-8.1203,339.2,2.7,1.6,2017-06-16,{time},Aqua,MODIS,{confidence},6.2,316.8,{frp},D,{kind}\n"


def viirs(confidence: str = "n", time: str = "205") -> str:
    return f"40.00412,-8.12,351.1,0.4,0.4,2026-03-01,{time},N,VIIRS,{confidence},2.0NRT,290.1,12.5,N\n"


def told(text: str, **more: Any) -> tuple[Any, Tally]:
    tally = Tally("firms")
    return detections(list(csv.DictReader(text.splitlines())), "firms", tally, **more), tally


def asked(collector: Any, *answers: bytes, host: Any = None) -> Any:
    left = iter(answers)
    host = host or quick_host()
    host.net = Web(lambda _request: httpx.Response(200, content=next(left)))
    asyncio.run(polls(collector, host, len(answers)))
    return host


def dropped(collector: FirmsFiles, hours: float = 1.0) -> Any:
    """A host after a folder has been looked at for some hours; what comes is written as a node does."""
    host = still_host()

    async def play() -> None:
        async def listen() -> None:
            async for batch in collector.batches(host):
                host.ledger.append(EDGE, batch)

        task = asyncio.create_task(listen())
        await host.clock.run(NOON + timedelta(hours=hours))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(play())
    return host


def test_the_real_file_of_june_2017_is_read_whole_and_told_once(shared_data: Path, tmp_path: Path) -> None:
    real = shared_data / "fire" / "firms_portugal_2017-06.csv"
    (tmp_path / real.name).write_bytes(real.read_bytes())
    rows = list(csv.DictReader(real.read_text().splitlines()))
    sure = [row for row in rows if float(row["confidence"]) >= 30 and row["type"] == "0"]
    places = {(round(float(row["latitude"]) * 100), round(float(row["longitude"]) * 100)) for row in sure}
    collector = made(FirmsFiles, folder=str(tmp_path))
    found = bulletins(dropped(collector))
    assert len(rows) > 400
    assert {one.subject for one in found} == {f"firms:{lat / 100:.2f},{lon / 100:.2f}" for lat, lon in places}
    assert len(found) == len(places) > 100
    assert collector.tally.dropped == {}
    assert all(-9.6 < one.longitude < -6.1 and 36.9 < one.latitude < 42.2 for one in found)  # Portugal
    assert max(one.figures["frp_mw"] for one in found) == max(float(row["frp"]) for row in sure)
    assert [file.name for file in (tmp_path / "done").iterdir()] == [real.name]


def test_a_detection_is_told_with_where_when_how_sure_and_how_hot() -> None:
    (one,), tally = told(MODIS + modis())
    assert (one.event, one.sender, one.state, one.status) == ("fire detection", "FIRMS", "issued", "actual")
    assert (one.latitude, one.longitude, one.begins) == (40.0, -8.1203, datetime(2017, 6, 16, 13, 4, tzinfo=UTC))
    assert one.figures == {"confidence_class": 2.0, "confidence_percent": 85.0, "frp_mw": 80.7, "brightness_k": 339.2}
    assert one.headline == "MODIS Aqua sees a fire with high confidence, 81 MW"
    assert tally.dropped == {}


def test_viirs_tells_its_confidence_in_letters_and_its_time_without_zeros() -> None:
    (one,), _ = told(VIIRS + viirs("n", "205"))
    assert one.begins == datetime(2026, 3, 1, 2, 5, tzinfo=UTC)
    assert one.figures == {"confidence_class": 1.0, "frp_mw": 12.5, "brightness_k": 351.1}
    assert told(VIIRS + viirs("l"))[0] == []
    assert told(VIIRS + viirs("h"))[0][0].figures["confidence_class"] == 2.0


@pytest.mark.parametrize(("percent", "grade"), [("29", None), ("30", 1.0), ("79", 1.0), ("80", 2.0)])
def test_a_per_cent_is_graded(percent: str, grade: float | None) -> None:
    found, _ = told(MODIS + modis(confidence=percent))
    assert [one.figures["confidence_class"] for one in found] == ([] if grade is None else [grade])


def test_of_one_place_the_newest_is_told_and_of_one_moment_the_surest_then_the_hottest() -> None:
    rows = [
        modis(40.0, "85", "1304"),
        modis(40.001, "40", "1530"),
        modis(40.002, "45", "1530", frp="9.0"),
        modis(40.003, "60", "1530"),
    ]
    (one,), _ = told(MODIS + "".join(rows))
    assert (one.begins.hour, one.latitude) == (15, 40.001)
    assert len(told(MODIS + modis(40.0) + modis(40.02))[0]) == 2


def test_only_what_is_in_the_area_counts() -> None:
    text = MODIS + modis(40.0) + modis(41.0)
    assert [one.latitude for one in told(text, area=(-9.0, 40.5, -8.0, 42.0))[0]] == [41.0]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (modis(kind="2"), "no vegetation fire"),
        (modis(confidence="sure"), "confidence"),
        (modis(confidence="101"), "confidence"),
        (modis(latitude=95.0), "place"),
        (modis(time="2561"), "time"),
    ],
)
def test_a_row_that_cannot_be_used_is_counted_and_stops_no_other(row: str, reason: str) -> None:
    found, tally = told(MODIS + row + modis(41.0))
    assert [one.latitude for one in found] == [41.0]
    assert tally.dropped == {reason: 1}


def test_a_feed_that_is_asked_again_tells_nothing_twice_and_a_later_pass_as_a_revision() -> None:
    first, later = (MODIS + modis(time=time) for time in ("1304", "1530"))
    host = asked(made(Firms, url=URL), first.encode(), first.encode(), (first + modis(time="1530")).encode())
    one, two = bulletins(host)
    assert (one.state, two.state, one.subject) == ("issued", "updated", two.subject)
    assert two.cause
    again = asked(made(Firms, url=URL), later.encode(), host=host)  # after a restart
    assert len(bulletins(again)) == 2


def test_the_key_in_the_url_is_told_to_the_server_and_to_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    collector = made(Firms, url=URL.replace("KEY", "{key}"), map_key={"file": str(tmp_path / "key")})
    host = quick_host(Web(lambda _request: httpx.Response(403)))
    with pytest.raises(Unavailable, match=r"/\{key\}/.*403") as fault:
        asyncio.run(polls(collector, host, 1))
    assert "s3cret" not in str(fault.value)
    assert fault.value.__cause__ is None
    assert "/s3cret/" in str(host.net.asked[0].url)  # type: ignore[attr-defined]
    with pytest.raises(msgspec.ValidationError, match="go together"):
        made(Firms, url=URL, map_key={"file": "key"})


def test_what_is_no_file_of_firms_goes_aside_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("time,value\n2026-03-01T00:00:00Z,1\n")
    (tmp_path / "torn.csv").write_bytes(b"\xff\xfe\x00")
    collector = made(FirmsFiles, folder=str(tmp_path))
    assert bulletins(dropped(collector)) == []
    assert "no column latitude" in (tmp_path / "bad" / "other.why").read_text()
    assert (tmp_path / "bad" / "torn.csv").exists()
    with pytest.raises(Drop, match="no column"):
        told("a,b\n1,2\n")


@pytest.mark.parametrize("wrong", [{"area": [1.0, 2.0, 0.0, 3.0]}, {"least": "sure"}, {"every_s": 0}])
def test_settings_that_cannot_be_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"area|sure|every_s"):
        made(FirmsFiles, folder=str(tmp_path), **wrong)
