"""The chemical pack keeps what every pack promises, and its gas spreads, harms and is stopped as its parts say."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pytest
from pyproj import Transformer

from tocsin.decision.chain_graph import graph_of
from tocsin.decision.check_plan import check_plan
from tocsin.decision.compare import compare
from tocsin.decision.futures import foresee
from tocsin.flows.information import usual_spreads
from tocsin.pack import Analogue, Effect, Future, Model, Pack, Scenario, Spread, Table, find_pack
from tocsin.pack.chain import together
from tocsin.packs.chemical.substances import SUBSTANCES, TOXIC, WINDOWS_S, substance_of
from tocsin.platform.compute import LocalCompute
from tocsin.testing.pack_promises import PackPromises
from tocsin.testing.tiny import Thing, TinyWorld
from tocsin.vocabulary import InputError, Member, Series, Window

PACK = find_pack("chemical")
(MODEL,) = PACK.models
USUAL = {name: knob.usual for name, knob in MODEL.knobs.items()}


class Works(TinyWorld):
    """The tiny world with cells of 100 m and a tank in the westernmost cell of the street's row."""

    def __init__(self, *, without: Collection[str] = ()) -> None:
        super().__init__(cell_m=100.0, things={"tanks": [Thing("tank-1", 6, 50.0)]}, without=without)


class TestChemicalPack(PackPromises):
    """The chemical pack: chlorine leaks from a tank, and the wind from the west turns to the south-west."""

    def pack(self) -> Pack:
        return PACK

    def world(self, *, without: Collection[str] = ()) -> TinyWorld:
        return Works(without=without)

    def scenario(self, model: Model) -> Scenario:
        series = {
            "release@tank-1": Series.of([0.0, 1_200.0], [0.6, 0.4]),
            "wind_speed": Series.constant(3.0),
            "wind_from": Series.of([0.0, 1_200.0], [270.0, 240.0]),
        }
        return Scenario(1_800.0, 3, 7, {"wind_turn_deg": Spread(-10.0, 0.0, 10.0)}, series)

    def effects(self, model: Model) -> Sequence[Effect]:
        return (Effect("stop_leak", "tank-1"), Effect("neutralise", "all", 0.5))

    def tables(self) -> Mapping[str, Table]:
        at = np.array([[float(v) for v in Works().point(place).split(",")] for place in (8, 10, 10)])
        return {
            "source": {
                "sensor": np.array(["a", "b", "b"], object),
                "longitude": at[:, 0],
                "latitude": at[:, 1],
                "concentration": np.array([0.0, 2.0, 3.0]),
                "wind_speed": np.full(3, 3.0),
                "wind_from": np.full(3, 270.0),
            }
        }


def play(
    effects: tuple[Effect, ...] = (), *, wind_from: float = 270.0, rate: Series | None = None, hours: float = 1.0, **knobs: float
) -> Member:
    series = {
        "release@tank-1": rate or Series.constant(0.5),
        "wind_speed": Series.constant(3.0),
        "wind_from": Series.constant(wind_from),
    }
    return MODEL.play(Works(), Future(0, 1, hours * 3600.0, USUAL | knobs, series), effects, (1_800.0,))


EAST = 6 + 3  # the cell 300 m downwind in a wind from the west


def test_levels_of_every_gas_rise_with_the_harm_and_fall_with_the_time() -> None:
    for gas in SUBSTANCES:
        rows = [np.array(level) for level in gas.levels if level is not None]
        assert all((np.diff(row) <= 0).all() for row in rows)
        assert all((low < high).all() for low, high in itertools.pairwise(rows))
        assert gas is substance_of(gas.number)
    assert len({gas.number for gas in SUBSTANCES}) == len(SUBSTANCES)
    assert MODEL.knobs["substance"].high == len(SUBSTANCES)
    with pytest.raises(InputError, match="there are: 1 chlorine"):
        substance_of(99)


def test_published_levels_are_in_the_table() -> None:
    # two public copies: CAMEO Chemicals for 60 min; PMC5777517, table 3, for hydrogen sulphide
    hour = {gas.key: tuple(None if level is None else level[2] for level in gas.levels) for gas in SUBSTANCES}
    assert hour["chlorine"] == (0.5, 2.0, 20.0)
    assert hour["ammonia"] == (30.0, 160.0, 1100.0)
    assert hour["hydrogen_fluoride"] == (1.0, 24.0, 44.0)
    assert hour["methyl_isocyanate"] == (None, 0.067, 0.2)
    assert hour["phosgene"] == (None, 0.3, 0.75)
    assert hour["hydrogen_cyanide"] == (2.0, 7.1, 15.0)
    assert hour["propane"] == (5500.0, 17000.0, 33000.0)


