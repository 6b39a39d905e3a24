"""A warning is told when a level changes, and never twice; its cause is what the rule saw."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import numpy as np
import pytest
from edge_host import START
from numpy.typing import NDArray

from tocsin.edge import Check, Latest, Location, Watch
from tocsin.edge.latest import microseconds
from tocsin.pack.ready_rules import compound, threshold
from tocsin.pack.rule import Limits, Rule, Verdict
from tocsin.science.quality import Climate
from tocsin.vocabulary import (
    Evidence,
    InputError,
    Level,
    Observations,
    Quantity,
    Record,
    SensorFault,
    Warning,
    Window,
    decode_record,
    encode_record,
    record_id,
)

LEVEL = Quantity("river_level", "m", low=-5, high=60)
STAGES = Limits({Level.BLUE: 2.0, Level.YELLOW: 3.0, Level.ORANGE: 4.0, Level.RED: 5.0}, "m", "stages of a test")
HIGH = threshold("river_high", LEVEL, STAGES, max_age_s=1800, margin=0.1, clear_s=600)
CHECK = Check(
    quantity=LEVEL,
    interval_s=300.0,
    source="a test",
    sensor_span=(-1.0, 10.0),
    spike_suspect=0.5,
    spike_fail=1.0,
    flat_tolerance=0.001,
    flat_suspect_s=2400.0,
    neighbours={"gauge-3": ("gauge-1", "gauge-2")},
    neighbour_move=0.4,
    gap_s=1800.0,
)


class Bench:
    """A watch with a clock of its own, and every record that it has told."""

    def __init__(
        self, *rules: Rule, sites: tuple[str, ...] = ("gauge-3",), checks: tuple[Check, ...] = (), grace_s: float = 0.0
    ) -> None:
        self.latest = Latest(checks)
        self.latest.expect(LEVEL, sites)
        self.now = START
        self.rules = rules or (HIGH,)
        self.watch = Watch({"flood": self.rules}, self.latest, since=START, grace_s=grace_s)
        self.told: list[Record] = []

    def pass_time(self, minutes: float) -> list[Record]:
        self.now += timedelta(minutes=minutes)
        return self.tell((*self.watch.inspect(self.now), *self.watch.look(self.now)))

    def say(self, value: float, minutes: float = 5.0, site: str = "gauge-3") -> list[Record]:
        self.now += timedelta(minutes=minutes)
        at = microseconds(self.now)
        checked = self.latest.take(Observations.of(LEVEL, (site,), [0], [at], [value]))
        inspected = self.watch.inspect(self.now, [LEVEL], ahead=dict(checked.future), heard=checked.heard)
        return self.tell((*inspected, *self.watch.look(self.now, [LEVEL])))

    def tell(self, records: tuple[Record, ...]) -> list[Record]:
        self.watch.learn(records)
        self.told += records
        return list(records)

    def of(self, kind: type[Record]) -> list[Record]:
        return [record for record in self.told if isinstance(record, kind)]


def levels(records: list[Record]) -> list[tuple[str, str]]:
    return [(r.before.word, r.level.word) for r in records if isinstance(r, Warning)]


def test_each_change_of_level_is_told_once() -> None:
    bench = Bench()
    for value in (1.0, 4.2, 4.2, 4.3, 5.5, 5.5, 3.5, 3.5, 3.5, 3.5, 1.0, 1.0, 1.0, 1.0):
        bench.say(value)
    assert levels(bench.told) == [("none", "orange"), ("orange", "red"), ("red", "yellow"), ("yellow", "none")]


def test_a_warning_names_as_its_cause_the_readings_that_the_rule_saw() -> None:
    bench = Bench()
    bench.say(1.0)
    evidence, warning = bench.say(4.2)
    assert isinstance(evidence, Evidence)
    assert isinstance(warning, Warning)
    assert warning.cause == (record_id(evidence),)
    assert (evidence.value, evidence.flag, evidence.unit) == ((1.0, 4.2), (2, 2), "m")
    assert len(evidence.batch) == 2
    assert warning.reason == "gauge-3: 4.20 m is above the orange limit 4.00 m"
    assert (warning.hazard, warning.rule, warning.value, warning.public) == ("flood", "river_high", 4.2, False)


def test_evidence_is_bounded() -> None:
    long = threshold("long", LEVEL, STAGES, max_age_s=1e6)
    bench = Bench(long)
    at = microseconds(START) - np.arange(280)[::-1] * 1_000_000
    bench.latest.take(Observations.of(LEVEL, ("gauge-3",), np.zeros(280, int), at, np.full(280, 4.5)))
    evidence = bench.pass_time(1.0)[0]
    assert isinstance(evidence, Evidence)
    assert len(evidence.value) == 200
    assert evidence.sensor_time_us[-1] == microseconds(START)


def test_blindness_is_found_when_nothing_comes_and_a_red_warning_is_not_lifted_by_it() -> None:
    bench = Bench()
    bench.say(5.5)
    told = bench.pass_time(31.0)
    assert levels(told) == [("red", "blind")]
    assert "31 min old" in told[1].reason  # type: ignore[attr-defined]
    assert "the red warning before is not lifted by this" in told[1].reason  # type: ignore[attr-defined]
    assert bench.pass_time(30.0) == []
    # it sees again: just below the limit the red warning still holds, because hysteresis goes by what was last seen
    assert levels(bench.say(4.95)) == [("blind", "red")]


def test_a_site_that_never_spoke_is_blind_but_only_after_the_grace() -> None:
    bench = Bench(sites=("gauge-1", "gauge-2"), grace_s=900.0)
    assert bench.pass_time(10.0) == []
    assert levels(bench.pass_time(10.0)) == [("none", "blind"), ("none", "blind")]
    assert bench.pass_time(10.0) == []


def test_when_sight_comes_back_it_is_said() -> None:
    bench = Bench()
    bench.say(1.0)
    bench.pass_time(40.0)
    told = bench.say(1.0)
    assert levels(told) == [("blind", "none")]
    assert told[1].reason == "gauge-3: sees again, and all limits are kept"  # type: ignore[attr-defined]


def test_what_was_not_written_is_told_again() -> None:
    bench = Bench()
    bench.latest.take(Observations.of(LEVEL, ("gauge-3",), [0], [microseconds(START)], [5.5]))
    first, second = bench.watch.look(START), bench.watch.look(START)
    assert first == second
    bench.watch.learn(first)
    assert bench.watch.look(START) == ()


def test_a_restart_goes_on_from_the_ledgers_records() -> None:
    before = Bench()
    for value in (1.0, 4.2, 5.5, 4.95):
        before.say(value)
    ledger = [decode_record(encode_record(record)) for record in before.told]
    after = Watch({"flood": [HIGH]}, before.latest, since=before.now)
    after.learn(ledger)
    assert after.level("river_high", "gauge-3") == Level.RED
    assert after.look(before.now) == ()


def test_a_rule_that_breaks_is_told_once_and_stops_no_other() -> None:
    works = {"now": False}

    def judge(window: object, before: object) -> Verdict:
        if not works["now"]:
            raise ZeroDivisionError("a pack's bug")
        return HIGH.judge(window, before)  # type: ignore[arg-type]

    broken = msgspec.structs.replace(HIGH, name="broken", judge=judge)
    bench = Bench(broken, HIGH)
    assert levels(bench.say(4.2)) == [("none", "orange")]
    bench.say(4.2)
    (fault,) = bench.of(SensorFault)
    assert (fault.subject, fault.reason) == ("rule broken", "ZeroDivisionError: a pack's bug")  # type: ignore[attr-defined]
    works["now"] = True
    bench.say(4.2)
    assert [f.healed for f in bench.of(SensorFault)] == [False, True]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(np.zeros(3, np.int8), np.zeros(1), ("",)),
        Verdict(np.zeros(1, np.int8), np.zeros(1), ()),
        Verdict(np.full(1, 7, np.int8), np.zeros(1), ("",)),
    ],
)
def test_a_verdict_that_does_not_fit_the_sites_is_a_fault_of_the_rule(verdict: Verdict) -> None:
    bench = Bench(msgspec.structs.replace(HIGH, judge=lambda window, before: verdict))
    (fault,) = bench.say(4.2)
    assert isinstance(fault, SensorFault)
    assert "PackFault" in fault.reason


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="one name"):
        Bench(HIGH, HIGH)


def faults(records: list[Record]) -> list[tuple[str, bool, str]]:
    return [(r.check, r.healed, r.reason) for r in records if isinstance(r, SensorFault)]


def test_a_stuck_gauge_is_told_with_how_long_and_what_its_neighbours_did_and_its_site_is_blind() -> None:
    bench = Bench(sites=("gauge-1", "gauge-2", "gauge-3"), checks=(CHECK,), grace_s=1800.0)
    for step in range(12):
        bench.say(1.0 + 0.1 * step, site="gauge-1")
        bench.say(1.5, minutes=0.0)
    ((check, healed, reason),) = faults([r for r in bench.told if r.subject == "gauge-3"])
    assert (check, healed) == ("stuck", False)
    assert reason == "flat line: 9 readings within 0.001 m over 40 min while a neighbour moved by 0.4 m or more"
    blind = [r for r in bench.of(Warning) if r.subject == "gauge-3"]
    assert levels(blind) == [("none", "blind")]
    bench.told.clear()
    bench.say(2.5)
    assert faults([r for r in bench.told if r.subject == "gauge-3"]) == [("stuck", True, "it moves, or its neighbours rest")]


def test_an_impossible_value_is_a_fault_and_three_good_readings_heal_it() -> None:
    bench = Bench(checks=(CHECK,))
    for value in (1.0, 99.0, 1.1, 1.2):
        bench.say(value)
    assert faults(bench.told) == [("gross range", False, "gross range: 99 m is outside what the sensor can measure, -1..10 m")]
    bench.say(1.3)
    assert faults(bench.told)[1:] == [("gross range", True, "the last 3 readings passed")]


def test_one_spike_is_no_fault_of_the_sensor_but_three_in_a_dozen_are() -> None:
    bench = Bench(checks=(CHECK,))
    for value in (1.0, 3.0, 1.1, 1.0):
        bench.say(value)
    assert faults(bench.told) == []
    for value in (3.0, 1.1, 1.0, 3.0, 1.1):
        bench.say(value)
    assert faults(bench.told) == [("spike", False, "spike: 3 of the last 12 readings leap away by more than 1 m and back")]


def test_silence_is_a_gap_until_the_sensor_speaks_again() -> None:
    bench = Bench(checks=(CHECK,))
    bench.say(1.0)
    bench.pass_time(31.0)
    bench.pass_time(31.0)
    bench.say(1.0)
    assert faults(bench.told) == [
        ("gap", False, "gap: nothing for 31 min; a reading is due every 5 min"),
        ("gap", True, "it speaks again"),
    ]


def test_a_clock_that_is_ahead_is_told_and_its_site_is_not_judged_by_it() -> None:
    bench = Bench(checks=(CHECK,))
    bench.say(1.0)
    now = microseconds(bench.now)
    for ahead_s in (3600, 3600, 0):
        told = Observations.of(
            LEVEL, ("gauge-3",), [0], [now + ahead_s * 1_000_000 + 1], [9.0 if ahead_s else 1.0], arrived_us=[now]
        )
        checked = bench.latest.take(told)
        bench.tell(bench.watch.inspect(bench.now, [LEVEL], ahead=dict(checked.future), heard=checked.heard))
        bench.tell(bench.watch.look(bench.now))
    assert faults(bench.told) == [
        ("clock ahead", False, "its clock is 3600 s ahead of ours; wanted at most 60 s"),
        ("clock ahead", True, "its time agrees with ours again"),
    ]
    assert levels(bench.told) == []


RAIN = Quantity("rain_rate", "mm/h", low=0, high=500)
WET = threshold("rain_heavy", RAIN, Limits({Level.RED: 30.0}, "mm/h", "a test"), max_age_s=1800)


def test_a_rule_on_two_quantities_is_looked_at_when_either_is_heard() -> None:
    bench = Bench(compound("high_and_wet", [HIGH, WET]))
    assert bench.say(4.5) == [bench.told[0], bench.told[1]]  # the rain is not known: blind
    assert isinstance(bench.told[1], Warning)
    assert bench.told[1].level == Level.BLIND
    bench.latest.take(Observations.of(RAIN, ("gauge-3",), [0], [microseconds(bench.now)], [40.0]))
    told = bench.tell(bench.watch.look(bench.now, [RAIN]))
    assert isinstance(told[1], Warning)
    assert (told[1].level, told[1].value) == (Level.ORANGE, 4.5)
    assert "rain_heavy: red" in told[1].reason
    assert not told[1].public
    assert bench.watch.look(bench.now) == ()


def test_a_signal_that_is_attenuated_is_told_as_a_fault_of_the_sensor() -> None:
    check = msgspec.structs.replace(
        CHECK, flat_suspect_s=None, attenuated_suspect=0.05, attenuated_fail=0.01, attenuated_s=1200.0
    )
    bench = Bench(checks=(check,))
    faults = [one for k in range(9) for one in bench.say(1.0 + 0.001 * (k % 2)) if isinstance(one, SensorFault)]
    assert [(fault.check, fault.reason, fault.healed) for fault in faults] == [
        ("attenuated signal", "attenuated signal: the range of 20 min is below 0.01 m", False)
    ]
    faults = [one for k in range(9) for one in bench.say(1.0 + 0.3 * (k % 2)) if isinstance(one, SensorFault)]
    assert [(fault.check, fault.healed) for fault in faults] == [("attenuated signal", True)]


def test_a_sensor_that_left_its_place_and_one_that_nobody_agrees_with_are_told_as_faults() -> None:
    box = Location(box=(-52.0, -31.0, -51.0, -29.0), apart_s=600.0)
    check = msgspec.structs.replace(
        CHECK,
        flat_suspect_s=None,
        location=box,
        neighbour_suspect=0.5,
        neighbour_fail=1.0,
        neighbour_least=1,
        spike_suspect=None,
        spike_fail=None,
    )
    bench = Bench(checks=(check,))
    for step in range(4):
        at = [microseconds(bench.now + timedelta(minutes=5))]
        for name, number in (("longitude", -51.5 if step < 3 else -50.0), ("latitude", -30.0)):
            bench.latest.take(Observations.of(Quantity(name, "deg"), ("gauge-3",), [0], at, [number]))
        bench.latest.take(Observations.of(LEVEL, ("gauge-1",), [0], at, [1.0 + 0.01 * step]))
        bench.say(3.0 + 0.01 * step)
    told = {(fault.subject, fault.check): fault.reason for fault in bench.told if isinstance(fault, SensorFault)}
    assert told == {
        ("gauge-3", "neighbour"): "neighbour: 3 of the last 12 readings are more than 1 m from those of its neighbours",
        ("gauge-3", "location"): "location: it says that it is outside the area where it must be",
    }


def test_a_value_that_cannot_be_in_this_season_is_told_as_a_fault() -> None:
    frozen = Climate(first=1, last=12, usual=(0.0, 4.0), possible=(-0.5, 6.0))
    bench = Bench(checks=(msgspec.structs.replace(CHECK, climates=(frozen,)),))
    bench.say(1.0)
    faults = [one for one in bench.say(7.0) if isinstance(one, SensorFault)]
    assert [(fault.check, fault.reason) for fault in faults] == [
        ("climatology", "climatology: 7 m is not possible at this time of the year")
    ]


def test_a_rule_that_breaks_at_one_site_is_told_once_and_still_warns_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.edge.watch.SITES_AT_ONCE", 2)
    high = threshold("high", LEVEL, Limits({Level.RED: 3.0}, "m", "a test"), max_age_s=1e9)

    def judge(window: Window, before: NDArray[np.int8]) -> Verdict:
        if "gauge-2" in window.sites:
            raise ValueError("it cannot")
        return high.judge(window, before)

    rule = msgspec.structs.replace(high, judge=judge)
    latest = Latest()
    latest.take(Observations.of(LEVEL, tuple(f"gauge-{k}" for k in range(7)), range(7), [microseconds(START)] * 7, [4.0] * 7))
    watch = Watch({"flood": [rule]}, latest, since=START)
    told = watch.look(START)
    assert [one.subject for one in told if isinstance(one, Warning)] == ["gauge-0", "gauge-1", "gauge-4", "gauge-5", "gauge-6"]
    assert [(one.subject, one.healed) for one in told if isinstance(one, SensorFault)] == [("rule high", False)]
    watch.learn(told)
    assert watch.look(START) == ()
