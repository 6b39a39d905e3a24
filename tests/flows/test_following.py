"""The drill: an assessment is followed by readings of a truth that is known, in virtual time, and all that it says is in the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from tocsin.decision.compare import Compared, compare
from tocsin.decision.futures import Foreseen, foresee
from tocsin.edge.latest import Latest, microseconds
from tocsin.flows.board import Board
from tocsin.flows.following import AGAIN_AFTER_S, LOOK_EVERY_S, Followed, Following, assessed
from tocsin.flows.words import in_words
from tocsin.pack import Action, Duration, Effect, Limits, Plan, Scenario, Spread, find_pack, senses_of
from tocsin.platform.twin import Gauge
from tocsin.security.actor import Actor
from tocsin.testing.memory import START, OneByOne, TestHost
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Comparison, Evidence, Forecast, Level, Note, Observations, Series, Verification

PACK = find_pack("flood")
MODEL, HARM, WORLD = PACK.models[0], PACK.harm, TinyWorld(np.tile(np.linspace(0.0, 1.5, 6), (4, 1)))
RIVER, SENSES = PACK.observes[0], senses_of(PACK, MODEL)
GAUGES = (Gauge("quay", "quay", RIVER.name, 0.0, 0.0, 0.0, 0.0, 0, float("nan"), None, "m", "lake"),)
PLATFORM = Actor("platform", frozenset({"system"}))
MEMBERS, HOURS = 32, 3
STORM = Scenario(
    HOURS * 3600.0,
    MEMBERS,
    1,
    {"level_offset_m": Spread(-0.8, 0.0, 0.8, "uniform")},
    {"level@lake": Series.of([0.0, 1800.0], [0.0, 1.6])},
)
WAIT = Plan("wait", "flood", "", (Action("watch", "watch", "operator", Duration(60.0, 60.0, 60.0)),))
GO = Plan("go", "flood", "", (Action("go", "go", "police", Duration(1.0, 2.0, 4.0), (Effect("move_population", "low", 0.5),)),))


@pytest.fixture(scope="module")
def foreseen() -> Foreseen:
    return foresee(WORLD, MODEL, STORM, OneByOne())


@pytest.fixture(scope="module")
def compared(foreseen: Foreseen) -> Compared:
    return compare(WORLD, MODEL, HARM, foreseen, [WAIT, GO], OneByOne(), hour=3.0)


class Drill:
    """A host in virtual time with one assessment, and a gauge that shows a level plus its own noise."""

    def __init__(self, compared: Compared, *, seed: int = 3) -> None:
        self.host, self.latest, self.rng = TestHost(), Latest(), np.random.default_rng(seed)
        self.decided: set[str] = set()
        forecast = Forecast(
            time=START,
            subject="tiny",
            hazard="flood",
            model=MODEL.name,
            source="",
            members=MEMBERS,
            seed=1,
            duration_s=STORM.duration_s,
            scenario={},
            impact={},
        )
        (self.forecast_id,) = self.host.ledger.append(PLATFORM, [forecast])
        record = Comparison(
            time=START,
            subject="flood",
            cause=(self.forecast_id,),
            forecast=self.forecast_id,
            futures=MEMBERS,
            scores=compared.scores,
            recommended=compared.recommended,
            reason=compared.reason,
            doubt=compared.doubt,
            choice=compared.choice,
        )
        (self.first,) = self.host.ledger.append(PLATFORM, [record])
        self.following = Following(
            self.host.ledger, PLATFORM, self.latest, GAUGES, ("lake",), decided_on=lambda asked: asked in self.decided
        )
        self.following.begin(assessed(self.forecast_id, record, START, "tiny", STORM, MODEL, compared, GAUGES, SENSES))
        self.looks: list[Followed] = []

    def go(self, level: Any, minutes: int = HOURS * 60, every_min: int = 10) -> Drill:
        """Readings of `level(time_s)` every ten minutes, and a look after each."""
        for minute in range(every_min, minutes + 1, every_min):
            now = START + timedelta(minutes=minute)
            value = level(minute * 60.0) + 0.05 * self.rng.standard_normal()
            self.host.clock._now = now
            self.latest.take(Observations.of(RIVER, ("quay",), [0], [microseconds(now)], [value]))
            self.following.heard()
            if (look := self.following.step(now)) is not None:
                self.looks.append(look)
        return self

    def of(self, kind: type) -> list[Any]:
        return [entry.record for entry in self.host.ledger.read() if isinstance(entry.record, kind)]


def truth_of(foreseen: Foreseen, number: int) -> Any:
    future = foreseen.futures[number]
    return lambda time_s: MODEL.forcing(future, "level@lake", time_s)


def harm_told(record: Comparison, plan: str) -> Any:
    return next(s.harm for s in record.scores if s.plan == plan)


def test_the_expected_harm_goes_to_that_of_the_true_future(foreseen: Foreseen, compared: Compared) -> None:
    closer = 0
    for truth in range(MEMBERS):
        drill = Drill(compared).go(truth_of(foreseen, truth))
        first, last = drill.of(Comparison)[0], drill.of(Comparison)[-1]
        came = compared.harm_by_future["wait"][truth]
        before, after = harm_told(first, "wait"), harm_told(last, "wait")
        assert abs(after.mean - came) <= abs(before.mean - came) + 1e-9
        assert after.high - after.low <= before.high - before.low
        closer += abs(after.mean - came) < abs(before.mean - came)
    assert closer > MEMBERS / 2


def test_a_new_comparison_is_caused_by_the_forecast_the_one_before_and_the_readings(
    foreseen: Foreseen, compared: Compared
) -> None:
    drill = Drill(compared).go(truth_of(foreseen, deepest(foreseen)))
    first, *later = drill.of(Comparison)
    assert later
    for record in later:
        assert record.cause[0] == drill.forecast_id
        kinds = {type(drill.host.ledger.find(cause).record) for cause in record.cause}
        assert kinds == {Forecast, Comparison, Verification, Evidence}
        assert "Weighed by readings: they leave" in record.doubt
        assert record.futures == first.futures
    assert all(evidence.batch for evidence in drill.of(Evidence))
    heard = [time for evidence in drill.of(Evidence) for time in evidence.sensor_time_us]
    assert len(heard) == len(set(heard))  # each reading is evidence once


def test_the_same_seed_gives_the_same_ledger_and_another_seed_another(foreseen: Foreseen, compared: Compared) -> None:
    def ids(seed: int) -> list[str]:
        drill = Drill(compared, seed=seed).go(truth_of(foreseen, deepest(foreseen)))
        return [entry.id for entry in drill.host.ledger.read()]

    assert ids(3) == ids(3)
    assert ids(3) != ids(4)


def deepest(foreseen: Foreseen) -> int:
    return max(range(MEMBERS), key=lambda n: foreseen.futures[n].knobs["level_offset_m"])


def test_a_level_above_all_futures_asks_for_new_ones_at_most_every_half_hour_and_recommends_nothing(
    foreseen: Foreseen, compared: Compared
) -> None:
    drill = Drill(compared).go(lambda _time_s: 9.0)
    lost = [look for look in drill.looks if look.is_lost]
    assert 1 <= len(lost) <= HOURS * 3600.0 / AGAIN_AFTER_S
    assert lost[0].anew is not None
    gone_s = AGAIN_AFTER_S
    assert lost[0].anew.duration_s == STORM.duration_s - gone_s
    assert lost[0].anew.series["level@lake"].at(0.0) == STORM.series["level@lake"].at(gone_s)
    assert lost[0].anew.knobs["level_offset_m"].high > 0.8
    assert drill.looks[-1].anew is None  # less than half of its time is left
    assert len(drill.of(Comparison)) == 1
    assert "above all 32 futures" in in_words(drill.of(Verification)[-1])


def test_after_a_decision_it_only_tells_and_once(foreseen: Foreseen, compared: Compared) -> None:
    drill = Drill(compared)
    drill.decided.add(drill.first)
    drill.go(lambda _time_s: 9.0)
    assert drill.looks
    assert not any(look.is_lost for look in drill.looks)
    assert len(drill.of(Comparison)) == 1
    (note,) = drill.of(Note)
    assert note.text.startswith("after the decision: quay reads 9")
    assert note.cause == (drill.forecast_id, drill.first)


def test_what_was_expected_and_what_came_are_kept_by_hand(foreseen: Foreseen, compared: Compared) -> None:
    truth = truth_of(foreseen, 5)
    drill = Drill(compared).go(truth)
    last = drill.of(Verification)[-1]
    (gauge,) = last.gauges
    assert (gauge.site, gauge.what, gauge.unit) == ("quay", "level@lake", "m")
    value = [v for evidence in drill.of(Evidence) for v in evidence.value]
    heard = [v for k, v in enumerate(value, 1) if k % 3 == 0 or k == len(value)]  # of each half hour the last
    assert gauge.readings == len(heard)
    assert gauge.came == heard[-1]
    told = np.array([[MODEL.forcing(f, "level@lake", 1800.0 * (k + 1)) for k in range(len(heard))] for f in foreseen.futures])
    pairs = np.abs(told[:, None] - told[None]).mean(axis=(0, 1))
    assert gauge.crps == pytest.approx(float((np.abs(told - heard).mean(axis=0) - pairs / 2).mean()))
    assert Board(drill.host.ledger.read()).verifications[drill.forecast_id] == last


def test_it_looks_once_a_minute_and_only_when_something_came(foreseen: Foreseen, compared: Compared) -> None:
    drill = Drill(compared)
    assert drill.following.step(START + timedelta(minutes=5)) is None  # nothing came
    drill.go(truth_of(foreseen, 5), minutes=10)
    now = START + timedelta(minutes=10)
    drill.following.heard()
    assert drill.following.step(now + timedelta(seconds=LOOK_EVERY_S - 1)) is None
    assert drill.following.step(now + timedelta(seconds=LOOK_EVERY_S)) is not None
    assert drill.following.step(now + timedelta(hours=1)) is None


def test_a_comparison_without_its_futures_cannot_be_followed(compared: Compared) -> None:
    from tocsin.vocabulary import InputError

    drill = Drill(compared)
    bare = msgspec.structs.replace(compared, foreseen=None)
    with pytest.raises(InputError, match="no futures"):
        assessed(drill.forecast_id, drill.of(Comparison)[0], START, "tiny", STORM, MODEL, bare, GAUGES, SENSES)


def test_a_gauge_that_is_said_to_be_exact_decides_more_than_one_that_is_not(foreseen: Foreseen, compared: Compared) -> None:
    truth = truth_of(foreseen, 5)
    (usual,) = GAUGES

    def left(error_sd: float) -> float:
        drill = Drill(compared)
        drill.following._gauges = (msgspec.structs.replace(usual, error_sd=error_sd),)
        return drill.go(truth).looks[-1].effective

    assert left(0.02) < left(float("nan")) < left(0.5)
    assert left(0.1) == left(float("nan"))  # 0.1 m is what holds where nobody said


def test_how_likely_a_gauge_was_told_to_pass_its_limit_is_kept_beside_whether_it_did(
    foreseen: Foreseen, compared: Compared
) -> None:
    drill = Drill(compared)
    limits = Limits({Level.BLUE: 0.1, Level.YELLOW: 1.0, Level.RED: 2.0}, "m", "this test")
    drill.following._gauges = (msgspec.structs.replace(GAUGES[0], limits=limits),)
    drill.go(truth_of(foreseen, deepest(foreseen)))
    (gauge,) = drill.of(Verification)[-1].gauges
    assert gauge.limit == 1.0
    assert sum(gauge.ranks) == gauge.readings == len(gauge.chances)
    told = [
        np.mean([MODEL.forcing(f, "level@lake", 1800.0 * (k + 1)) >= 1.0 for f in foreseen.futures])
        for k in range(gauge.readings)
    ]
    assert gauge.chances == pytest.approx(told, abs=1e-4)
    assert all(gauge.passed)
    assert gauge.ranks[-1] > gauge.readings / 2  # the deepest future of all came


def test_where_the_truth_is_one_of_the_futures_readings_fall_alike_among_them(foreseen: Foreseen, compared: Compared) -> None:
    total = np.zeros(10)
    for truth in range(MEMBERS):
        (gauge,) = Drill(compared).go(truth_of(foreseen, truth)).of(Verification)[-1].gauges
        total += np.array(gauge.ranks) / gauge.readings
    # each future was true once, so each tenth holds 3.2 of them; a gauge's noise of 0.05 m moves one by a tenth of the range at most
    assert np.abs(total - MEMBERS / 10).max() <= 1.5
