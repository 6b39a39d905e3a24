"""Risk chains of a place: what fails, why, whom it leaves without what, and what is best done about it."""

from __future__ import annotations

import numpy as np
import pytest
from chain_place import (
    FIRE,
    FLOOD,
    POWER_TO_PUMPS,
    PUMP_TO_CLINIC,
    SERVICES,
    WATER,
    WILDFIRE,
    Town,
    changed,
    curve,
    footprint,
    pack,
)

from tocsin.decision.chain_graph import graph_of
from tocsin.decision.chain_reading import best_breaks, likely_ways, link_weights, share_interval
from tocsin.decision.chains import check_effect, figures, hits_of, service_figures, trace
from tocsin.pack import Effect, Exposure, Future, find_pack
from tocsin.pack.model import Spread
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Dependency, Footprint, InputError

DROWNS = footprint(WATER, {0: 1.0})  # the western substation, after an hour


def failed_h(traced: object) -> dict[str, float]:
    return dict(zip(traced.graph.nodes, (traced.failed_s[0] / 3600.0).tolist(), strict=True))  # type: ignore[attr-defined]


def test_a_flooded_substation_stops_a_pump_which_takes_out_a_clinic() -> None:
    # water after 1 h; the pump stops 1 h later, and the clinic's tank is empty 2 h after that
    traced = trace(Town(), [FLOOD], [DROWNS])
    assert failed_h(traced) == {
        "hospitals:clinic": 4.0,
        "pumping_stations:pump": 2.0,
        "substations:west": 1.0,
        "substations:east": np.inf,
    }
    (way,) = likely_ways(traced)
    assert way.points == ("substations:west", "pumping_stations:pump", "hospitals:clinic")
    assert way.links == ("power for pumps", "pumps for clinics")
    assert (way.share, way.begins_h, way.after_h, way.assumed) == (1.0, 1.0, (0.0, 1.0, 3.0), True)


def test_people_lose_a_service_when_their_nearest_supplier_fails() -> None:
    # ten people in each of the six cells of row 1: the western three are nearest to the western substation, all have one clinic
    told = figures(trace(Town(), [FLOOD], [DROWNS]), Town(), hour=3.0)
    assert told.figures["people_without_power"].tolist() == [30.0]
    assert told.figures["people_without_nearest_hospital"].tolist() == [60.0]
    assert told.figures["people_without_power_hours"].tolist() == [30.0 * 11]
    assert told.figures["substations_out"].tolist() == [1.0]
    assert (told.units["people_without_power"], told.units["people_without_power_hours"]) == ("persons", "person hours")


def test_what_fails_after_the_end_of_the_run_has_not_failed() -> None:
    slow = pack("water", WATER, *FLOOD.chain[:1], changed(POWER_TO_PUMPS, delay_h=Spread(11.5, 11.5, 11.5)))
    assert failed_h(trace(Town(), [slow], [DROWNS]))["pumping_stations:pump"] == np.inf


def test_a_hazard_takes_as_many_as_its_curve_says_and_the_same_ones_each_time() -> None:
    half = footprint(WATER, {0: 0.5}, futures=4_000)
    first, again = (trace(Town(), [FLOOD], [half], seed=3) for _ in range(2))
    share = np.isfinite(first.failed_s[:, first.graph.node("substations:west")]).mean()
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(4_000)
    np.testing.assert_array_equal(first.failed_s, again.failed_s)


def test_lower_water_spares_some_and_takes_nobody_else() -> None:
    high, low = (trace(Town(), [FLOOD], [footprint(WATER, {0: depth, 5: depth}, futures=500)]) for depth in (0.8, 0.4))
    assert np.all(low.failed_s >= high.failed_s)
    assert np.isfinite(low.failed_s).sum() < np.isfinite(high.failed_s).sum()


def test_water_that_never_arrived_takes_nothing_however_deep_its_film() -> None:
    dry = footprint(WATER, {0: 5.0}, arrival_s=np.inf)
    assert not np.isfinite(trace(Town(), [FLOOD], [dry]).failed_s).any()