# As two copies of US EPA's tables print them, 10, 30, 60, 240 and 480 min: AEGL-1, -2, -3
EPA_ROWS = {
    "ammonia": ((30, 30, 30, 30, 30), (220, 220, 160, 110, 110), (2700, 1600, 1100, 550, 390)),
    "hydrogen_sulfide": ((0.75, 0.60, 0.51, 0.36, 0.33), (41, 32, 27, 20, 17), (76, 59, 50, 37, 31)),
    "sulfur_dioxide": ((0.20,) * 5, (0.75,) * 5, (30, 30, 30, 19, 9.6)),
    "hydrogen_cyanide": ((2.5, 2.5, 2.0, 1.3, 1.0), (17, 10, 7.1, 3.5, 2.5), (27, 21, 15, 8.6, 6.6)),
}
# As US EPA's list of 2009 (compiled_aegls_050409.pdf) has them in one copy
EPA_2009 = {
    "hydrogen_fluoride": ((1.0,) * 5, (95, 34, 24, 12, 12), (170, 62, 44, 22, 22)),
    "methyl_isocyanate": (None, (0.40, 0.13, 0.067, 0.017, 0.0080), (1.2, 0.40, 0.20, 0.050, 0.025)),
    "phosgene": (None, (0.60, 0.60, 0.30, 0.080, 0.040), (3.6, 1.5, 0.75, 0.20, 0.090)),
}


@pytest.mark.parametrize(("key", "rows"), [*EPA_ROWS.items(), *EPA_2009.items()])
def test_every_duration_is_as_the_copies_of_epas_tables_print_it(key: str, rows: tuple[tuple[float, ...] | None, ...]) -> None:
    gas = next(g for g in SUBSTANCES if g.key == key)
    assert gas.levels == rows
    assert gas.agreed_min == ((10, 30, 60, 240, 480) if key in EPA_ROWS else (60,))


def test_chlorine_is_as_the_copies_print_it_but_for_the_number_on_which_they_differ() -> None:
    gas = substance_of(1)
    assert gas.levels == ((0.50,) * 5, (2.8, 2.8, 2.0, 1.0, 0.71), (50, 28, 20, 10, 7.1))
    assert gas.agreed_min == (10, 30, 60, 240)  # 480 min: 0.70 in the list of 2009


def test_no_level_of_a_gas_warns_the_public_before_its_primary_table_was_read() -> None:
    for rule in PACK.rules:
        assert not rule.verified, rule.name


def test_lower_explosive_limits_are_those_of_niosh() -> None:
    # documentation for IDLHs, May 1994, read at cdc.gov/niosh/idlh: 15 %, 4.0 %, 5.3 %, 2.1 %, 5.6 %
    wanted = {"ammonia": 0.15, "hydrogen_sulfide": 0.040, "methyl_isocyanate": 0.053, "propane": 0.021, "hydrogen_cyanide": 0.056}
    got = {gas.key: gas.lel_ppm for gas in SUBSTANCES}
    assert {key: got[key] for key in wanted} == {key: pytest.approx(share * 1e6) for key, share in wanted.items()}


def test_levels_that_were_read_at_their_source_are_in_the_table() -> None:
    gases = {gas.key: gas for gas in SUBSTANCES}
    read = {key for key, gas in gases.items() if "read" in gas.idlh_source}
    # NIOSH May 1994; OSHA for hydrogen fluoride; NIOSH 2017-105, which lowered methyl isocyanate from 3 ppm; WISER for phosgene; NIOSH May 1994 for propane
    assert {key: gases[key].idlh_ppm for key in read} == {
        "chlorine": 10.0,
        "hydrogen_fluoride": 30.0,
        "methyl_isocyanate": 0.12,
        "phosgene": 2.0,
        "propane": 2100.0,  # 10 % of the lower explosive limit
    }
    assert gases["hydrogen_sulfide"].erpg == (0.1, 30.0, 100.0)  # AIHA 1991, in NIOSH's documentation
    for gas in SUBSTANCES:
        told = [ppm for ppm in gas.erpg or () if ppm > 0.0]
        assert told == sorted(told)
        assert "unverified" in gas.erpg_source or gas.key == "hydrogen_sulfide" or gas.erpg is None


def test_gas_goes_where_the_wind_goes_and_comes_no_earlier_than_the_wind() -> None:
    east, west = play(), play(wind_from=90.0)
    assert east.peak[EAST] > 1.0
    assert west.peak[EAST] == 0.0
    assert east.arrival_s[EAST + 1] >= 60.0  # 400 m at 3 m/s: in the third minute, told with its beginning
    assert west.arrival_s[EAST] == np.inf
    turned = play(wind_from=90.0, wind_turn_deg=180.0)
    np.testing.assert_allclose(turned.peak, east.peak, rtol=1e-5)


