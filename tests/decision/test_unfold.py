"""A plan's triggers see the hazard as the plan's own effects leave it: two basins that fill, whose levels are known in closed form.

Basin `low` and basin `high` are the two zones of the tiny world. Water rises in both; `hold` stops the rise in one, `drain` lets it fall, and what
is held back from one flows to the other. People are reached when the water in their zone stands at 0.3 m.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tocsin.decision import unfold
from tocsin.decision.check_plan import faults_of_plan
from tocsin.decision.compare import Compared, Racing, compare, sharpen
from tocsin.decision.contest import Contest
from tocsin.decision.futures import foresee
from tocsin.decision.interpret import Course, course_of, duration_s, play, step
from tocsin.decision.outcomes import MOVED
from tocsin.decision.progress import Happening, Script, after, at_first
from tocsin.decision.trial import FutureFacts, Town
from tocsin.decision.unfold import Unfolded, Unfolding
from tocsin.host import Compute
from tocsin.pack import (
    Action,
    Duration,
    Effect,
    FactKind,
    Future,
    Harm,
    Knob,
    Model,
    Plan,
    PlanLevel,
    Scenario,
    Spread,
    Verb,
    facts_for,
    find_pack,
)
from tocsin.pack.model import Run
from tocsin.pack.trigger import Fact
from tocsin.platform.compute import LocalCompute, open_compute
from tocsin.platform.processes import ProcessCompute
from tocsin.science.race import Criterion
from tocsin.testing.memory import OneByOne
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import InputError, Level, Member, PackFault, Quantity, Series, World

INF, MINUTE, HOUR = np.inf, 60.0, 3600.0
WATER = Quantity("basin_depth", "m", 0.0, 1e3)
HARM = Harm(WATER, 0.3, "a test")
WORLD, LASTS_S, POINT_S = TinyWorld(), 4 * HOUR, 300.0
ZONES = ("low", "high")
FLOWS_OVER = 0.5  # of what is held back or drained from one basin, into the other


@pytest.fixture(autouse=True)
def gauges(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A gauge in each basin, as facts that a plan may ask for."""
    facts = tuple(FactKind(f"{zone}_m", "m", "", -INF, INF, f"the water in {zone}", course=f"{zone}_m") for zone in ZONES)
    pack = find_pack("flood")
    told = {"flood": msgspec.structs.replace(pack, facts=(*pack.facts, *facts))}
    monkeypatch.setattr("tocsin.pack.find_packs", lambda: told)
    facts_for.cache_clear()  # what other tests asked for before, and after this one what it asked for
    yield
    facts_for.cache_clear()


def rises(future: Future, effects: Sequence[Effect], zone: str) -> list[tuple[float, float]]:
    """From when on the water in a basin rises how fast: (s, m/h)."""
    told = []
    for at_s in sorted({0.0, *(e.start_s for e in effects)}):
        holds = [e for e in effects if e.start_s <= at_s and e.verb == "hold"]
        drains = [e for e in effects if e.start_s <= at_s and e.verb == "drain"]
        rate = future.knobs["rise_m_per_h"]
        own = 0.0 if any(e.target == zone for e in holds) else rate
        own += FLOWS_OVER * rate * any(e.target != zone for e in holds)
        own += sum((-1.0 if e.target == zone else FLOWS_OVER) * e.amount for e in drains)
        told.append((at_s, own))
    return told


