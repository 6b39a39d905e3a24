"""Who leaves drives, where plans are compared: a street of five kilometres whose two ends are the twin's edge, people at its six corners."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tocsin.decision.compare import Compared, Racing, compare, sharpen
from tocsin.decision.futures import Foreseen
from tocsin.decision.limits import limit_of
from tocsin.pack import Action, Duration, Effect, Future, Plan, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Footprint, InputError, PlanScore, column

PACK = find_pack("flood")
MODEL, HARM = PACK.models[0], PACK.harm
INF, HOUR = np.inf, 3600.0
# A vehicle is told in grains of 2^-20, and a packet is at most a vehicle: sums are exact to far less than this.
GRAINS = 1e-3


class LongStreet(TinyWorld):
    """Cells of 1,000 m, so each of the five pieces takes 120 s; `each` people at each of the six corners, on streets of a class."""

    def __init__(self, each: float = 10.0, highway: str = "residential") -> None:
        super().__init__(cell_m=1000.0)
        self._each = each
        self.roads = msgspec.structs.replace(self.roads, highway=(highway,) * 10)

    def people(self, hour: float) -> np.ndarray:  # type: ignore[type-arg]
        return super().people(hour) * self._each / 10.0


def water(arrival_s: list[float], *, futures: int = 1) -> Foreseen:
    """A metre of water at each corner from a moment on."""
    peak, arrival = np.zeros((4, 6), np.float32), np.full((4, 6), INF, np.float32)
    arrival[1] = arrival_s
    peak[1] = np.isfinite(arrival_s)
    rows = [np.tile(a.reshape(1, -1), (futures, 1)) for a in (peak, arrival)]
    footprint = Footprint(MODEL.makes, 12 * HOUR, rows[0], rows[1], rows[1])
    return Foreseen(tuple(Future(n, n, 12 * HOUR, {}) for n in range(futures)), footprint, (), None, ({},) * futures)


def move(minutes: float, *zones: str, share: float = 1.0, name: str = "move") -> Plan:
    effects = tuple(Effect("move_population", zone, share) for zone in zones)
    return Plan(name, "flood", "", (Action("go", "go", "police", Duration(minutes, minutes, minutes), effects),))


def score(plan: Plan, seen: Foreseen, world: TinyWorld, *, traffic: bool) -> PlanScore:
    return compare(world, MODEL, HARM, seen, [plan], LocalCompute(1), hour=3.0, traffic=traffic).scores[0]


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("minutes", [30.0, 150.0])
def test_with_room_on_the_street_both_ways_tell_the_same(share: float, minutes: float) -> None:
    # four cars a corner on a street for 600 an hour; the water comes after two hours, long after or before all have gone
    plan, seen, world = move(minutes, "low", "high", share=share), water([2 * HOUR] * 6), LongStreet()
    driven, plain = (score(plan, seen, world, traffic=traffic) for traffic in (True, False))
    assert driven.harm.mean == pytest.approx(plain.harm.mean, abs=GRAINS)
    assert driven.harm.mean == pytest.approx(60.0 - (60.0 * share if minutes < 120 else 0.0), abs=GRAINS)
    assert driven.figures["people_moved"].mean == pytest.approx(plain.figures["people_moved"].mean, abs=GRAINS)


def test_on_a_narrow_street_fewer_leave_in_time() -> None:
    # Corners 0 and 5 are the way out themselves. The 8,000 of the other four go by two streets of 600 cars, 1,500 persons, an hour each, and all
    # want to from 1,800 s on; the water comes an hour later: 3,000 of them, less who is still on his way: 240 s of that flow and two steps of 10 s.
    plan, seen = move(30.0, "low", "high"), water([1800.0 + HOUR] * 6)
    assert score(plan, seen, LongStreet(2000.0), traffic=False).harm.mean == 0.0
    driven = score(plan, seen, LongStreet(2000.0), traffic=True)
    persons_per_s = 2 * 1500.0 / HOUR
    assert 5000.0 - 10 * persons_per_s <= driven.harm.mean <= 5000.0 + (240 + 20) * persons_per_s
    caught, held_up = (driven.figures[name].mean for name in ("people_caught_on_road", "people_held_up"))
    assert caught + held_up == pytest.approx(driven.harm.mean, abs=1.0)  # they are in danger, and nobody else is
    assert caught > 0.0
    narrower = score(plan, seen, LongStreet(2000.0, "living_street"), traffic=True)  # 300 an hour
    assert narrower.harm.mean > driven.harm.mean + 1000.0


def test_who_is_caught_on_the_road_counts_in_the_zone_of_the_street() -> None:
    # column 1 is reached while columns 1 and 2 are on their way west through it: the 20 of them are in danger, and stood in nobody's danger at home
    seen = water([INF, HOUR, INF, INF, INF, INF])
    plan = move(3500 / 60, "low")
    done = compare(LongStreet(), MODEL, HARM, seen, [plan], LocalCompute(1), hour=3.0, traffic=True)
    assert done.harm_by_zone["move"] == pytest.approx({"low": 20.0, "high": 0.0, "outside all zones": 0.0}, abs=GRAINS)
    assert done.scores[0].figures["people_moved"].mean == pytest.approx(10.0, abs=GRAINS)  # who is caught has not left in time
    seen, plan = water([INF, INF, INF, INF, HOUR, INF]), move(3500 / 60, "high")
    done = compare(LongStreet(), MODEL, HARM, seen, [plan], LocalCompute(1), hour=3.0, traffic=True)
    assert done.harm_by_zone["move"] == pytest.approx({"low": 0.0, "high": 20.0, "outside all zones": 0.0}, abs=GRAINS)


def test_a_plan_is_finished_when_nine_tenths_have_arrived() -> None:
    seen = water([INF] * 6)
    assert score(move(30.0, "low", "high"), seen, LongStreet(2000.0), traffic=False).finished_s.mean == 1800.0
    # 90 % of 12,000 are 4,000 at the ends and 6,800 by the two streets, at 3,000 persons an hour; 240 s of drive, a record a minute, steps of 10 s
    done = score(move(30.0, "low", "high"), seen, LongStreet(2000.0), traffic=True).finished_s.mean
    assert 1800 + 6800 / 3000 * HOUR <= done <= 1800 + 6800 / 3000 * HOUR + 240 + 60 + 20


def test_plans_that_do_the_same_to_people_share_one_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    from tocsin.decision import evacuate

    drives = []

    def counted(*given: object, **more: object) -> object:
        drives.append(1)
        return drive(*given, **more)  # type: ignore[arg-type]

    drive = evacuate.drive
    monkeypatch.setattr(evacuate, "drive", counted)
    twin = move(30.0, "low", name="twin")
    plans = [move(30.0, "low"), twin, move(40.0, "low", name="later")]
    done = compare(LongStreet(), MODEL, HARM, water([HOUR] * 6, futures=3), plans, LocalCompute(2), hour=3.0, traffic=True)
    assert len(drives) == 2  # and the three futures are alike
    np.testing.assert_array_equal(done.harm_by_future["move"], done.harm_by_future["twin"])


def test_the_answer_is_the_same_with_any_number_of_workers() -> None:
    plans = [move(30.0, "low", "high"), move(45.0, "low", name="late")]

    def done(workers: int) -> Compared:
        world, seen = LongStreet(2000.0), water([1800.0 + HOUR] * 6, futures=4)
        return compare(world, MODEL, HARM, seen, plans, LocalCompute(workers), hour=3.0, traffic=True)

    assert done(1).scores == done(2).scores


def test_a_limit_may_be_on_who_is_caught_where_there_is_traffic_and_only_there() -> None:
    limit, seen, world = limit_of("people_caught_on_road <= 0"), water([1800.0 + HOUR] * 6), LongStreet(2000.0)
    plans = [move(30.0, "low", "high")]
    done = compare(world, MODEL, HARM, seen, plans, LocalCompute(1), hour=3.0, limits=[limit], traffic=True)
    assert done.scores[0].limits[0].broken
    with pytest.raises(InputError, match="no figure 'people_caught_on_road'"):
        compare(world, MODEL, HARM, seen, plans, LocalCompute(1), hour=3.0, limits=[limit])


def test_a_race_with_traffic_holds_when_more_are_caught_than_live_in_danger() -> None:
    # only corner 1 is wet, where 10 live; who drives from corners 1 and 2 is caught there: 20, more than if nobody had left
    seen = water([INF, HOUR, INF, INF, INF, INF], futures=32)
    plans = [move(3500 / 60, "low"), move(600.0, "low", name="stay")]
    *_, last = sharpen(LongStreet(), MODEL, HARM, seen, plans, LocalCompute(1), hour=3.0, racing=Racing(), traffic=True)
    assert last.recommended == "stay"
    assert "as long as no future brings more than 20 people in danger" in last.doubt


def test_a_twin_that_no_street_leads_out_of_is_told_as_such() -> None:
    class Island(LongStreet):
        """The street's ends are a kilometre and more from the twin's edge, the shelter is the only goal."""

        def __init__(self) -> None:
            super().__init__()
            self.roads = msgspec.structs.replace(self.roads, node_x_m=column(np.linspace(1500.0, 4500.0, 6), np.float64))

    seen, plans = water([INF] * 6), [move(30.0, "low")]
    done = compare(Island(), MODEL, HARM, seen, plans, LocalCompute(1), hour=3.0, traffic=True)
    assert "No street leads out of the twin" in done.doubt
    assert done.scores[0].figures["people_moved"].mean == 0.0  # and no shelter was opened
    there = compare(LongStreet(), MODEL, HARM, seen, plans, LocalCompute(1), hour=3.0, traffic=True)
    assert "No street" not in there.doubt
