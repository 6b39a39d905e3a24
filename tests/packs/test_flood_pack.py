"""The flood pack keeps what every pack promises, and its numbers are those of their publications."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pytest

from tocsin.decision.check_plan import check_plan
from tocsin.decision.futures import draw
from tocsin.flows.information import usual_spreads
from tocsin.pack import Effect, Future, Model, Pack, Scenario, Spread, find_pack, find_packs
from tocsin.packs.flood.harm import ROAD_SPEED, damage_curves
from tocsin.packs.flood.plans import lifeline_to_protect
from tocsin.testing.pack_promises import PackPromises
from tocsin.testing.tiny import Thing, TinyWorld
from tocsin.vocabulary import Assets, InputError, NotFound, Series, column

PACK = find_pack("flood")


def test_a_pack_is_found_by_its_hazard_and_another_is_named_as_missing() -> None:
    assert find_packs()["flood"] is PACK
    with pytest.raises(NotFound, match="no pack for 'dragon'; installed: .*flood"):
        find_pack("dragon")


class TestFloodPack(PackPromises):
    """The flood pack: a lake that rises over flat ground, with rain on it and a river through the gate."""

    acts_before = {"breach": "the line holds the water back from the start, and opens when it breaches"}  # noqa: RUF012

    frames_cut_steps = 0.01  # a step of the kernel ends at each frame, and a shorter one moves the water a little differently

    def pack(self) -> Pack:
        return PACK

    def world(self, *, without: Collection[str] = ()) -> TinyWorld:
        ground_m = np.tile(np.array([0.0, 0.1, 0.2, 0.2, 0.4, 3.5]), (4, 1))
        return TinyWorld(ground_m, things={"substations": [Thing("north", 3)]}, without=without)

    def scenario(self, model: Model) -> Scenario:
        series = {"level@lake": Series.of([0.0, 1200.0], [0.0, 0.8]), "rain": Series.of([0.0, 600.0], [20.0, 0.0])}
        return Scenario(1200.0, 3, 7, {"level_offset_m": Spread(-0.2, 0.0, 0.2)}, series)

    def effects(self, model: Model) -> Sequence[Effect]:
        return (Effect("raise_barrier", "gate", 3.0), Effect("breach", "gate"))


def test_no_rule_whose_limits_nobody_checked_may_warn_the_public() -> None:
    assert [rule.name for rule in PACK.rules if rule.verified] == []


def test_the_water_is_accounted_for_at_every_end_of_every_knob() -> None:
    (model,) = PACK.models
    for name, knob in model.knobs.items():
        for end in (knob.low, knob.usual, knob.high):
            member = model.play(TinyWorld(), Future(0, 1, 900.0, USUAL | {name: end}, {"rain": Series.constant(20.0)}))
            assert abs(member.notes["balance_error_share"]) < 1e-6, (name, end)


USUAL = {name: knob.usual for name, knob in PACK.models[0].knobs.items()}


def stored_m3(**knobs: float) -> float:
    (model,) = PACK.models
    member = model.play(TinyWorld(), Future(0, 1, 3600.0, USUAL | knobs, {"rain": Series.constant(20.0)}))
    return member.notes["stored_m3"]


def test_soil_drinks_all_of_a_rain_below_its_conductivity_and_more_than_that_while_it_is_dry() -> None:
    assert stored_m3() > 0
    assert stored_m3(soil_conductivity_mm_per_h=25.0) == pytest.approx(0.0, abs=1e-9)  # 20 mm/h of rain
    wet = stored_m3(soil_conductivity_mm_per_h=10.0)
    dry = stored_m3(soil_conductivity_mm_per_h=10.0, soil_suction_mm=10.0, soil_moisture_deficit=0.3)
    assert 0 < dry < wet < stored_m3()
    assert wet == pytest.approx(stored_m3(loss_mm_per_h=10.0))  # without suction Green-Ampt is a constant rate


def test_water_is_lost_in_one_way_only() -> None:
    with pytest.raises(InputError, match="wanted one of the two"):
        stored_m3(loss_mm_per_h=1.0, soil_conductivity_mm_per_h=1.0)


def test_where_nobody_says_what_soaks_in_nothing_does_in_any_future() -> None:
    spreads = usual_spreads(PACK.models[0])
    assert set(spreads) == {"rain_factor", "inflow_factor", "level_offset_m", "manning_factor"}
    drawn = draw(PACK.models[0], Scenario(3600.0, 20, 1, spreads))
    assert all(future.knobs["loss_mm_per_h"] == 0.0 and future.knobs["soil_conductivity_mm_per_h"] == 0.0 for future in drawn)
    assert len({future.knobs["level_offset_m"] for future in drawn}) == 20


def test_a_car_stands_still_from_thirty_centimetres_on() -> None:
    # Pregnolato et al. 2017: v(w) = 0.0009 w^2 - 0.5529 w + 86.9448 km/h, w in mm; closed at 300 mm
    assert ROAD_SPEED.share(np.array([0.0, 0.1, 0.3, 2.0])).tolist() == pytest.approx(
        [0.0, 1 - 40.6548 / 86.9448, 1.0, 1.0], abs=1e-9
    )


def test_the_curve_between_its_points_is_the_published_parabola_to_one_per_cent() -> None:
    depth_mm = np.arange(0.0, 276.0)
    speed = 0.0009 * depth_mm**2 - 0.5529 * depth_mm + 86.9448
    np.testing.assert_allclose(ROAD_SPEED.share(depth_mm / 1000.0), 1.0 - speed / 86.9448, atol=0.01)


@pytest.mark.parametrize(
    ("region", "sort", "depth_m", "share"),
    [
        # Huizinga et al. 2017, JRC105688: points that every copy of the workbook agrees on
        ("europe", "residential", 1.0, 0.40),
        ("europe", "industrial", 2.0, 0.52),
        ("south_america", "residential", 0.5, 0.490886),
        ("south_america", "commercial", 2.0, 0.991972),
        ("asia", "residential", 3.0, 0.869528),
        ("asia", "industrial", 5.0, 0.955327),
    ],
)
def test_damage_is_the_publications(region: str, sort: str, depth_m: float, share: float) -> None:
    assert damage_curves(region)[sort].share(np.array([depth_m]))[0] == pytest.approx(share)


class Lifelines(TinyWorld):
    """Two substations, one beside the lake at the street's western end and one in column 3, on ground that rises to the east."""

    def __init__(self, east_m: float) -> None:
        super().__init__(np.tile(np.array([0.0, 0.0, 0.0, east_m, east_m, east_m]), (4, 1)))

    def assets(self, kind: str) -> Assets:
        if kind != "substations":
            return super().assets(kind)
        place = np.array([6, 9])
        x_m, y_m = self.grid.centre(place)
        names = ("west", "east")
        columns = [column(x_m, float), column(y_m, float), column(place, np.int64), column(np.zeros(2), float)]
        return Assets(kind, "", names, ("West", "East"), names, *columns)


def test_the_lifeline_that_most_hang_on_and_that_stands_low_is_protected() -> None:
    assert lifeline_to_protect(Lifelines(20.0)) == ("substations:west", "West")  # east stands high
    assert lifeline_to_protect(Lifelines(0.0)) == ("substations:east", "East")  # nearest to columns 2 to 5, west to two only
    assert lifeline_to_protect(TinyWorld()) is None


def test_only_a_plan_that_moves_nobody_binds_a_crew_at_a_lifeline() -> None:
    plans = PACK.plans(Lifelines(20.0))
    protects = [plan for plan in plans if any(e.verb == "protect_asset" for a in plan.actions for e in a.effects)]
    assert [plan.name for plan in protects] == ["close roads and open shelters"]
    assert not any(e.verb == "move_population" for a in protects[0].actions for e in a.effects)
    for plan in plans:
        check_plan(plan, Lifelines(20.0), PACK.models[0], PACK)
    assert all("unverified" in basis for basis in protects[0].basis)