def test_who_is_inside_meets_less_and_more_levels_are_reached_by_lower_ones() -> None:
    member = play()
    reached = member.peak > 0
    assert (member.companions["aegl2_share_indoors"][reached] < member.peak[reached]).all()
    assert (member.companions["aegl1_share"][reached] > member.peak[reached]).all()
    assert (member.companions["aegl3_share"][reached] < member.peak[reached]).all()
    leaky = play(exchange_per_h=20.0)
    assert leaky.companions["aegl2_share_indoors"][EAST] > 2 * member.companions["aegl2_share_indoors"][EAST]


def test_twice_the_gas_is_twice_the_share_where_it_is_not_dense() -> None:
    one, two = play(dense=0.0), play(dense=0.0, release_factor=2.0)
    np.testing.assert_allclose(two.peak[EAST], 2 * one.peak[EAST], rtol=1e-3)  # faint tails are left out by what is seen
    assert two.notes["released_kg"] == pytest.approx(2 * one.notes["released_kg"])


def test_a_leak_that_is_stopped_lets_go_no_more_and_one_held_back_half() -> None:
    whole = play()
    stopped = play((Effect("stop_leak", "all", 1.0, 600.0),))
    half = play((Effect("neutralise", "tank-1", 0.5, 600.0),))
    both = play((Effect("neutralise", "tank-1", 0.5, 600.0), Effect("stop_leak", "all", 1.0, 1_800.0)))
    kg = [m.notes["released_kg"] for m in (whole, stopped, half, both)]
    assert kg == pytest.approx([1_800.0, 300.0, 300.0 + 750.0, 300.0 + 300.0], rel=1e-4)
    assert (
        stopped.companions["aegl2_share_indoors"][EAST]
        < half.companions["aegl2_share_indoors"][EAST]
        < whole.companions["aegl2_share_indoors"][EAST]
    )
    elsewhere = play((Effect("stop_leak", Works().point(20), 1.0, 0.0),))
    np.testing.assert_array_equal(elsewhere.peak, whole.peak)
    there = play((Effect("stop_leak", Works().point(6), 1.0, 600.0),))  # the cell where the tank stands
    np.testing.assert_array_equal(there.peak, stopped.peak)
    assert whole.courses["release_kg_per_s"].at(720.0) == pytest.approx(0.5)
    assert stopped.courses["release_kg_per_s"].at(720.0) == 0.0


def test_a_plan_that_starts_later_changes_nothing_before() -> None:
    whole, late = play(), play((Effect("stop_leak", "all", 1.0, 3_000.0),))
    assert whole.frames is not None
    assert late.frames is not None
    np.testing.assert_allclose(late.frames[0], whole.frames[0], rtol=1e-5)


def test_flammable_gas_is_judged_by_what_burns() -> None:
    methane = play(substance=6.0, rate=Series.constant(20.0))
    gas = substance_of(6.0)
    assert gas.lel_ppm is not None
    ratio = methane.companions["peak_ppm"][EAST] / (0.6 * gas.lel_ppm)
    assert methane.peak[EAST] == pytest.approx(ratio, rel=1e-4)
    assert WINDOWS_S[0] == 60.0


def test_without_a_release_or_a_wind_the_model_says_what_is_missing() -> None:
    with pytest.raises(InputError, match="nothing is released"):
        MODEL.play(Works(), Future(0, 1, 600.0, USUAL, {"wind_from": Series.constant(0.0)}))
    with pytest.raises(InputError, match="where the wind comes from"):
        MODEL.play(Works(), Future(0, 1, 600.0, USUAL, {"release@tank-1": Series.constant(1.0)}))
    with pytest.raises(InputError, match="no one of tanks or point 'tank-9'"):
        MODEL.play(
            Works(), Future(0, 1, 600.0, USUAL, {"release@tank-9": Series.constant(1.0), "wind_from": Series.constant(0.0)})
        )


def test_a_release_at_a_point_is_one_at_the_tank_that_stands_there() -> None:
    world = Works()
    lon, lat = Transformer.from_crs(world.grid.crs, "EPSG:4326", always_xy=True).transform(
        *(float(v[0]) for v in world.grid.centre([6]))
    )
    series = {
        f"release@{lon:.7f},{lat:.7f}": Series.constant(0.5),
        "wind_speed": Series.constant(3.0),
        "wind_from": Series.constant(270.0),
    }
    at_point = MODEL.play(world, Future(0, 1, 3600.0, USUAL, series), (), (1_800.0,))
    np.testing.assert_array_equal(at_point.peak, play().peak)


def test_what_a_forcing_comes_to_has_the_futures_errors_in_it() -> None:
    series = {
        "wind_from": Series.of([0.0, 100.0], [350.0, 10.0]),
        "wind_speed": Series.constant(2.0),
        "release@tank-1": Series.constant(3.0),
        "temperature": Series.constant(20.0),
    }
    future = Future(0, 1, 600.0, USUAL | {"wind_turn_deg": 5.0, "wind_factor": 2.0, "release_factor": 0.5}, series)
    got = [MODEL.forcing(future, name, 50.0) for name in ("wind_from", "wind_speed", "release@tank-1", "temperature")]
    assert got == pytest.approx([5.0, 4.0, 1.5, 20.0])  # north by the short way round, and five degrees


