"""The node goes on, whatever breaks: collectors, disk, ledger, listeners; and a drill with one seed is one ledger."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from edge_host import EDGE, START, TestHost

from tocsin.edge import Check, Collector, Fault, Latest, Node, Replay, Spool, Watch
from tocsin.edge.latest import microseconds
from tocsin.host import Host
from tocsin.pack.ready_rules import rise, threshold
from tocsin.pack.rule import Limits, Rule, Verdict
from tocsin.vocabulary import Evidence, InputError, Level, Observations, Quantity, SensorFault, Unavailable, Warning, Window

LEVEL = Quantity("river_level", "m", low=-5, high=60)
CHECK = Check(
    quantity=LEVEL,
    interval_s=600.0,
    source="a test",
    sensor_span=(-1.0, 10.0),
    spike_suspect=0.5,
    spike_fail=1.0,
    flat_tolerance=1e-6,
    flat_suspect_s=3600.0,
    flat_fail_s=7200.0,
    gap_s=3600.0,
)
HIGH = threshold(
    "river_high",
    LEVEL,
    Limits({Level.YELLOW: 3.0, Level.ORANGE: 4.0, Level.RED: 5.0}, "m", "a test"),
    max_age_s=3600,
    persistence_s=600,
    min_readings=2,
    margin=0.1,
    clear_s=1200,
)
FAST = rise("river_rising_fast", LEVEL, Limits({Level.YELLOW: 0.5, Level.RED: 2.0}, "m/h", "a test"), over_s=3600, max_age_s=3600)


def node(host: TestHost, *collectors: Collector, spool: Spool | None = None, **more: float) -> Node:
    latest = Latest([CHECK])
    watch = Watch({"flood": [HIGH, FAST]}, latest, since=host.clock.now())
    return Node(host, EDGE, latest=latest, watch=watch, spool=spool, collectors=collectors, tick_s=600.0, **more)  # type: ignore[arg-type]


def reading(minute: float, value: float, site: str = "weir") -> Observations:
    return Observations.of(LEVEL, (site,), [0], [microseconds(START + timedelta(minutes=minute))], [value])


def after(minutes: float) -> TestHost:
    """A host whose clock has come so far that readings of the minutes before are of the past."""
    return TestHost(START + timedelta(minutes=minutes))


def run(host: TestHost, edge: Node, hours: float) -> None:
    async def main() -> None:
        end = host.clock.now() + timedelta(hours=hours)
        task = asyncio.create_task(edge.run(end))
        await host.clock.run(end)
        await task

    asyncio.run(main())


class Script:
    """A collector that says what it is told to, and breaks where an exception stands."""

    def __init__(self, name: str, *steps: Observations | Exception) -> None:
        self._name, self.steps, self.acknowledged = name, list(steps), 0

    @property
    def name(self) -> str:
        return self._name

    async def batches(self, host: Host) -> AsyncGenerator[Observations, None]:
        while self.steps:
            step = self.steps[0]
            if isinstance(step, Exception):
                self.steps.pop(0)
                raise step
            yield step
            self.steps.pop(0)
            self.acknowledged += 1
            await host.clock.sleep(60.0)


def test_a_reading_is_checked_stored_judged_and_told_in_one_call(tmp_path: Path) -> None:
    host = after(30)
    spool = Spool(tmp_path)
    edge = node(host, spool=spool)
    heard: list[int] = []
    edge.on_readings(lambda batch: heard.append(len(batch)))
    edge.take(reading(0, 5.2))
    taken = edge.take(reading(10, 5.3), reading(20, 5.4), reading(20, 5.4))
    assert (taken.stored, taken.duplicates) == (2, 1)
    assert len(spool.read(LEVEL)) == 3
    assert heard == [1, 2]
    (warning,) = host.ledger.records(Warning)
    assert isinstance(warning, Warning)
    assert warning.level == Level.RED
    assert host.ledger.find(taken.records[-1]).actor == "edge:test"


@pytest.mark.parametrize("seed", range(4))
def test_a_look_at_the_sites_that_spoke_warns_as_a_look_at_all_of_them(seed: int) -> None:
    """The same batches, late and out of order, to rules that promise to judge by site and to the same rules without the promise.

    Blindness may differ by an instant: a look at all may find a site blind whose own reading comes a moment later.
    """
    sites = tuple(f"site-{k}" for k in range(7))
    rows: dict[bool, list[int]] = {True: [], False: []}

    def told(by_site: bool) -> dict[tuple[str, str], list[Level]]:
        def counted(rule: Rule) -> Rule:
            def judge(window: Window, before: np.ndarray) -> Verdict:  # type: ignore[type-arg]
                rows[by_site].append(len(window.sites))
                return rule.judge(window, before)

            return msgspec.structs.replace(rule, judge=judge, by_site=by_site)

        latest = Latest([CHECK])
        host = after(0.0)
        edge = Node(host, EDGE, latest=latest, watch=Watch({"flood": [counted(HIGH), counted(FAST)]}, latest, since=START))
        rng = np.random.default_rng(seed + 100)
        for minute in range(0, 900, 10):
            asyncio.run(host.clock.run(START + timedelta(minutes=minute)))
            level = 2.5 + 2.5 * np.sin(minute / 150.0 + np.arange(7))
            for site in rng.permutation(7)[: rng.integers(1, 4)]:
                late = float(rng.choice([0.0, 0.0, 15.0]))
                edge.take(reading(minute - late, float(level[site]), sites[site]))
            edge.look()
        sighted: dict[tuple[str, str], list[Level]] = {}
        for warning in host.ledger.records(Warning):
            levels = sighted.setdefault((warning.subject, warning.rule), [Level.NONE])
            if warning.level != Level.BLIND and levels[-1:] != [warning.level]:
                levels.append(warning.level)
        return sighted

    by_site = told(True)
    assert by_site == told(False)
    assert max(len(levels) for levels in by_site.values()) > 3
    assert sum(rows[True]) < 0.6 * sum(rows[False])


def test_the_evidence_leads_back_to_the_batches_on_disk(tmp_path: Path) -> None:
    host, spool = after(30), Spool(tmp_path)
    edge = node(host, spool=spool)
    for minute in (0, 10, 20):
        edge.take(reading(minute, 5.2))
    evidence = host.ledger.records(Evidence)[0]
    assert isinstance(evidence, Evidence)
    found = [spool.find(digest) for digest in evidence.batch]
    assert [float(batch.value[0]) for batch in found] == list(evidence.value)


def test_a_full_disk_acknowledges_nothing_and_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = TestHost()
    edge = node(host, spool=Spool(tmp_path))

    def no_room(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_room)
        with pytest.raises(Unavailable):
            edge.take(reading(0, 5.2), reading(10, 5.2))
    assert edge.latest.series(LEVEL, "weir", 48.0, START + timedelta(hours=1)).value.size == 0
    assert edge.take(reading(0, 5.2), reading(10, 5.2)).stored == 2


def test_a_ledger_that_is_down_loses_no_warning_and_doubles_none(tmp_path: Path) -> None:
    host = after(30)
    edge = node(host, spool=Spool(tmp_path))
    edge.take(reading(0, 5.2))
    host.ledger.is_down = True
    with pytest.raises(Unavailable):
        edge.take(reading(10, 5.2))
    host.ledger.is_down = False
    again = edge.take(reading(10, 5.2))
    assert (again.stored, again.duplicates) == (0, 1)
    assert [w.level for w in host.ledger.records(Warning)] == [Level.RED]  # type: ignore[union-attr]


def test_a_crashing_collector_is_told_once_started_again_and_stops_no_other() -> None:
    host = TestHost()
    bad = Script("bad", reading(0, 1.0, "a"), OSError("cable"), OSError("cable"), OSError("cable"), reading(5, 1.0, "a"))
    good = Script("good", *[reading(k, 1.0 + 0.01 * k, "b") for k in range(30)])
    edge = node(host, bad, good)
    run(host, edge, 1.0)
    assert (bad.acknowledged, good.acknowledged) == (2, 30)
    told = [r for r in host.ledger.records(SensorFault) if isinstance(r, SensorFault) and r.check == "collector"]
    assert [(f.subject, f.healed) for f in told] == [("collector bad", False), ("collector bad", True)]
    assert "OSError: cable" in told[0].reason


def test_a_collector_that_hangs_does_not_hold_up_the_others() -> None:
    class Hangs(Script):
        async def batches(self, host: Host) -> AsyncGenerator[Observations, None]:
            await asyncio.Event().wait()
            yield reading(0, 1.0)

    host = TestHost()
    good = Script("good", *[reading(k, 1.0, "b") for k in range(10)])
    run(host, node(host, Hangs("hangs"), good), 1.0)
    assert good.acknowledged == 10


def test_a_batch_that_cannot_be_used_fails_its_own_collector_only() -> None:
    host = TestHost()
    feet = Observations.of(Quantity("river_level", "ft"), ("weir",), [0], [microseconds(START)], [1.0])
    good = Script("good", *[reading(k, 1.0, "b") for k in range(5)])
    wrong = Script("wrong", feet)
    run(host, node(host, good, wrong), 1.0)
    assert (good.acknowledged, wrong.acknowledged) == (5, 0)
    told = [r.reason for r in host.ledger.records(SensorFault) if isinstance(r, SensorFault) and r.subject == "collector wrong"]
    assert len(told) == 1
    assert "convert them in the collector" in told[0]


def test_while_the_disk_is_full_nothing_is_acknowledged_and_then_everything_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, spool = TestHost(), Spool(tmp_path)
    source = Script("source", *[reading(k, 1.0 + 0.01 * k) for k in range(5)])
    edge = node(host, source, spool=spool)

    def no_room(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_room)
        run(host, edge, 0.5)
        assert source.acknowledged == 0
    run(host, edge, 1.0)
    assert source.acknowledged == 5
    assert len(spool.read(LEVEL)) == 5
    told = [r.healed for r in host.ledger.records(SensorFault) if isinstance(r, SensorFault) and r.check == "storage"]
    assert told == [False, True]


def test_a_listener_that_breaks_stops_nothing() -> None:
    host = TestHost()
    edge = node(host)

    def broken(batch: Observations) -> None:
        raise ValueError("a listener's bug")

    heard: list[int] = []
    edge.on_readings(broken)
    edge.on_readings(lambda batch: heard.append(len(batch)))
    edge.take(reading(0, 1.0))
    assert heard == [1]


def test_a_restart_takes_up_levels_readings_and_faults(tmp_path: Path) -> None:
    host = after(30)
    first = Spool(tmp_path)
    edge = node(host, spool=first)
    for minute, value in ((0, 5.2), (10, 5.3), (20, 5.4), (30, 99.0)):
        edge.take(reading(minute, value))
    size = host.ledger.size()
    first.close()
    again = node(host, spool=Spool(tmp_path))
    assert again.restore() == 4
    assert again.watch.level("river_high", "weir") == Level.RED
    assert again.watch.faults() == edge.watch.faults() != frozenset()
    assert again.take(reading(20, 5.4)).duplicates == 1
    assert host.ledger.size() == size


def test_damage_of_the_spool_is_in_the_ledger_after_a_restart(tmp_path: Path) -> None:
    host = TestHost()
    spool = Spool(tmp_path)
    node(host, spool=spool).take(reading(0, 1.0))
    spool.close()
    with next(tmp_path.glob("segment-*")).open("ab") as file:
        file.write(b"torn")
    node(host, spool=Spool(tmp_path)).restore()
    (fault,) = [r for r in host.ledger.records(SensorFault) if isinstance(r, SensorFault)]
    assert (fault.check, fault.subject) == ("storage", "edge:test")
    assert "4 bytes" in fault.reason


def test_settings_of_nonsense_are_refused() -> None:
    host = TestHost()
    with pytest.raises(InputError, match="each name once"):
        node(host, Script("a"), Script("a"))
    with pytest.raises(InputError, match="waiting_most"):
        node(host, waiting_most=0)


def week_of_faults(seed: int, folder: Path) -> list[tuple[str, str]]:
    """A hundred sensors on one river, a flood in the middle of the week, and everything that can be wrong with a sensor."""
    host = TestHost(seed=seed)
    rng = host.chance("the river")
    steps, count = 7 * 144, 100
    sites = tuple(f"gauge-{k:02d}" for k in range(count))
    at = microseconds(START) + np.arange(steps) * 600_000_000
    flood = 4.0 * np.exp(-(((np.arange(steps) - 500) / 60.0) ** 2))
    value = 1.0 + flood[:, None] + rng.normal(0.0, 0.01, (steps, count))
    true = Observations.of(LEVEL, sites, np.tile(np.arange(count), steps), np.repeat(at, count), value.ravel())
    kinds = ("stuck", "spike", "dropout", "missing", "drift", "clock", "delay", "repeat", "noise")
    amounts = {"spike": 3.0, "drift": 0.05, "clock": 1800.0, "delay": 3600.0, "noise": 0.05}
    faults = []
    for k, site in enumerate(sites):
        begin = START + timedelta(hours=float(rng.uniform(1, 100)))
        kind = kinds[k % len(kinds)]
        faults.append(
            Fault(site=site, kind=kind, start=begin, end=begin + timedelta(hours=30), amount=amounts.get(kind, 0.0), chance=0.3)  # type: ignore[arg-type]
        )
    edge = node(host, Replay("river", true, faults=faults), spool=Spool(folder))
    run(host, edge, 7 * 24.0)
    return [(entry.id, entry.actor) for entry in host.ledger.read()]


def test_a_week_of_a_hundred_faulty_sensors_gives_the_same_ledger_for_the_same_seed(tmp_path: Path) -> None:
    first, second, other = (week_of_faults(seed, tmp_path / str(run)) for run, seed in enumerate((11, 11, 12)))
    assert first == second
    assert first != other
    kinds = {name.partition("-")[0] for name, _ in first}
    assert kinds == {"evidence", "warning", "sensorfault"}
    assert len(first) > 100