def levels_m(future: Future, effects: Sequence[Effect], zone: str, time_s: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """The level at given times: a sum of straight pieces, never below the floor."""
    pieces = rises(future, effects, zone)
    ends = [at_s for at_s, _ in pieces[1:]] + [max(float(time_s.max(initial=0.0)), pieces[-1][0])]
    level, told = 0.0, np.zeros(time_s.size)
    for (from_s, rate), until_s in zip(pieces, ends, strict=True):
        mine = (time_s >= from_s) & (time_s <= until_s)
        told[mine] = np.maximum(0.0, level + rate * (time_s[mine] - from_s) / HOUR)
        level = max(0.0, level + rate * (until_s - from_s) / HOUR)
    return told


def basins_fill(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    time_s = np.arange(0.0, LASTS_S + 1.0, POINT_S)
    peak, arrival = np.zeros(world.grid.cells, np.float32), np.full(world.grid.cells, INF, np.float32)
    courses = {}
    for number, zone in enumerate(ZONES):
        level = levels_m(future, effects, zone, time_s)
        courses[f"{zone}_m"] = Series.of(time_s, level)
        here = world.zones.zone_of == number
        peak[here] = level.max()
        wet = np.flatnonzero(level >= 0.3)
        arrival[here] = time_s[wet[0]] if wet.size else INF
    return Member(peak, arrival, arrival, courses=courses)


MODEL = Model(
    "basins_fill",
    (),
    WATER,
    basins_fill,
    {"rise_m_per_h": Knob("m/h", 0.0, 0.3, 10.0, "how fast the water rises")},
    {},
    {"hold": Verb("zone", "stop the rise"), "drain": Verb("zone", "let it fall", "m/h", 0.0, 100.0)},
    "a test",
    "a test",
)
USUAL = Future(0, 7, LASTS_S, {"rise_m_per_h": 0.3})


def action(name: str, minutes: float, *effects: Effect, when: str = "", **more: object) -> Action:
    return Action(name, name, "fire", Duration(minutes, minutes, minutes), effects, when=when, **more)  # type: ignore[arg-type]


def plan(*actions: Action, name: str = "p", levels: tuple[PlanLevel, ...] = ()) -> Plan:
    return Plan(name, "flood", "a test", actions, levels=levels)


def unfolding(model: Model = MODEL) -> Unfolding:
    return Unfolding(Town.of(WORLD, HARM, WATER, 3.0), model, facts_for("flood"), Level.RED)


def settled(made: Plan, future: Future = USUAL, model: Model = MODEL) -> Unfolded:
    """A plan brought to its end in one future."""
    script, mine = Script(made), unfolding(model)
    now = mine.begin(script, future, model.play(WORLD, future))
    while not now.settled:
        now = mine.go_on(script, future, now, model.play(WORLD, future, now.next_run))
    return now


def started_min(course: Course, name: str) -> float | None:
    start_s = course.of(name).start_s
    return None if start_s is None else start_s / MINUTE


HOLD, DRAIN, HOLD_HIGH = Effect("hold", "low"), Effect("drain", "low", 2.0), Effect("hold", "high")
AWAY = Effect("move_population", "low", 1.0)


# -- by hand -----------------------------------------------------------------------------------------------------------


def guarded(minutes: float) -> Plan:
    """Close the basin when 0.1 m stand in it; move people when the water has come to them."""
    return plan(action("close", minutes, HOLD, when="low_m > 0.1 m"), action("move", 1.0, AWAY, when='reached_share@"low" > 0 %'))


def test_a_barrier_that_stops_the_rise_in_time_keeps_its_plan_from_moving_people() -> None:
    """0.3 m/h: 0.1 m after 20 min, so the gauge is above it at the look after 25 min; closed at 35 min with 0.175 m, never 0.3 m."""
    now = settled(guarded(10.0))
    assert now.wanted == (Effect("hold", "low", 1.0, 35 * MINUTE),)
    assert (started_min(now.course, "close"), started_min(now.course, "move")) == (25.0, None)
    assert now.runs == 1


def test_a_barrier_that_comes_too_late_does_not() -> None:
    """Closed at 65 min; the water was at 0.3 m after 60."""
    now = settled(guarded(40.0))
    assert (started_min(now.course, "close"), started_min(now.course, "move")) == (25.0, 60.0)
    assert now.runs == 1


def test_what_the_comparison_tells_of_people_and_money_is_of_the_hazard_as_the_plan_leaves_it() -> None:
    made = plan(
        action("close", 10.0, HOLD, when="low_m > 0.1 m"),
        action("move", 1.0, AWAY, when='reached_share@"low" > 0 %', cost=9.0),
        name="guarded",
    )
    done = compared([made], spread=False)
    assert done.scores[0].cost == 0.0
    assert done.grounds is not None
    assert done.grounds.table.figures[MOVED].tolist() == [[0.0]]
    assert done.harm_by_future["guarded"].tolist() == [30.0]  # `high` is under water, `low` is dry


def test_an_effect_may_bring_another_and_that_a_third() -> None:
    """Closing `low` sends half of its water to `high`, which is closed too and sends half of its own back, so `low` has to be drained.

    `low` > 0.1 m: 25 min, closed at 30 with 0.15 m. `high` rises at 0.45 m/h from 0.15 m on, is above 0.2 m at 40 min, closed at 45 with
    0.2625 m. Then `low` rises again, at 0.15 m/h from 0.15 m: above 0.2 m after 65 min, at the look after 70.
    """
    made = plan(
        action("close low", 5.0, HOLD, when="low_m > 0.1 m"),
        action("close high", 5.0, HOLD_HIGH, when="high_m > 0.2 m"),
        action("drain low", 5.0, DRAIN, when='low_m > 0.2 m and done("close high")'),
    )
    now = settled(made)
    assert [started_min(now.course, a.name) for a in made.actions] == [25.0, 40.0, 70.0]
    assert [e.start_s / MINUTE for e in sorted(now.wanted, key=lambda e: e.start_s)] == [30.0, 45.0, 75.0]
    assert now.course == causal(made, USUAL)[0]


def test_a_plan_that_lowers_its_own_trigger_does_not_go_round_in_a_circle() -> None:
    """Drained at 2 m/h from 0.2 m on, the level falls below 0.1 m: its level is left, and what is called only by it is not done again."""
    levels = (PlanLevel("II", Level.ORANGE, enter="low_m >= 0.2 m", leave="low_m < 0.1 m", automatic=True),)
    made = plan(
        action("drain", 10.0, DRAIN, level="II", repeat_most=12),
        action("move", 5.0, AWAY, level="II", when="low_m > 0.25 m", deadline_min=600.0),
        levels=levels,
    )
    now = settled(made)
    # 0.2 m at 40 min, drained from 50 min on with 0.25 m, falls by 1.7 m/h: below 0.1 m at the look after 60 min
    assert [(h.kind, h.time_s / MINUTE) for h in now.course.happenings if h.name == "II"] == [("entered", 40.0), ("left", 60.0)]
    assert now.wanted == (Effect("drain", "low", 2.0, 50 * MINUTE),)
    assert (started_min(now.course, "move"), now.course.of("drain").times) == (None, 2)
    assert now.runs == 1


def test_what_is_done_again_stands_from_the_first_time_on() -> None:
    now = settled(plan(action("close", 10.0, HOLD, repeat_most=3)))
    assert now.wanted == (Effect("hold", "low", 1.0, 10 * MINUTE),)
    assert now.course.of("close").end_s == 30 * MINUTE


def hourly(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    """The same basins, told only once an hour, with lines between."""
    member = basins_fill(world, future, effects, frame_s)
    courses = {name: Series.of(series.time_s[::12], series.value[::12]) for name, series in member.courses.items()}
    return msgspec.structs.replace(member, courses=courses)


def test_a_gauge_that_is_told_once_an_hour_is_no_model_that_looks_ahead() -> None:
    """Closed at 35 min, the line to what is told after 60 min is lower at 25 min already: what was seen until then stands."""
    now = settled(guarded(10.0), model=msgspec.structs.replace(MODEL, run=hourly))
    assert (started_min(now.course, "close"), started_min(now.course, "move")) == (25.0, None)


def test_what_follows_from_a_wrong_guess_is_not_guessed_again() -> None:
    """Both basins are drained from 50 min on, so neither of the others is ever called, though without that both would be.

    Each of the two sends its water to the other's basin and so would call it, one after the other until the future ends. What is sure after
    the first run is the draining alone, and on that nothing is called.
    """
    both = tuple(Effect("drain", zone, 0.7) for zone in ZONES)
    made = plan(
        action("drain both", 5.0, *both, when="low_m > 0.2 m"),
        action("drain low", 5.0, Effect("drain", "low", 1.0), when="low_m > 0.3 m"),
        action("drain high", 5.0, Effect("drain", "high", 1.0), when="high_m > 0.8 m"),
    )
    now = settled(made)
    assert {e.amount for e in now.wanted} == {0.7}
    assert now.runs == 2


# -- against a town in which time passes -------------------------------------------------------------------------------


class Lived:
    """Facts as they are met while time passes: of the effects that have been done so far, and no others."""

    def __init__(self, future: Future) -> None:
        self.future, self.effects = future, list[Effect]()

    def at(self, name: str, place: str, time_s: float) -> Fact:
        if name == "reached_share":
            points = np.arange(0.0, max(time_s, 0.0) + 1e-9, POINT_S)
            return Fact(float((levels_m(self.future, self.effects, place, points) >= 0.3).any()), "")
        points = np.arange(0.0, LASTS_S + 1.0, POINT_S)
        return Fact(Series.of(points, levels_m(self.future, self.effects, name[:-2], points)).at(time_s), "m")


def causal(made: Plan, future: Future) -> tuple[Course, tuple[Effect, ...]]:
    """A plan carried out in a town where each effect changes what follows it: no run is known beforehand, so none has to be run again."""
    script, state, told = Script(made), at_first(made), list[Happening]()
    facts = Lived(future)
    coming: list[tuple[float, int, Happening, int]] = []
    acts = {a.name: a for a in made.actions}
    tick = 0
    while tick * POINT_S <= LASTS_S + 40 * HOUR and not state.is_over:
        now_s = min(tick * POINT_S, coming[0][0] if coming else INF)
        while coming and coming[0][0] <= now_s:
            _, _, happening, time = heapq.heappop(coming)
            here = state.actions[happening.name]
            if here.phase == "running" and here.times == time:
                state = after(made, state, [happening])
                told.append(happening)
                if here.end_s is None:
                    start_s = math.ceil(now_s / 300.0) * 300.0
                    facts.effects += [
                        msgspec.structs.replace(e, start_s=start_s)
                        for e in acts[happening.name].effects
                        if e.verb in MODEL.acts_on
                    ]
        state, happened = step(script, state, facts, now_s)
        for h in happened:
            told.append(h)
            if h.kind == "started":
                end_s = now_s + duration_s(acts[h.name], future, state.actions[h.name].times)
                heapq.heappush(coming, (end_s, len(told), Happening("done", h.name, end_s), state.actions[h.name].times))
        if now_s == tick * POINT_S and not (coming and coming[0][0] <= now_s):
            tick += 1
    return course_of(made, state, tuple(told)), tuple(sorted(facts.effects, key=msgspec.structs.astuple))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Up to five actions that hold, drain or move, each with triggers on the basins that the others change."""
    actions: list[Action] = []
    for number in range(draw(st.integers(1, 5))):
        zone, other = draw(st.sampled_from(ZONES)), draw(st.sampled_from(ZONES))
        effect = draw(
            st.sampled_from([Effect("hold", zone), Effect("drain", zone, draw(st.sampled_from([0.2, 0.5, 2.0]))), AWAY])
        )
        limit = draw(st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.5]))
        when = draw(
            st.sampled_from(
                [
                    "",
                    f"{other}_m > {limit} m",
                    f"{other}_m < {limit} m",
                    f"{other}_m > {limit} m for 20 min",
                    f'reached_share@"{other}" > 0 %',
                    f'reached_share@"{other}" < 50 % and {zone}_m > {limit} m',
                ]
            )
        )
        more: dict[str, object] = {"deadline_min": draw(st.sampled_from([60.0, 200.0]))}
        if actions and draw(st.booleans()):
            more["after"] = (draw(st.sampled_from([a.name for a in actions])),)
        if draw(st.integers(0, 3)) == 0:
            more["cancel"] = f"{other}_m > {draw(st.sampled_from([0.6, 0.8]))} m"
        more["repeat_most"] = draw(st.sampled_from([1, 1, 1, 2]))
        actions.append(action(f"a{number}", draw(st.sampled_from([2.0, 5.0, 7.0, 20.0, 45.0])), effect, when=when, **more))
    return plan(*actions)


@settings(max_examples=150, deadline=None)
@given(made=plans(), rise=st.sampled_from([0.1, 0.3, 0.6]))
def test_any_plan_comes_to_what_it_comes_to_where_time_passes(made: Plan, rise: float) -> None:
    assume(not list(faults_of_plan(made, WORLD, MODEL)))  # what would be refused is not tried
    future = msgspec.structs.replace(USUAL, knobs={"rise_m_per_h": rise})
    truth, effects = causal(made, future)
    now = settled(made, future)
    assert tuple(sorted(now.wanted, key=msgspec.structs.astuple)) == effects
    assert now.course.done == truth.done
    assert now.runs <= 2 * len({e.start_s for e in effects})


# -- models that look ahead, and plans that do not settle --------------------------------------------------------------


def smoothed(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    """The same basins, as the mean over the hour before and the hour after."""
    member = basins_fill(world, future, effects, frame_s)
    courses = {}
    for name, series in member.courses.items():
        padded = np.pad(series.value, 12, mode="edge")
        courses[name] = Series.of(series.time_s, np.convolve(padded, np.full(25, 1 / 25), mode="valid"))
    return msgspec.structs.replace(member, courses=courses)


LOOKS_AHEAD = msgspec.structs.replace(MODEL, name="smoothed", run=smoothed)
# Smoothed over what is drained after 35 min, the level is lower at 25 min already, when it called for the drain.
DRAINED = plan(action("drain", 10.0, DRAIN, when="low_m > 0.1 m"), name="drained")


def test_a_model_that_looks_ahead_is_told_and_not_followed() -> None:
    with pytest.raises(
        PackFault, match=r"smoothed: future 0: drain from .* min on changes what plan drained saw before \('drain' started after"
    ):
        settled(DRAINED, model=LOOKS_AHEAD)


def looks_ahead_once(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    return (smoothed if future.number == 1 else basins_fill)(world, future, effects, frame_s)


def test_a_future_that_looks_ahead_is_reported_with_its_seed_and_the_others_are_compared() -> None:
    model = msgspec.structs.replace(MODEL, run=looks_ahead_once)
    seen = foresee(WORLD, model, Scenario(LASTS_S, 4, 5), OneByOne())

    def told(most: float) -> Compared:
        return [*sharpen(WORLD, model, HARM, seen, [DRAINED, WAIT], OneByOne(), hour=3.0, failed_share_most=most)][-1]

    with pytest.raises(PackFault, match=rf"1 of 4 failed, wanted at most 5%: number 1 \(seed {seen.futures[1].seed}\)"):
        told(0.05)
    last = told(0.25)
    assert [(f.number, f.seed) for f in last.failed] == [(1, seen.futures[1].seed)]
    assert "as changed by drain: basins_fill: future 1: drain from" in last.failed[0].reason
    assert last.failed[0].reason in last.doubt
    assert np.isfinite(last.harm_by_future["drained"]).sum() == 3


def test_a_plan_that_asks_nothing_of_the_run_is_tried_with_such_a_model_too() -> None:
    assert settled(plan(action("drain", 10.0, DRAIN, when="hours > 0.2 h")), model=LOOKS_AHEAD).runs == 0


def test_a_plan_that_is_not_settled_after_so_many_runs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(
        action("close low", 5.0, HOLD, when="low_m > 0.1 m"),
        action("close high", 5.0, HOLD_HIGH, when="high_m > 0.2 m"),
        action("drain low", 5.0, DRAIN, when='low_m > 0.2 m and done("close high")'),
    )
    needs = settled(made).runs
    assert needs > 1
    monkeypatch.setattr(unfold, "RUNS_MOST", needs - 1)
    with pytest.raises(InputError, match=f"plan p: not settled in future 0 after {needs - 1} runs"):
        settled(made)


# -- what it costs -----------------------------------------------------------------------------------------------------

WAIT = plan(action("watch", 60.0), name="wait")
SPREADS = {"rise_m_per_h": Spread(0.1, 0.3, 0.6, "uniform")}


def compared(made: Sequence[Plan], compute: Compute | None = None, *, members: int = 1, spread: bool = True) -> Compared:
    scenario = Scenario(LASTS_S, members, 5, SPREADS if spread else {})
    compute = compute or OneByOne()
    return compare(WORLD, MODEL, HARM, foresee(WORLD, MODEL, scenario, compute), made, compute, hour=3.0)


def test_a_plan_that_lets_the_hazard_be_costs_no_run_and_comes_to_what_it_came_to() -> None:
    move = plan(action("move", 5.0, AWAY, when='low_m > 0.2 m for 10 min or reached_share@"high" > 0 %'), name="move")
    done = compared([WAIT, move], members=8)
    assert done.hazard_runs == 8
    for number, course in enumerate(done.courses["move"]):
        future = msgspec.structs.replace(USUAL, number=number)
        assert done.grounds is not None
        seen = foresee(WORLD, MODEL, Scenario(LASTS_S, 8, 5, SPREADS), OneByOne())
        future = seen.futures[number]
        town = Town.of(WORLD, HARM, WATER, 3.0)
        facts = FutureFacts(facts_for("flood"), town, MODEL, future, seen.footprint.member(number), Level.NONE)
        assert course == play(move, future, facts)


def test_triggers_on_what_no_run_tells_cost_one_run_for_each_future_as_before() -> None:
    assert compared([plan(action("close", 5.0, HOLD, when="hours > 0.5 h"))], members=8).hazard_runs == 16


def test_triggers_that_come_to_the_same_on_the_changed_hazard_cost_one_run_for_each_future_too() -> None:
    early = plan(action("close", 10.0, HOLD, when="low_m > 0.02 m"), action("move", 1.0, AWAY, when='reached_share@"low" > 0 %'))
    assert compared([early], members=8).hazard_runs == 16


def test_plans_that_come_to_want_the_same_hazard_share_its_run() -> None:
    """The second plan guesses that `high` will have to be closed too, and learns that it will not: then it wants what the first one wants."""
    drains = Effect("drain", "high", 0.45)
    one = plan(action("drain", 5.0, drains, when="high_m > 0.05 m"), name="one")
    two = plan(
        action("drain", 5.0, drains, when="high_m > 0.05 m"), action("close", 5.0, HOLD_HIGH, when="high_m > 0.5 m"), name="two"
    )
    for made in ([one, two], [two, one]):
        done = compared(made, spread=False)
        assert done.hazard_runs == 1 + 2  # as it comes, with both, and with the drain alone
        np.testing.assert_array_equal(done.harm_by_future["one"], done.harm_by_future["two"])


def test_what_was_not_kept_is_run_again_and_comes_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = compared([*MIXED], members=8)
    monkeypatch.setattr("tocsin.decision.contest.KEPT_BYTES", 0)
    run_again = compared([*MIXED], members=8)
    assert run_again.hazard_runs >= kept.hazard_runs
    assert alike(kept, run_again)


MIXED = (
    guarded(10.0),
    msgspec.structs.replace(guarded(25.0), name="later"),
    plan(
        action("close low", 5.0, HOLD, when="low_m > 0.1 m"),
        action("close high", 5.0, HOLD_HIGH, when="high_m > 0.2 m"),
        action("drain low", 5.0, DRAIN, when='low_m > 0.2 m and done("close high")'),
        action("move", 15.0, AWAY, when='reached_share@"low" > 0 %'),
        name="three steps",
    ),
    WAIT,
)


def alike(one: Compared, other: Compared) -> bool:
    same: Mapping[str, bool] = {
        name: bool(np.array_equal(one.harm_by_future[name], other.harm_by_future[name]))
        and one.courses[name] == other.courses[name]
        for name in one.harm_by_future
    }
    return all(same.values()) and [s.plan for s in one.scores] == [s.plan for s in other.scores]


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest) -> Iterator[Compute]:
    if request.param == "threads":
        yield LocalCompute(2)
    elif request.param == "processes":
        with ProcessCompute(2) as compute:
            yield compute
    else:
        distributed = pytest.importorskip("distributed")
        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            open_compute(cluster.scheduler_address) as compute,
        ):
            yield compute


@pytest.mark.parametrize("elsewhere", ["threads", "processes", "dask"], indirect=True)
def test_threads_processes_and_dask_come_to_the_same_bit_for_bit(elsewhere: Compute) -> None:
    assert alike(compared(MIXED, members=8), compared(MIXED, elsewhere, members=8))


def test_a_race_comes_to_the_same_in_every_future_that_it_tried() -> None:
    scenario = Scenario(LASTS_S, 40, 5, SPREADS)
    whole = compared(MIXED, members=40)
    *_, raced = sharpen(WORLD, MODEL, HARM, scenario, MIXED, OneByOne(), hour=3.0, racing=Racing(within=0.0))
    assert raced.grounds is not None
    at = [*raced.grounds.numbers]
    for name, harm in raced.harm_by_future.items():
        tried = np.isfinite(harm)
        assert tried.any()
        np.testing.assert_array_equal(harm[tried], whole.harm_by_future[name][at][tried])


def sketched(_world: World) -> Run:
    return basins_fill


def test_sketches_too_see_what_a_plan_does() -> None:
    """Sketches that are as good as the runs: each plan's loss by its sketch is that of its runs, in every future."""
    model = msgspec.structs.replace(MODEL, sketch=sketched)
    # the water that is kept out of `high` goes to `low`, whose people would move only if it came to `high`
    sends_it_on = plan(
        action("close high", 5.0, HOLD_HIGH, when="high_m > 0.02 m"),
        action("move", 1.0, AWAY, when="high_m > 0.2 m"),
        name="sends it on",
    )
    contest = Contest(
        Town.of(WORLD, HARM, WATER, 3.0),
        model,
        Scenario(LASTS_S, 40, 5, SPREADS),
        (*MIXED, sends_it_on),
        OneByOne(),
        level=Level.NONE,
        criterion=Criterion(),
        sure=0.95,
        all_hazards=True,
        frame_s=(),
        failed_share_most=0.0,
        tell=lambda _task, _done, _total: None,
        sketch=True,
    )
    for _ in contest.go():
        pass
    both = np.isfinite(contest.race.loss) & np.isfinite(contest.race.sketch)
    assert contest.sketched is not None
    assert both.any(axis=1).all()
    np.testing.assert_array_equal(contest.race.sketch[both], contest.race.loss[both])
