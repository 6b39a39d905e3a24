"""The epidemic pack keeps what every pack promises, and its two models tell the same story of a town that mixes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
import numpy as np
import pytest

from tocsin.pack import Effect, Future, Model, Pack, Scenario, Spread, Table, find_pack
from tocsin.packs.epidemic.quantities import BED_OCCUPANCY, CASES
from tocsin.packs.epidemic.rules import CASES_BEGET_MORE, CASES_UNUSUAL, HOSPITALS_FILL
from tocsin.testing.pack_promises import PackPromises
from tocsin.testing.tiny import Thing, TinyWorld
from tocsin.vocabulary import InputError, Level, Member, Quantity, Series, Window

PACK = find_pack("epidemic")
AGENTS, COMPARTMENTS = PACK.models
DAY_S = 86_400.0
LIST = np.repeat(
    np.datetime64("2014-05-18", "us") + np.arange(40) * np.timedelta64(1, "D"), np.r_[np.arange(1, 21), np.arange(20, 0, -1)]
)


class Town(TinyWorld):
    """The tiny world with 1,000 people in each cell of its one street."""

    def people(self, hour: float) -> np.ndarray:
        return super().people(hour) * 100.0


class TestEpidemicPack(PackPromises):
    """Sixty people in two zones, twenty of them infected with Ebola, so that each falls ill and needs a bed."""

    def pack(self) -> Pack:
        return PACK

    def world(self, *, without: Collection[str] = ()) -> TinyWorld:
        return TinyWorld(things={"schools": [Thing("school", 8, 30.0)]}, without=without)

    def scenario(self, model: Model) -> Scenario:
        return Scenario(
            60 * DAY_S,
            2,
            3,
            {"disease": Spread(1.0, 1.0, 1.0), "transmission_factor": Spread(1.0, 2.0, 3.0)},
            {"seeds": Series.constant(20.0)} | ({"sheltered@low": Series.constant(18.0)} if model is AGENTS else {}),
        )

    def effects(self, model: Model) -> Sequence[Effect]:
        amounts = {"vaccinate": 10.0, "surge_beds": 100.0}
        return tuple(Effect(verb, "all", amounts.get(verb, 1.0)) for verb in sorted(model.acts_on))

    def tables(self) -> Mapping[str, Table]:
        return {"r_t": {"onset": LIST}, "r_case": {"onset": LIST}, "cases_to_come": {"onset": LIST}}


def future(
    model: Model, world: TinyWorld, days: float = 120, seed: int = 1, series: Mapping[str, Series] | None = None, **knobs: float
) -> Future:
    usual = {name: knob.usual for name, knob in model.knobs.items()}
    given = {"seeds": Series.constant(60.0)} if series is None else series
    return Future(0, seed, days * DAY_S, usual | knobs, given)


def harmed(world: TinyWorld, member: Member) -> float:
    return float((PACK.harm.share(member.peak) * world.people(3.0)).sum())


def test_no_rule_whose_limits_nobody_checked_may_warn_the_public() -> None:
    assert [rule.name for rule in PACK.rules if rule.verified] == []


def test_who_is_harmed_are_those_who_fell_severely_ill() -> None:
    world = Town()
    member = AGENTS.play(world, future(AGENTS, world, people_per_agent=1.0))
    assert 10.0 < harmed(world, member) < 600.0
    assert member.notes["agents"] == 6_000.0
    infected = float((member.companions["infected_share"] * world.people(3.0)).sum())
    assert infected == pytest.approx(member.notes["infected"], rel=0.01)  # a home that reaches over two cells counts in one


def test_one_agent_may_stand_for_several_people_and_the_town_is_as_ill_on_the_average() -> None:
    world = Town()
    runs = range(8)
    one = [AGENTS.play(world, future(AGENTS, world, seed=k, people_per_agent=1.0)).notes["infected"] for k in runs]
    four = [AGENTS.play(world, future(AGENTS, world, seed=k, people_per_agent=4.0)).notes["infected"] for k in runs]
    doubt = np.hypot(np.std(one), np.std(four)) / np.sqrt(len(one))
    assert abs(np.mean(one) - np.mean(four)) < 4.0 * doubt


def test_compartments_and_agents_infect_alike_where_all_but_mix() -> None:
    """Without homes of any size and with many met in the town: two thirds or more of both, within a tenth of the people."""
    world = Town()
    mixing = {"home_mean": 1.5, "near_contacts": 0.0, "far_contacts": 60.0}
    told = [
        AGENTS.play(world, future(AGENTS, world, 200, seed=k, people_per_agent=1.0, **mixing)).notes["infected"] for k in range(3)
    ]
    flow = COMPARTMENTS.play(world, future(COMPARTMENTS, world, 200, **mixing)).notes["infected"]
    assert np.mean(told) / 6_000.0 > 0.6
    assert abs(np.mean(told) - flow) / 6_000.0 < 0.1


@pytest.mark.parametrize("verb", ["lower_contacts", "test", "trace_contacts", "vaccinate", "limit_work"])
def test_each_measure_spares_people(verb: str) -> None:
    world = Town()
    amount = {"vaccinate": 200.0}.get(verb, 0.8)
    effects = (Effect(verb, "all", amount), *([Effect("test", "all", 0.8)] if verb == "trace_contacts" else []))
    base = () if verb != "trace_contacts" else (Effect("test", "all", 0.8),)
    without, done = (
        np.mean([AGENTS.play(world, future(AGENTS, world, seed=k, people_per_agent=1.0), e).notes["infected"] for k in range(3)])
        for e in (base, effects)
    )
    assert done < 0.97 * without


def test_closing_in_one_zone_spares_that_zone_alone_where_nobody_meets_the_other() -> None:
    world = Town()
    asked = future(
        AGENTS, world, 60, people_per_agent=1.0, far_contacts=0.0, work_contacts=0.0, school_contacts=0.0, near_contacts=40.0
    )
    without, done = (
        AGENTS.play(world, asked, e).companions["infected_share"] for e in ((), (Effect("lower_contacts", "low", 1.0),))
    )
    np.testing.assert_array_equal(without[9:12], done[9:12])  # nobody meets the other zone
    assert (done[6:9] < 0.7 * without[6:9]).all()


def test_beds_that_are_opened_are_taken_and_save_lives() -> None:
    world = Town()
    few = future(AGENTS, world, 200, people_per_agent=1.0, beds_per_1000=0.2, icu_per_1000=0.05)
    none = [AGENTS.play(world, msgspec.structs.replace(few, seed=k)) for k in range(3)]
    more = [AGENTS.play(world, msgspec.structs.replace(few, seed=k), (Effect("surge_beds", "all", 500.0),)) for k in range(3)]
    assert max(m.courses["beds_taken"].value.max() for m in none) == 1.0
    assert min(m.courses["beds_taken"].value.max() for m in more) > 5.0
    assert sum(m.notes["deaths"] for m in more) < sum(m.notes["deaths"] for m in none)


def test_an_epidemic_begins_where_its_first_cases_live() -> None:
    world = Town()
    told = AGENTS.play(
        world, future(AGENTS, world, 12, series={"seeds@high": Series.constant(50.0)}, people_per_agent=1.0, far_contacts=0.0)
    )
    share = told.companions["infected_share"]
    assert share[9:12].mean() > 3.0 * share[6:9].mean()
    near = world.point(6)
    at = AGENTS.play(world, future(AGENTS, world, 12, series={f"seeds@{near}": Series.constant(5.0)}, people_per_agent=1.0))
    assert at.notes["infected"] >= 5.0


def test_crowding_by_the_scenario_makes_it_worse_and_holds_in_steps() -> None:
    world = Town()
    calm = {"seeds": Series.constant(60.0)}
    crowded = calm | {"contacts": Series.of([0.0, 20 * DAY_S, 40 * DAY_S], [1.0, 2.0, 1.0])}
    a, b = (
        np.mean(
            [
                AGENTS.play(world, future(AGENTS, world, 60, seed=k, series=s, people_per_agent=1.0)).notes["infected"]
                for k in range(4)
            ]
        )
        for s in (calm, crowded)
    )
    assert b > 1.1 * a


def test_without_anybody_who_brings_it_a_person_is_told_what_to_give() -> None:
    world = Town()
    for model in PACK.models:
        with pytest.raises(InputError, match="--drive seeds=20persons"):
            model.play(world, future(model, world, series={}))


def test_r_t_of_a_run_is_told_only_where_cases_tell_it() -> None:
    world = Town()
    member = AGENTS.play(world, future(AGENTS, world, people_per_agent=1.0))
    r_t, cases = member.courses["r_t"].value, member.courses["new_cases_per_d"].value
    assert r_t[:8].max() == 0.0
    week = np.convolve(cases, np.ones(7))[: cases.size]
    assert (r_t[week < 11.0] == 0.0).all()
    assert 0.3 < r_t[r_t > 0].min() < 1.0 < r_t.max() < 5.0


# --- rules


def window(quantity: Quantity, values: Sequence[float]) -> Window:
    value = np.array([values], np.float64)
    return Window(quantity, ("ward",), np.arange(value.size)[::-1][None, :] * DAY_S, value, np.isfinite(value))


@pytest.mark.parametrize(
    ("values", "level"),
    [
        ([20.0] * 28, Level.NONE),
        ((20.0 * 1.10 ** np.arange(28)).round().tolist(), Level.YELLOW),
        ((5.0 * 1.35 ** np.arange(28)).round().tolist(), Level.ORANGE),
        ([0.0] * 27 + [1.0], Level.NONE),
        ([20.0] * 8, Level.BLIND),
        ([20.0] * 20 + [np.nan] + [20.0] * 7, Level.BLIND),
    ],
)
def test_cases_that_beget_more_cases_are_told_from_those_that_do_not(values: list[float], level: Level) -> None:
    assert CASES_BEGET_MORE.judge(window(CASES, values), np.zeros(1, np.int8)).level.tolist() == [level]


def test_a_day_with_many_more_cases_than_the_week_before_is_unusual() -> None:
    quiet = [2.0, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2]
    assert CASES_UNUSUAL.judge(window(CASES, [*quiet, 10.0]), np.zeros(1, np.int8)).level.tolist() == [Level.YELLOW]
    assert CASES_UNUSUAL.judge(window(CASES, [*quiet, 3.0]), np.zeros(1, np.int8)).level.tolist() == [Level.NONE]


def test_full_hospitals_are_told_by_degrees() -> None:
    levels = [
        int(HOSPITALS_FILL.judge(window(BED_OCCUPANCY, [x]), np.zeros(1, np.int8)).level[0]) for x in (0.8, 0.86, 0.95, 1.05)
    ]
    assert levels == [Level.NONE, Level.YELLOW, Level.ORANGE, Level.RED]


# --- questions


def _ask(name: str, table: Table, **settings: float):  # type: ignore[no-untyped-def]
    (question,) = [q for q in PACK.questions if q.name == name]
    return question.answer(None, table, {n: k.usual for n, k in question.settings.items()} | settings)


def test_a_line_list_and_its_counts_by_day_give_the_same_r_t() -> None:
    day, count = np.unique(LIST, return_counts=True)
    one, other = _ask("r_t", {"onset": LIST}), _ask("r_t", {"onset": day, "cases": count.astype(float)})
    np.testing.assert_array_equal(one.table["r_t"], other.table["r_t"])
    assert one.table["r_t"][10] > 1.0 > one.table["r_t"][-1]


def test_rows_without_a_day_are_counted_and_late_reports_are_told() -> None:
    onset = np.r_[LIST, np.datetime64("NaT")]
    told = _ask("r_t", {"onset": onset, "reported": onset + 5 * np.timedelta64(1, "D")})
    assert any("1 of 421 rows have no day" in remark for remark in told.remarks)
    assert any("5 days after onset at the median" in remark for remark in told.remarks)


def test_days_are_left_out_at_the_end_where_reports_are_still_coming_in() -> None:
    whole, cut = _ask("r_t", {"onset": LIST}), _ask("r_t", {"onset": LIST}, left_out_d=5.0)
    np.testing.assert_array_equal(cut.table["r_t"], whole.table["r_t"][:-5])


def test_what_is_to_come_follows_from_r_t() -> None:
    growing = np.repeat(
        np.datetime64("2020-03-01", "us") + np.arange(30) * np.timedelta64(1, "D"), (2 * 1.15 ** np.arange(30)).astype(int)
    )
    told = _ask("cases_to_come", {"onset": growing}, days=7.0)
    last = _ask("r_t", {"onset": growing}).table["cases"][-1]
    assert told.table["cases_mean"][-1] > last
    assert told.figures["cases_to_come"].mean == pytest.approx(told.table["cases_mean"].sum(), rel=1e-9)
    assert len(told.table["day"]) == 7


def test_the_scenario_for_now_begins_with_those_who_were_reported_and_those_who_were_not() -> None:
    told = Window(
        CASES,
        ("a", "b"),
        np.array([[DAY_S, 0.0], [DAY_S, 0.0]]),
        np.array([[3.0, 4.0], [5.0, np.nan]]),
        np.array([[True, True], [True, False]]),
    )
    assert PACK.outlook is not None
    scenario = PACK.outlook(TinyWorld(readings={CASES.name: told}), ())
    assert scenario.series["seeds"].at(0.0) == 3.0 * 12.0
    AGENTS.check(scenario)


def test_columns_that_are_not_read_rows_taken_for_cases_and_running_sums_are_said() -> None:
    from tocsin.flows.questions import ask

    rows = [f"2020-03-{day:02d},{day * day}" for day in range(1, 31)]
    lost = ask("epidemic", "r_t", "\n".join(["date,cases_chn", *rows]).encode()).remarks
    assert "columns that were not read: cases_chn" in lost
    assert any("each of 30 rows is taken for one case" in remark for remark in lost)
    sums = ask("epidemic", "r_t", "\n".join(["date,cases", *rows]).encode()).remarks
    assert any("are they sums up to each day?" in remark for remark in sums)
    counts = [f"2020-03-{day:02d},{20 + 5 * (day % 3)}" for day in range(1, 31)]
    fine = ask("epidemic", "r_t", "\n".join(["date,cases", *counts]).encode()).remarks
    assert not any("sums" in remark or "one case" in remark or "not read" in remark for remark in fine)
