"""Hazards that are no flood: they harm a part of the people, walls help against them, they close no street, and their run tells over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pytest
from pyproj import Transformer

from tocsin.decision.check_plan import faults_of_plan
from tocsin.decision.compare import compare
from tocsin.decision.futures import Foreseen
from tocsin.decision.impact import harmed_share, impact, in_danger, ways_of
from tocsin.decision.trial import FutureFacts, Town
from tocsin.pack import Action, Drive, Duration, Effect, FactKind, Future, Harm, Model, Plan, Verb
from tocsin.pack.places import places_of
from tocsin.pack.trigger import FACTS, Fact
from tocsin.platform.compute import LocalCompute
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Curve, Footprint, InputError, Level, Member, Quantity, Series, World

GAS, INSIDE = Quantity("gas", "1", 0.0, 100.0), Quantity("gas_inside", "1", 0.0, 100.0)
RATE = Quantity("leak", "kg/s", 0.0, 1e3)
WORLD, INF, HOUR = TinyWorld(), np.inf, 3600.0
GAS_HARM = Harm(GAS, 1.0, "a test", indoors=INSIDE)
ILL_HARM = Harm(GAS, None, "a test", harmed=Curve(GAS, ((0.0, 0.0), (1.0, 1.0)), "a test", "a test"))


def nothing_runs(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    raise AssertionError((world, future, effects, frame_s))


MODEL = Model(
    "gas",
    (),
    GAS,
    nothing_runs,
    {},
    {"leak@": Drive(RATE, "what leaks", "shelters|point"), "wind": Drive(RATE, "wind", usual=lambda _world, _place: 4.0)},
    {"stop": Verb("drive:leak@", "stop the leak"), "spray": Verb("zone|all", "spray water", "1", 0.0, 0.9)},
    "a test",
    "a test",
    forcing=lambda future, name, time_s: 2.0 * future.series[name].at(time_s),
)


def cloud(outside: Sequence[float], inside: Sequence[float] | None = None, arrival_s: float = HOUR, **more: object) -> Footprint:
    """Gas in the six cells of the street, ten people in each."""

    def row(values: Sequence[float], elsewhere: float = 0.0) -> np.ndarray:  # type: ignore[type-arg]
        field = np.full((4, 6), elsewhere, np.float32)
        field[1] = values
        return field.reshape(1, -1)

    came = row([arrival_s if value > 0 else INF for value in outside], INF)
    companions: Mapping[str, np.ndarray] = {} if inside is None else {INSIDE.name: row(inside)}  # type: ignore[type-arg]
    return Footprint(GAS, 86_400.0, row(outside), came, came, companions, **more)  # type: ignore[arg-type]


def plan(*effects: Effect, minutes: float = 10.0, when: str = "") -> Plan:
    lasts = Duration(minutes, minutes, minutes)
    return Plan("p", "flood", "a test", (Action("go", "go", "police", lasts, effects, when=when),))


def harm_of(harm: Harm, footprint: Footprint, made: Plan) -> float:
    foreseen = Foreseen((Future(0, 1, 86_400.0, {}),), footprint, (), None, ({},))
    return float(compare(WORLD, MODEL, harm, foreseen, [made], LocalCompute(1), hour=3.0).harm_by_future["p"][0])


def shelter(target: str, share: float, minutes: float = 10.0) -> Plan:
    return plan(Effect("shelter_in_place", target, share), minutes=minutes)


CLOUD = cloud([3.0, 2.0, 2.0, 2.0, 0.5, 0.0], [1.5, 0.5, 0.5, 0.5, 0.1, 0.0])


def test_who_is_inside_in_time_meets_what_is_inside() -> None:
    nobody = plan(Effect("warn_people", "high", 1e-9))
    assert harm_of(GAS_HARM, CLOUD, nobody) == pytest.approx(40.0)
    # inside, the first cell is still over the limit: its ten people are harmed all the same
    assert harm_of(GAS_HARM, CLOUD, shelter("all", 1.0)) == pytest.approx(10.0)
    assert harm_of(GAS_HARM, CLOUD, shelter("all", 0.5)) == pytest.approx(10.0 + 0.5 * 30.0)
    assert harm_of(GAS_HARM, CLOUD, shelter("low", 1.0)) == pytest.approx(10.0 + 10.0)  # `low` ends before the fourth cell


def test_who_is_told_when_the_cloud_is_there_counts_as_outside() -> None:
    assert harm_of(GAS_HARM, CLOUD, shelter("all", 1.0, minutes=59.0)) == pytest.approx(10.0)
    assert harm_of(GAS_HARM, CLOUD, shelter("all", 1.0, minutes=61.0)) == pytest.approx(40.0)


def test_walls_help_nothing_where_the_pack_does_not_say_so() -> None:
    open_harm = msgspec.structs.replace(GAS_HARM, indoors=None)
    assert harm_of(open_harm, CLOUD, shelter("all", 1.0)) == pytest.approx(40.0)


def test_shelter_never_makes_it_worse_than_outside() -> None:
    worse_inside = cloud([2.0] * 6, [5.0] * 6)
    assert harm_of(GAS_HARM, worse_inside, shelter("all", 1.0)) == pytest.approx(60.0)


def test_a_hazard_may_harm_a_part_of_the_people_and_then_no_place_is_dangerous_by_itself() -> None:
    ill = cloud([0.5, 0.25, 0.0, 0.0, 0.0, 0.1])
    assert not in_danger(ill, ILL_HARM).any()
    assert harmed_share(ill, ILL_HARM, 0)[6:12].tolist() == pytest.approx([0.5, 0.25, 0.0, 0.0, 0.0, 0.1])
    figures = impact(WORLD, ill, ILL_HARM, hour=3.0, ways=ways_of(WORLD)).figures
    assert figures["people_in_danger"] == [pytest.approx(8.5)]
    assert "people_cut_off" not in figures  # it closes no street
    assert harm_of(ILL_HARM, ill, plan(Effect("warn_people", "high", 1e-9))) == pytest.approx(8.5)


class Commuters(TinyWorld):
    """Everybody is in the easternmost cell of the street by day."""

    def people(self, hour: float) -> np.ndarray:  # type: ignore[type-arg]
        at_home = super().people(3.0)
        if hour < 6.0:
            return at_home
        away = np.zeros_like(at_home)
        away[11] = at_home.sum()
        return away


def test_a_share_of_who_lives_there_is_not_taken_of_who_works_there() -> None:
    ill = cloud([0.5, 0.25, 0.0, 0.0, 0.0, 0.1])
    by_home = msgspec.structs.replace(ILL_HARM, at_home=True)
    world = Commuters()
    ways = ways_of(world)
    told = [impact(world, ill, harm, hour=12.0, ways=ways).figures["people_in_danger"][0] for harm in (ILL_HARM, by_home)]
    assert told == [pytest.approx(6.0), pytest.approx(8.5)]
    towns = [Town.of(world, harm, GAS, 12.0) for harm in (ILL_HARM, by_home)]
    assert [town.inhabited.tolist() for town in towns] == [[11], [6, 7, 8, 9, 10, 11]]


def test_a_harm_is_a_limit_or_a_share_and_not_both() -> None:
    with pytest.raises(InputError, match="wanted one of the two"):
        Harm(GAS, None, "a test")
    with pytest.raises(InputError, match="wanted one of the two"):
        msgspec.structs.replace(ILL_HARM, danger_from=1.0)


# -- what triggers may ask ---------------------------------------------------------------------------------------------

KINDS = {
    **FACTS,
    "leak": FactKind("leak", "kg/s", "", 0.0, INF, "what leaks", drive="leak@", observed="leak"),
    "wind": FactKind("wind", "kg/s", "", 0.0, INF, "wind", drive="wind"),
    "cases": FactKind("cases", "persons/d", "", 0.0, INF, "cases a day", course="cases"),
    "cases_rise": FactKind("cases_rise", "persons/d", "", -INF, INF, "how they rise", course="cases", rise_s=HOUR),
}


def facts(future: Future, member: Member) -> FutureFacts:
    return FutureFacts(KINDS, Town.of(WORLD, GAS_HARM, GAS, 3.0), MODEL, future, member, Level.RED)


def test_facts_come_from_forcings_with_their_knobs_from_what_is_usual_and_from_what_the_run_tells() -> None:
    member = cloud([1.0] * 6, courses=({"cases": Series.of([0.0, 2 * HOUR], [0.0, 20.0])},)).member(0)
    asked = facts(Future(0, 1, 86_400.0, {}, {"leak@hall": Series.constant(3.0)}), member)
    assert asked.at("leak", "hall", 0.0) == Fact(6.0, "kg/s")  # as the model's `forcing` says
    assert asked.at("leak", "elsewhere", 0.0) is None
    assert asked.at("wind", "", 0.0) == Fact(4.0, "kg/s")
    assert asked.at("cases", "", HOUR) == Fact(10.0, "persons/d")
    assert asked.at("cases_rise", "", 2 * HOUR) == Fact(10.0, "persons/d")
    assert asked.at("warning_level", "", 0.0) == Fact(float(Level.RED), "level")
    assert asked.at("reached_share", "low", HOUR) == Fact(1.0, "")
    assert asked.at("reached_share", "low", HOUR - 1.0) == Fact(0.0, "")


def test_a_run_that_tells_no_course_leaves_its_facts_unknown() -> None:
    assert facts(Future(0, 1, 86_400.0, {}), cloud([1.0] * 6).member(0)).at("cases", "", 0.0) is None


# -- what acts on it ---------------------------------------------------------------------------------------------------


def test_an_effect_is_held_to_what_its_verb_takes() -> None:
    def told(effect: Effect) -> str:
        return " | ".join(fault.message for fault in faults_of_plan(plan(effect), WORLD, MODEL))

    shelter_id = WORLD.assets("shelters").id[0]
    assert told(Effect("stop", shelter_id)) == ""
    assert "no one of shelters or point 'nowhere'; there are: " in told(Effect("stop", "nowhere"))
    assert told(Effect("spray", "all", 0.5)) == ""
    assert told(Effect("spray", "low", 0.5)) == ""
    assert "no zone 'middle'; there are: low, high" in told(Effect("spray", "middle", 0.5))
    assert "spray all: amount 0.95; wanted 0..0.9 1" in told(Effect("spray", "all", 0.95))
    assert "no effect 'pray'; there are: move_population, warn_people" in told(Effect("pray", "all"))
    assert "amount 1.5; wanted a share" in told(Effect("shelter_in_place", "all", 1.5))
    assert "no zone 'middle'" in told(Effect("shelter_in_place", "middle", 0.5))


def test_a_place_is_found_by_what_it_is() -> None:
    (cell,) = places_of(WORLD, ("shelters",), WORLD.assets("shelters").id[0])
    assert cell == WORLD.assets("shelters").place[0]
    assert places_of(WORLD, ("zone",), "low").tolist() == WORLD.zones.places("low").tolist()
    assert sorted(set(places_of(WORLD, ("line",), "gate") % 6)) in ([2], [3], [2, 3])
    lon, lat = Transformer.from_crs(WORLD.grid.crs, "EPSG:4326", always_xy=True).transform(*WORLD.grid.centre(13))
    assert places_of(WORLD, ("point",), f"{lon},{lat}").tolist() == [13]
    with pytest.raises(InputError, match=r"lies outside the twin, .*\.\."):
        places_of(WORLD, ("point",), "10.0,50.0")
    with pytest.raises(InputError, match="no zone or line 'x'; there are: low, high, gate"):
        places_of(WORLD, ("zone", "line"), "x")