def test_no_future_changes_the_gas_or_the_ground_by_itself() -> None:
    spreads = usual_spreads(MODEL)
    assert not {"substance", "ground", "dense", "height_m"} & set(spreads)
    assert {"wind_turn_deg", "wind_factor", "release_factor", "exchange_per_h"} <= set(spreads)
    MODEL.check(Scenario(3600.0, 4, 1, spreads))


def test_every_plan_could_be_carried_out_here_and_says_what_is_assumed() -> None:
    plans = PACK.plans(Works())
    assert [plan.name for plan in plans] == [
        "wait and watch",
        "warn",
        "shelter in place",
        "stop the leak",
        "shelter and stop the leak",
        "shelter, water curtain and stop the leak",
        "evacuate",
        "evacuate, shelter and stop the leak",
    ]
    assert PACK.options is not None
    for plan in (*plans, PACK.options(Works())):
        check_plan(plan, Works(), MODEL, PACK)
        assert any("unverified" in basis for basis in plan.basis)
    named = {plan.name for plan in plans}
    assert all(name in named for case in PACK.cases for name in case.strategies)


def test_rules_take_the_hours_level_of_their_gas() -> None:
    rules = {rule.name: rule for rule in PACK.rules}
    for gas in TOXIC:
        assert rules[f"{gas.key}_above_aegl"].reads.name == gas.key
        assert rules[f"{gas.key}_rising_fast"].source
        assert gas.idlh_ppm is None or gas.idlh_source
        assert gas.erpg is None or (gas.erpg_source and rules[f"{gas.key}_above_erpg"].reads.name == gas.key)
    assert "chlorine_above_idlh" in rules
    assert not [rule.name for rule in PACK.rules if rule.verified]  # none of them is meant for the public
    assert rules["gas_may_burn"].reads.unit == "%"


def test_a_warning_of_gas_says_which_gas_and_which_guideline() -> None:
    rules = {rule.name: rule for rule in PACK.rules}
    rule = rules["chlorine_above_idlh"]
    window = Window(rule.reads, ("gate",), np.zeros((1, 1)), np.array([[25.0]]), np.ones((1, 1), bool))
    (said,) = rule.judge(window, np.zeros(1, np.int8)).reason
    assert said == "gate: 25.00 ppm is above the red limit 10.00 ppm, IDLH of chlorine"


def test_water_that_another_pack_forecasts_makes_a_tank_leak_and_its_gas_shuts_the_hospital() -> None:
    chains = together({"chemical": PACK.chain, "flood": find_pack("flood").chain})
    assert "tanks" in chains.kinds
    flood = [e for e in chains.exposures if e.kind == "tanks"]
    assert [e.curve.quantity.name for e in flood] == [find_pack("flood").models[0].makes.name]
    assert flood[0].curve.quantity.unit == find_pack("flood").models[0].makes.unit
    assert any(link.source_kind == "tanks" and link.target_kind == "hospitals" for link in chains.links)
    graph = graph_of(Works(), [PACK, find_pack("flood")])
    assert "tanks:tank-1" in graph.nodes


def test_plans_are_ranked_alike_where_the_source_is_elsewhere_in_each_future() -> None:
    world = Works()
    ways = tuple(
        Analogue(
            f"source {place}",
            {
                f"release@{world.point(place)}": Series.of([-300.0], [rate]),
                "wind_from": Series.constant(270.0),
                "wind_speed": Series.constant(3.0),
            },
        )
        for place, rate in ((6, 0.05), (7, 0.1), (8, 0.4), (13, 0.2))
    )
    scenario = Scenario(7_200.0, 8, 1, analogues=ways)
    compute = LocalCompute(1)
    foreseen = foresee(world, MODEL, scenario, compute)
    assert len({next(n for n in f.series if n.startswith("release@")) for f in foreseen.futures}) == 4
    told = ("wait and watch", "shelter in place", "stop the leak", "shelter and stop the leak")
    compared = compare(
        world, MODEL, PACK.harm, foreseen, [p for p in PACK.plans(world) if p.name in told], compute, hour=3.0, pack=PACK
    )
    harm = {name: np.array(values) for name, values in compared.harm_by_future.items()}
    for better in told[1:]:  # in every future, wherever its source is: who does something never fares worse than who waits
        assert (harm[better] <= harm["wait and watch"] + 1e-9).all(), (better, harm)
    assert harm["wait and watch"].min() > 0.0
    assert compared.recommended != "wait and watch"