def test_two_packs_that_know_nothing_of_each_other_make_one_chain() -> None:
    fire = footprint(FIRE, {17: 500.0})
    traced = trace(Town(), [FLOOD, WILDFIRE], [footprint(WATER, {}), fire])
    ways = {way.points for way in likely_ways(traced)}
    assert ways == {
        ("power_lines:span", "substations:west", "pumping_stations:pump", "hospitals:clinic"),
        ("power_lines:span", "substations:east"),
    }
    assert failed_h(traced)["hospitals:clinic"] == 4.0
    # neither of them alone has this chain
    assert not np.isfinite(trace(Town(), [FLOOD], [footprint(WATER, {})]).failed_s).any()
    alone = trace(Town(), [WILDFIRE], [fire])
    assert "hospitals:clinic" not in alone.graph.nodes


def test_a_clinic_with_two_feeders_stands_until_both_are_lost() -> None:
    told = [Dependency("power for pumps", f"substations:{one}", "pumping_stations:pump") for one in ("west", "east")]
    one = trace(Town(*told), [FLOOD], [DROWNS])
    assert failed_h(one)["pumping_stations:pump"] == np.inf
    both = trace(Town(*told), [FLOOD], [footprint(WATER, {0: 1.0, 5: 1.0})])
    assert failed_h(both)["pumping_stations:pump"] == 2.0
    assert not both.graph.assumed[both.graph.part == 0].any()


def test_what_the_twin_says_of_a_link_counts_before_what_the_pack_says() -> None:
    told = Dependency("power for pumps", "substations:east", "pumping_stations:pump", probability=1.0, delay_h=5.0)
    assert failed_h(trace(Town(told), [FLOOD], [DROWNS]))["pumping_stations:pump"] == np.inf
    assert failed_h(trace(Town(told), [FLOOD], [footprint(WATER, {5: 1.0})]))["pumping_stations:pump"] == 6.0


def test_whom_a_substation_serves_can_be_told_by_zone() -> None:
    told = Dependency("people_without_power", "substations:west", "zones:high")
    traced = trace(Town(told), [FLOOD], [DROWNS])
    # the western half by nearness, and now the eastern half by word
    assert figures(traced, Town(told), hour=3.0).figures["people_without_power"].tolist() == [60.0]


def test_a_chain_that_goes_on_in_some_futures_is_told_with_the_chance_of_each_part() -> None:
    link = changed(PUMP_TO_CLINIC, probability=0.5)
    unsure = pack("water", WATER, *FLOOD.chain[:1], POWER_TO_PUMPS, link)
    traced = trace(Town(), [unsure], [footprint(WATER, {0: 1.0}, futures=100)])
    whole, part = traced.failed_s[:, traced.graph.node("hospitals:clinic")], likely_ways(traced)
    assert [(w.points[-1], w.share) for w in part] == [
        ("pumping_stations:pump", 1.0),  # it happens in every future, whether it goes on or not
        ("hospitals:clinic", np.isfinite(whole).mean()),
    ]
    assert 0.3 < part[1].share < 0.7


def test_what_was_assumed_is_told() -> None:
    remarks = graph_of(Town(), [FLOOD]).remarks
    assert any("assumed for 1 pumping stations that each hangs on the nearest substations" in r for r in remarks)
    assert any("100% of the cells" in r for r in remarks)
    lost = graph_of(Town(Dependency("no such link", "a:b", "c:d")), [FLOOD]).remarks
    assert any("1 of the twin's dependencies fit no link" in r and "no such link" in r for r in lost)


def test_an_action_helps_from_its_time_on_and_only_there() -> None:
    def pump_h(*effects: Effect) -> float:
        return failed_h(trace(Town(), [FLOOD], [DROWNS], effects=[effects]))["pumping_stations:pump"]

    generator = "bring_generator", "pumping_stations:pump", 1.0
    assert pump_h(Effect(*generator, 2 * 3600.0)) == np.inf  # it is there when the pump would stop
    assert pump_h(Effect(*generator, 2 * 3600.0 + 1)) == 2.0
    assert pump_h(Effect("bring_generator", "hospitals:clinic")) == 2.0
    assert pump_h(Effect("bring_generator", "pumping_stations")) == np.inf  # all of a kind
    assert pump_h(Effect("protect_asset", "substations:west", 1.0, 3600.0)) == np.inf
    assert pump_h(Effect("protect_asset", "substations:west", 1.0, 3601.0)) == 2.0
    assert pump_h(Effect("move_population", "low")) == 2.0  # what is no chain's verb does nothing to it


