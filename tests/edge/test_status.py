"""How a node stands, on one page: each source and each collector, the worst first, with what was dropped and why."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from edge_host import START
from typer.testing import CliRunner

from tocsin.edge import Check, Latest
from tocsin.edge.collectors import find_collectors
from tocsin.edge.collectors.tally import Drop
from tocsin.edge.latest import FLAGS
from tocsin.edge.settings import read_settings
from tocsin.edge.status import FLAG_WORDS, OVERDUE_INTERVALS, STATES, Source, collectors, read_status, sources
from tocsin.edge.watch import Watch
from tocsin.host import VirtualClock
from tocsin.interfaces.cli.edge import app
from tocsin.interfaces.edge import Edge
from tocsin.pack import Limits, threshold
from tocsin.vocabulary import Level, Observations, Quantity

LEVEL = Quantity("river_level", "m", low=-5, high=60)
RAIN = Quantity("rain_amount", "mm")
MINUTE_US = 60_000_000
NOW_US = int(START.timestamp()) * 1_000_000


def batch(quantity: Quantity, site: str, minutes_ago: list[float], value: list[float], *, lag_s: float = 2.0) -> Observations:
    time_us = NOW_US - (np.array(minutes_ago) * MINUTE_US).astype(np.int64)
    arrived_us = time_us + int(lag_s * 1e6)
    return Observations.of(quantity, (site,), np.zeros(len(value), np.int64), time_us, np.array(value), arrived_us=arrived_us)


def told(latest: Latest) -> dict[str, Source]:
    """One look at everything: rules, faults, and how each source stands."""
    limits = Limits({Level.YELLOW: 2.0}, "m", "a test")
    rules = {"flood": (threshold("river_high", LEVEL, limits, max_age_s=1800.0),)}
    watch = Watch(rules, latest, since=START - timedelta(days=1), grace_s=0.0)
    watch.learn(watch.inspect(START))
    watch.learn(watch.look(START))
    return {one.site: one for one in sources(latest, watch, rules, START)}


def latest() -> Latest:
    check = Check(quantity=LEVEL, interval_s=300.0, source="a test", sensor_span=(-0.5, 10.0), gap_s=1800.0)
    found = Latest([check])
    found.expect(LEVEL, ["never"])
    regular = [50.0, 40.0, 30.0, 20.0, 10.0, 0.0]
    found.take(batch(LEVEL, "works", regular, [1.0, 1.1, 1.0, 1.1, 1.0, 1.1]))
    found.take(batch(LEVEL, "high", regular, [1.0, 1.5, 2.0, 2.5, 2.6, 2.7]))
    found.take(batch(LEVEL, "broken", regular, [1.0, 1.1, 1.0, 1.1, 1.0, 50.0]))
    found.take(batch(LEVEL, "silent", [200.0, 190.0], [1.0, 1.1]))
    found.take(batch(RAIN, "gauge", [300.0, 299.0, 298.0], [0.0, 0.2, 0.0]))
    return found


def test_the_worst_comes_first_and_each_says_why() -> None:
    stands = told(latest())
    assert [(site, one.state) for site, one in stands.items()] == [
        ("never", "blind"),
        ("silent", "blind"),
        ("broken", "faulty"),
        ("gauge", "overdue"),
        ("high", "warns"),
        ("works", "works"),
    ]
    assert "never heard" in stands["never"].why
    assert "river_high sees nothing" in stands["silent"].why
    assert "gap" in stands["silent"].why
    assert stands["broken"].why.startswith("gross range")
    assert f"silent for {298:.0f} of its usual intervals" in stands["gauge"].why
    assert stands["high"].why == "yellow"
    assert stands["works"].why == ""


def test_a_silent_stream_is_overdue_after_so_many_of_its_own_intervals_and_not_before() -> None:
    for silent_min, state in ((OVERDUE_INTERVALS - 1, "works"), (OVERDUE_INTERVALS + 1, "overdue")):
        found = Latest()
        found.take(batch(RAIN, "gauge", [silent_min + 2, silent_min + 1, silent_min], [0.0, 0.2, 0.0]))
        assert told(found)["gauge"].state == state


def test_a_gap_makes_a_stream_blind_also_where_no_rule_looks_at_it() -> None:
    found = Latest([Check(quantity=RAIN, interval_s=300.0, source="a test", sensor_span=(0.0, 500.0), gap_s=1800.0)])
    found.take(batch(RAIN, "gauge", [50.0, 40.0], [0.0, 0.2]))
    stands = told(found)["gauge"]
    assert (stands.state, stands.faults, stands.blind) == ("blind", ("gap",), ())


def test_a_source_says_when_how_often_how_late_and_how_good() -> None:
    works = told(latest())["works"]
    assert works.time == works.arrived - timedelta(seconds=2) == START  # type: ignore[operator]
    assert (works.age_s, works.per_hour, works.lag_s, works.lag_spread_s, works.clock_ahead_s) == (0.0, 6.0, 2.0, 0.0, None)
    assert (works.shares, works.good_share) == ({"good": 1.0}, 1.0)
    broken = told(latest())["broken"]
    assert broken.shares == {"good": 0.833, "fail": 0.167}
    assert broken.good_share == 0.833


def test_a_clock_that_is_ahead_is_told_by_how_much() -> None:
    found = Latest()
    found.take(batch(LEVEL, "ahead", [20.0, 10.0], [1.0, 1.1], lag_s=-45.0))
    found.take(batch(LEVEL, "right", [20.0, 10.0], [1.0, 1.1], lag_s=-0.4))
    stands = told(found)
    assert stands["ahead"].clock_ahead_s == 45.0
    assert stands["right"].clock_ahead_s is None


def test_what_was_dropped_is_counted_with_its_reason() -> None:
    found = latest()
    found.take(batch(LEVEL, "works", [10.0, 0.0], [1.0, 1.1]))
    found.take(batch(LEVEL, "works", [10.0], [7.0]))
    found.take(batch(LEVEL, "works", [25.0], [1.0]))
    stands = told(found)
    assert stands["works"].dropped == {"known already": 2, "second numbers": 1, "out of order": 3}
    assert stands["high"].dropped == {}


SETTINGS = """
[node]
name = "weir-house"
data = "data"
grace_s = 0
[spool]
reserve_mb = 0
[[quantity]]
name = "river_level"
unit = "m"
[[expect]]
quantity = "river_level"
sites = ["weir", "quay"]
[[collector]]
kind = "files"
name = "a logger"
folder = "inbox"
quantity = "river_level"
unit = "m"
site = "station"
time = "time"
value = "stage"
[[collector]]
kind = "files"
name = "b logger"
folder = "elsewhere"
quantity = "river_level"
unit = "m"
site = "station"
[[rule]]
kind = "threshold"
name = "river_high"
hazard = "flood"
quantity = "river_level"
source = "a test"
max_age_s = 1800
[rule.limits]
yellow = 2.0
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "edge.toml").write_text(SETTINGS)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "good.csv").write_text("station,time,stage\nweir,2026-03-01T00:00:00Z,1.25\n")
    (tmp_path / "inbox" / "bad.csv").write_text("station,stage\nweir,1.25\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_once(place: Path) -> None:
    """A node that collects for a moment; the folder `elsewhere` is not there."""
    clock = VirtualClock(START)
    edge = Edge(read_settings(place / "edge.toml", kinds=find_collectors()), clock=clock)

    async def main() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(edge.run(stop))
        while not clock._asleep:  # what is on disk is read in a thread first
            await asyncio.sleep(0.01)
        await clock.run(START + timedelta(minutes=3))
        stop.set()
        await running

    try:
        asyncio.run(main())
    finally:
        edge.close()


def test_the_status_of_a_node_has_its_collectors_with_what_they_dropped_and_why(place: Path) -> None:
    run_once(place)
    broken, works = read_status(place / "data").collectors
    assert (broken.name, broken.kind, works.name, works.broken) == ("b logger", "Files", "a logger", "")
    assert "elsewhere" in broken.broken
    assert works.tally is not None
    assert (works.tally.received, works.tally.taken, works.tally.dropped) == (2, 1, {"bad file": 1})
    assert "time" in works.tally.said["bad file"]


def test_a_person_reads_it_in_ten_seconds(place: Path) -> None:
    """The first lines say all; what is wrong stands above what works."""
    run_once(place)
    text = CliRunner().invoke(app, ["status", str(place / "edge.toml")]).stdout
    lines = text.splitlines()
    assert lines[1].startswith("1 of 2 sources need a look: 1 blind; 1 of 2 collectors broken")
    table = [line.split()[:2] for line in lines if line.split()[:1] in (["BLIND"], ["works"])]
    assert table == [["BLIND", "quay"], ["works", "weir"]]
    assert "BROKEN b logger (Files): InputError: collector b logger: no folder elsewhere" in text
    assert "a logger (Files): received 2, taken 1" in text
    assert "dropped 1: bad file, e.g. " in text


def test_of_very_many_sources_only_those_that_need_a_look_are_shown_unless_all_are_asked_for(place: Path) -> None:
    edge = Edge(read_settings(place / "edge.toml", kinds=find_collectors()), clock=VirtualClock(START))
    for number in range(30):
        edge.node.take(batch(LEVEL, f"s{number:02}", [0.0], [1.0]))
    edge.node.look()
    edge.write_status()
    edge.close()
    short, whole = (CliRunner().invoke(app, ["status", str(place / "data"), *more]).stdout for more in ([], ["--all"]))
    assert "and 10 more that work; --all shows them" in short
    assert ("s29" in short, "s29" in whole, "more that work" in whole) == (False, True, False)


def test_a_collector_of_a_third_party_need_not_count() -> None:
    class Theirs:
        name = "theirs"

    (one,) = collectors([Theirs()], {})  # type: ignore[list-item]
    assert (one.kind, one.tally) == ("Theirs", None)


def test_broken_collectors_come_first_then_those_that_dropped_most(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(SETTINGS.replace('name = "b logger"', 'name = "c logger"'))
    first, second = read_settings(tmp_path / "edge.toml", kinds=find_collectors()).collectors
    second.tally.drop(Drop("bad file", "x"), 5)  # type: ignore[attr-defined]
    assert [one.name for one in collectors([first, second], {})] == ["c logger", "a logger"]
    assert [one.name for one in collectors([first, second], {"a logger": "gone"})] == ["a logger", "c logger"]


def test_the_words_stand_in_the_order_of_the_flags() -> None:
    assert STATES == ("blind", "faulty", "overdue", "warns", "works")
    assert [flag.name.lower().replace("_", " ") for flag in FLAGS] == list(FLAG_WORDS)
