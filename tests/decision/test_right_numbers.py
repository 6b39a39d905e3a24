"""Numbers that decide, each worked out by hand beside its test: who is late, who is cut off, what ties, what counts twice."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pytest

from tocsin.decision.compare import Compared, compare
from tocsin.decision.futures import Foreseen
from tocsin.decision.impact import Ways, impact, way_out_s, ways_of
from tocsin.pack import Action, Duration, Effect, Future, Plan, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Assets, Footprint, Roads, World, column

PACK = find_pack("flood")
MODEL, HARM = PACK.models[0], PACK.harm
ONE = LocalCompute(1)
INF = np.inf


def flood(depth_m: list[float], arrival_s: list[float], *, members: int = 1) -> Footprint:
    """Water in the six cells of the street, the same in every future."""
    peak, arrival = np.zeros((4, 6), np.float32), np.full((4, 6), INF, np.float32)
    peak[1], arrival[1] = depth_m, arrival_s

    def repeat(a: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.tile(a.reshape(1, -1), (members, 1))

    return Footprint(MODEL.makes, 86_400.0, repeat(peak), repeat(arrival), repeat(arrival))


def foreseen(footprint: Footprint) -> Foreseen:
    futures = tuple(Future(n, n, 86_400.0, {k: v.usual for k, v in MODEL.knobs.items()}) for n in range(footprint.members))
    return Foreseen(futures, footprint, (), None, ({},) * footprint.members)


def action(name: str, minutes: float, *effects: Effect, cost: float = 0.0) -> Action:
    return Action(name, name, "police", Duration(minutes, minutes, minutes), effects, cost=cost)


def plan(name: str, *actions: Action) -> Plan:
    return Plan(name, "flood", "", actions)


def moving(zone: str, share: float, minutes: float, name: str = "move", cost: float = 0.0) -> Plan:
    return plan(name, action("go", minutes, Effect("move_population", zone, share), cost=cost))


def run(world: World, footprint: Footprint, *plans: Plan) -> Compared:
    return compare(world, MODEL, HARM, foreseen(footprint), plans, ONE, hour=3.0)


def figures(done: Compared, name: str) -> Mapping[str, float]:
    (score,) = (s for s in done.scores if s.plan == name)
    return {key: value.mean for key, value in score.figures.items()}


class ShelterInTheMiddle(TinyWorld):
    """The shelter stands in column 2, and so does not share its node with the twin's edge."""

    def assets(self, kind: str) -> Assets:
        told = super().assets(kind)
        if kind != "shelters":
            return told
        x_m, y_m = self.grid.centre(np.array([8]))
        return msgspec.structs.replace(
            told, place=column([8], np.int64), x_m=column(x_m, np.float64), y_m=column(y_m, np.float64)
        )


class Fragment(TinyWorld):
    """Of the street only the piece between columns 1 and 2 is there: it leads nowhere, as pieces of real road data do."""

    def __init__(self) -> None:
        super().__init__()
        whole = self.roads
        keep = np.flatnonzero(np.isin(whole.source, (1, 2)) & np.isin(whole.target, (1, 2)))
        places = np.concatenate([whole.places[whole.start[e] : whole.start[e + 1]] for e in keep])
        self.roads = Roads(
            **{name: getattr(whole, name) for name in ("node_x_m", "node_y_m", "line_x_m", "line_y_m")},
            **{
                name: column(getattr(whole, name)[keep], getattr(whole, name).dtype)
                for name in ("source", "target", "length_m", "speed_km_per_h", "way", "bridge")
            },
            highway=("residential",) * keep.size,
            name=("Main Street",) * keep.size,
            start=column(np.arange(keep.size + 1) * 2, np.int64),
            places=column(places, np.int64),
            line_start=column(np.arange(keep.size + 1) * 2, np.int64),
        )


def test_a_shelter_that_drowns_later_is_no_way_out_before() -> None:
    # The shelter in column 2 is the only exit; it is under 1 m of water from 7,200 s on, in the same future. Who goes there at
    # 3,600 s stands in 1 m of water an hour later: there is no way out at all, and not one until 7,200 s.
    world = ShelterInTheMiddle()
    whole = ways_of(world)
    ways = msgspec.structs.replace(whole, exits=np.array([2]), exit_place=np.array([8]), edges=0)
    assert isinstance(ways, Ways)
    water = flood([0.0, 0.0, 1.0, 0.0, 0.0, 0.0], [INF, INF, 7200.0, INF, INF, INF])
    assert way_out_s(world, ways, HARM, water, 0).reshape(4, 6)[1].tolist() == [-INF] * 6


def test_a_piece_of_road_that_leads_nowhere_does_not_keep_people_from_leaving() -> None:
    # Columns 1 and 2 lie at a piece of road without an exit even when all is dry: that says something of the data, not of the flood.
    # Water comes to all six cells after 2 h; 100 % of `low` (columns 0 to 2, 30 people) leave in half an hour: 30 of 60 stay.
    done = run(Fragment(), flood([1.0] * 6, [7200.0] * 6), moving("low", 1.0, 30.0))
    assert done.harm_by_future["move"].tolist() == [30.0]
    remarks = impact(Fragment(), flood([1.0] * 6, [7200.0] * 6), HARM, hour=3.0).remarks
    # columns 1 and 2 at the piece, 3 and 4 at nodes without any street, 10 people each; 0 and 5 stand at the twin's edge
    assert any("40 people live where" in remark for remark in remarks)