def test_filled_tanks_hold_for_their_hours() -> None:
    traced = trace(Town(), [FLOOD], [DROWNS], effects=[[Effect("fill_tanks", "hospitals:clinic", 3.0)]])
    assert failed_h(traced)["hospitals:clinic"] == 7.0


def test_the_best_link_to_break_is_the_one_that_saves_most_and_its_saving_is_that_of_doing_it() -> None:
    half = footprint(WATER, {0: 0.5}, futures=200)
    traced = trace(Town(), [FLOOD], [half], seed=1)
    (way,) = likely_ways(traced)
    assert way.share == np.isfinite(traced.failed_s[:, traced.graph.node("hospitals:clinic")]).mean()
    assert (way.low, way.high) == share_interval(round(200 * way.share), 200)
    breaks = best_breaks(traced, Town(), hour=3.0)
    assert [(b.verb, b.target) for b in breaks] == [
        ("protect_asset", "substations:west"),
        ("bring_generator", "pumping_stations:pump"),
        ("fill_tanks", "hospitals:clinic"),
    ]
    before = figures(traced, Town(), hour=3.0).figures
    after = figures(
        trace(Town(), [FLOOD], [half], seed=1, effects=[[Effect("bring_generator", "pumping_stations:pump")]]), Town(), hour=3.0
    ).figures
    saved = sum((before[s.name] - after[s.name]).mean() for s in SERVICES)
    assert breaks[1].saved == pytest.approx(saved)
    assert breaks[1].low <= saved <= breaks[1].high
    assert breaks[0].saved_by_service["people_without_power"] == pytest.approx(30.0 * breaks[0].used_share)
    # the chance is what it was: whoever breaks it, a future in which nothing fails has nothing to save
    assert breaks[0].helps_share == np.isfinite(traced.failed_s).any(axis=1).mean()


def test_a_link_weighs_what_its_end_costs() -> None:
    weights = link_weights(trace(Town(), [FLOOD], [DROWNS]), Town(), hour=3.0)
    assert {w.target: w.saved for w in weights} == {
        "pumping_stations:pump -> hospitals:clinic": 60.0,
        "substations:west -> pumping_stations:pump": 60.0,
    }


def test_a_loop_between_kinds_is_traced_and_breaks_where_it_is_broken() -> None:
    loop = pack(
        "water",
        WATER,
        *FLOOD.chain,
        changed(POWER_TO_PUMPS, name="pumps cool substations", source_kind="pumping_stations", target_kind="substations"),
    )
    traced = trace(Town(), [loop], [DROWNS])
    assert failed_h(traced) == {
        "hospitals:clinic": 4.0,
        "pumping_stations:pump": 2.0,
        "substations:west": 1.0,
        "substations:east": 3.0,
    }
    assert best_breaks(traced, Town(), hour=3.0)[0].target == "substations:west"


def test_nobody_living_there_is_zero_persons_and_no_error() -> None:
    town = Town(empty=True)
    traced = trace(town, [FLOOD], [DROWNS])
    assert figures(traced, town, hour=3.0).figures["people_without_power"].tolist() == [0.0]
    assert all(b.saved == 0.0 for b in best_breaks(traced, town, hour=3.0))


def test_a_twin_without_assets_has_no_chains_and_says_so() -> None:
    traced = trace(TinyWorld(), [FLOOD], [DROWNS])
    assert traced.failed_s.shape == (1, 0)
    assert likely_ways(traced) == ()
    assert best_breaks(traced, TinyWorld(), hour=3.0) == ()
    assert any("no substations" in r for r in traced.graph.remarks)
    assert figures(traced, TinyWorld(), hour=3.0).figures == {}


def test_a_plan_that_does_nothing_for_the_chains_leaves_each_future_as_it_was() -> None:
    half = footprint(WATER, {0: 0.5, 5: 0.5}, futures=60)
    futures = [Future(n, 1_000_003 + n, 12 * 3600.0, {}) for n in range(60)]
    nothing = service_figures(Town(), FLOOD, half, [()] * 60, futures)
    moves = service_figures(Town(), FLOOD, half, [(Effect("move_population", "low"),)] * 60, futures)
    pumps = service_figures(Town(), FLOOD, half, [(Effect("bring_generator", "pumping_stations:pump"),)] * 60, futures)
    for name, values in nothing.figures.items():
        np.testing.assert_array_equal(values, moves.figures[name])
    np.testing.assert_array_equal(nothing.figures["people_without_power"], pumps.figures["people_without_power"])
    assert pumps.figures["hospitals_out"].sum() == 0 < nothing.figures["hospitals_out"].sum()
    graph = graph_of(Town(), [FLOOD])
    hits = hits_of(Town(), FLOOD, half, futures, graph=graph)
    shared = service_figures(Town(), FLOOD, half, [()] * 60, futures, graph=graph, hits=hits)
    np.testing.assert_array_equal(shared.figures["hospitals_out"], nothing.figures["hospitals_out"])
    # a future that is asked for alone has the luck that it has among others
    some = Footprint(WATER, half.duration_s, half.peak[7:9], half.arrival_s[7:9], half.end_s[7:9])
    alone = service_figures(Town(), FLOOD, some, [()] * 2, futures[7:9])
    np.testing.assert_array_equal(alone.figures["people_without_power"], nothing.figures["people_without_power"][7:9])


def test_a_clinic_that_no_street_leads_to_is_lost() -> None:
    flood = find_pack("flood")
    # row 1 is the street; it ends at both edges; water stands in its cells west and east of the clinic at column 3
    wet = footprint(flood.harm.danger, {6: 1.0, 11: 1.0}, arrival_s=1800.0)
    traced = trace(Town(), [flood], [wet])
    assert failed_h(traced)["road access:clinic"] == 0.5
    assert failed_h(traced)["hospitals:clinic"] == 0.5
    one_side = trace(Town(), [flood], [footprint(flood.harm.danger, {6: 1.0})])
    assert failed_h(one_side)["hospitals:clinic"] == np.inf


@pytest.mark.parametrize(
    ("count", "total", "wanted"), [(0, 10, (0.0, 0.25887)), (5, 10, (0.22244, 0.77756)), (10, 10, (0.74113, 1.0))]
)
def test_a_share_comes_with_the_exact_interval(count: int, total: int, wanted: tuple[float, float]) -> None:
    # Clopper-Pearson at 90 %: 0 of n is 1 - 0.05^(1/n), n of n its mirror; 5 of 10 from statsmodels' proportion_confint(5, 10, 0.1, "beta")
    assert share_interval(count, total) == pytest.approx(wanted, abs=5e-6)


def test_a_footprint_that_is_no_number_where_an_asset_stands_is_refused_by_name() -> None:
    broken = footprint(WATER, {0: np.nan})
    with pytest.raises(InputError, match="flood_depth is no number at substations:west"):
        trace(Town(), [FLOOD], [broken])


def test_footprints_of_different_futures_are_refused() -> None:
    with pytest.raises(InputError, match="of the same futures"):
        trace(Town(), [FLOOD], [DROWNS, footprint(FIRE, {}, futures=2)])
    with pytest.raises(InputError, match="effects of 3 futures"):
        trace(Town(), [FLOOD], [DROWNS], effects=[(), (), ()])


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (Effect("bring_hope", "hospitals:clinic"), "no effect 'bring_hope'; there are: bring_generator"),
        (Effect("bring_generator", "hospitals:nowhere"), "no risk point 'hospitals:nowhere'"),
        (Effect("fill_tanks", "hospitals:clinic", 0.0), "amount 0.0; wanted more than 0"),
    ],
)
def test_an_effect_that_no_chain_knows_is_refused(effect: Effect, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_effect(graph_of(Town(), [FLOOD]), effect)


def test_every_exposure_of_a_quantity_counts_whatever_pack_it_is_of() -> None:
    more = pack("sea", WATER, Exposure("hospitals", curve(WATER, (0.0, 0.0), (0.1, 1.0))))
    traced = trace(Town(), [FLOOD, more], [footprint(WATER, {9: 0.2})])
    assert failed_h(traced)["hospitals:clinic"] == 1.0
    assert PUMP_TO_CLINIC in traced.graph.chains.links