def test_a_shelter_with_water_on_both_sides_is_lost_although_it_is_a_way_out_itself() -> None:
    # Columns 1 and 3 are 1 m deep and closed; the shelter in column 2 is dry, and no street leads from it out of the town.
    water = flood([0.0, 1.0, 0.0, 1.0, 0.0, 0.0], [INF, 100.0, INF, 100.0, INF, INF])
    assert impact(ShelterInTheMiddle(), water, HARM, hour=3.0).figures["shelters_lost"].tolist() == [1.0]
    # with the eastern side open it is not
    water = flood([0.0, 1.0, 0.0, 0.0, 0.0, 0.0], [INF, 100.0, INF, INF, INF, INF])
    assert impact(ShelterInTheMiddle(), water, HARM, hour=3.0).figures["shelters_lost"].tolist() == [0.0]


def test_who_left_in_time_is_not_cut_off() -> None:
    # Columns 2 and 4 close after 1 h; column 3 between them is dry: its 10 people are cut off. Moving all of `high` (columns 3 to 5)
    # in half an hour leaves 0 of them there; moving half of them 5.
    water = flood([0.0, 0.0, 1.0, 0.0, 1.0, 0.0], [INF, INF, 3600.0, INF, 3600.0, INF])
    done = run(
        TinyWorld(), water, moving("high", 1.0, 30.0, "all"), moving("high", 0.5, 30.0, "half"), moving("low", 1.0, 30.0, "none")
    )
    assert [figures(done, name)["people_cut_off"] for name in ("all", "half", "none")] == [0.0, 5.0, 10.0]


def test_two_plans_a_fiftieth_of_a_person_apart_are_alike_and_the_cheaper_is_first() -> None:
    # 60 people in danger, 30 of them in `low`: moving 98.3 % leaves 30.51, moving 98.4 % leaves 30.48. Rounded to whole persons
    # these are 31 and 30; 0.03 of a person is not worth a million.
    water = flood([1.0] * 6, [7200.0] * 6, members=3)
    done = run(TinyWorld(), water, moving("low", 0.983, 30.0, "cheap"), moving("low", 0.984, 30.0, "dear", cost=1e6))
    assert [s.plan for s in done.scores] == ["cheap", "dear"]
    # 1.5 people are: 95 % leaves 31.5
    done = run(TinyWorld(), water, moving("low", 0.95, 30.0, "cheap"), moving("low", 1.0, 30.0, "dear", cost=1e6))
    assert [s.plan for s in done.scores] == ["dear", "cheap"]


def opening(places: float, name: str = "open") -> Action:
    return action(name, 5.0, Effect("open_shelter", "shelter-1", places))


def test_a_shelter_opened_twice_has_its_places_once() -> None:
    # 60 people leave; the hall has 25 places however often it is opened: 35 are without shelter.
    water = flood([1.0] * 5 + [0.0], [7200.0] * 5 + [INF])
    go = [action(f"go {z}", 30.0, Effect("move_population", z, 1.0)) for z in ("low", "high")]
    done = run(TinyWorld(), water, plan("twice", opening(25.0), opening(25.0, "again"), *go))
    assert figures(done, "twice")["without_shelter"] == 35.0


def test_a_shelter_under_water_has_no_places() -> None:
    # The hall stands in column 5, under 1 m: 60 leave, 60 are without shelter.
    go = [action(f"go {z}", 30.0, Effect("move_population", z, 1.0)) for z in ("low", "high")]
    done = run(TinyWorld(), flood([1.0] * 6, [7200.0] * 6), plan("drowned", opening(25.0), *go))
    assert figures(done, "drowned")["without_shelter"] == 60.0


def closing(minutes: float, name: str, depth_m: float = 0.3) -> Plan:
    return plan(name, action("close", minutes, Effect("close_roads", "flooded", depth_m)))


def test_roads_that_are_closed_after_the_water_came_were_open_under_water() -> None:
    # Four pieces of street of 10 m run through water: 0-1 (from 1 h on), 1-2 (from 2 h on), 2-3 (0.2 m from 2.5 h on; from 2 h
    # through column 2), in all 0.03 km. Closed after half an hour: none was open. After 90 min: 0-1 was. After 3 h: all three.
    water = flood([2.0, 1.0, 0.2, 0.0, 0.0, 0.0], [3600.0, 7200.0, 9000.0, INF, INF, INF])
    done = run(TinyWorld(), water, closing(30.0, "early", 0.1), closing(90.0, "late", 0.1), closing(180.0, "too late", 0.1))
    told = [figures(done, name)["flooded_road_km_left_open"] for name in ("early", "late", "too late")]
    assert told == pytest.approx([0.0, 0.01, 0.03])
    # closed from 0.3 m on, the piece under 0.2 m stays open: 0.01 km
    done = run(TinyWorld(), water, closing(30.0, "deep only", 0.3))
    assert figures(done, "deep only")["flooded_road_km_left_open"] == pytest.approx(0.01)


def test_the_commonest_reason_is_the_same_on_every_run() -> None:
    # Two actions fail equally often; of equal counts the first by name is told, whatever the hash seed of the process.
    from tocsin.decision.rank import commonest

    assert commonest(["b", "a", "b", "a"]) == "a"
    assert commonest(["b", "a", "b"]) == "b"


def test_the_film_that_rain_leaves_slows_no_street_and_damages_no_house() -> None:
    # 0.02 m everywhere and water "has come" nowhere (it comes from 0.1 m on). By the curve alone the house would lose
    # 0.02 / 0.5 * 0.490886 = 2 % of 100 m2 * 867.03 EUR = 1,702 EUR, and 50 m of street would be slowed.
    hit = impact(TinyWorld(), flood([0.02] * 6, [INF] * 6), HARM, hour=3.0).figures
    assert (hit["damage"].tolist(), hit["road_km_slowed"].tolist(), hit["buildings_affected"].tolist()) == ([0.0], [0.0], [0.0])
