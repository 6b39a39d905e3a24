"""The wildfire pack keeps what every pack promises, and does with fire what its documents say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pytest

from tocsin.decision.check_plan import check_plan
from tocsin.decision.futures import draw
from tocsin.flows.information import usual_spreads
from tocsin.interfaces.pictures import classes_of
from tocsin.pack import Effect, Future, Model, Pack, Scenario, Spread, Table, find_pack
from tocsin.packs.wildfire.embers import embers_of
from tocsin.packs.wildfire.plans import exposed_zones
from tocsin.packs.wildfire.quantities import FIRE_CONFIDENCE, FIRE_WEATHER_INDEX, FUEL_MODEL
from tocsin.packs.wildfire.questions import danger
from tocsin.testing.pack_promises import PackPromises
from tocsin.testing.tiny import Thing, TinyWorld
from tocsin.vocabulary import Grid, InputError, Line, NotFound, Series, Window

PACK = find_pack("wildfire")
(MODEL,) = PACK.models
USUAL = {name: knob.usual for name, knob in MODEL.knobs.items()} | {"fuel_model": 1.0}
# the middle of TinyWorld's cell (1, 0), row 1 being the street: zone `low`
WEST = Series.constant(1.0)
WIND = {"wind_speed": Series.constant(4.0), "wind_from": Series.constant(270.0)}


class Field(TinyWorld):
    """The tiny world on cells of 30 m, with a field of fuel and a firebreak where its barrier stands."""

    def __init__(self, fuel: np.ndarray | None = None, ground_m: np.ndarray | None = None) -> None:
        super().__init__(ground_m, cell_m=30.0)
        if fuel is not None:
            self._fields = {**self._fields, FUEL_MODEL.name: fuel.astype(np.float32)}

    def line(self, name: str) -> Line:
        gate = super().line(name)
        return Line("gate", "firebreak", gate.x_m, gate.y_m)


def future(seconds: float = 1_800.0, /, *, series: dict[str, Series] | None = None, **knobs: float) -> Future:
    return Future(0, 1, seconds, USUAL | knobs, WIND | {"ignition@low": WEST} if series is None else series)


def play(given: Future, *effects: Effect, world: TinyWorld | None = None, frames: tuple[float, ...] = ()):
    return MODEL.play(world or Field(), given, effects, frames)


class TestWildfirePack(PackPromises):
    """The wildfire pack: zone `low` is set alight and a west wind drives the fire over short grass."""

    def pack(self) -> Pack:
        return PACK

    def world(self, *, without: Collection[str] = ()) -> TinyWorld:
        return TinyWorld(
            np.tile(np.arange(6.0), (4, 1)),
            fields={FUEL_MODEL.name: 1.0},
            things={"substations": [Thing("north", 3)]},
            without=without,
        )

    def scenario(self, model: Model) -> Scenario:
        series = {
            "wind_speed": Series.of([0.0, 600.0], [4.0, 6.0]),
            "wind_from": Series.constant(270.0),
            f"ignition@{TinyWorld().point(8)}": Series.of([0.0, 60.0], [0.0, 1.0]),
        }
        return Scenario(1200.0, 3, 7, {"rate_factor": Spread(0.7, 1.0, 1.3)}, series)

    def effects(self, model: Model) -> Sequence[Effect]:
        return (
            Effect("cut_firebreak", "gate"),
            Effect("suppress", "gate", 100.0),
            Effect("shut_off_power", TinyWorld().point(8)),
        )

    def tables(self) -> Mapping[str, Table]:
        return {
            "danger": {
                "time": np.array(["1985-04-13T12", "1985-04-14T12"], "datetime64[us]"),
                "temperature": np.array([17.0, 20.0]),
                "humidity": np.array([42.0, 21.0]),
                "wind": np.array([25.0, 25.0]),
                "rain": np.array([0.0, 2.4]),
            }
        }


def test_no_rule_whose_limits_nobody_checked_for_this_use_may_warn_the_public() -> None:
    assert [rule.name for rule in PACK.rules if rule.verified] == []


def test_a_fire_comes_to_the_lee_side_later_and_burns_where_it_started_from_the_start() -> None:
    member = play(future())
    at = member.arrival_s.reshape(4, 6)
    assert (at[:, 1:3] == 0.0).all()  # zone `low` was set alight, all but the lake in column 0
    assert (np.diff(at[1, 2:]) > 0).all()
    assert member.peak.max() > 0
    assert member.companions["flame_length_m"].max() > 0
    assert ((member.companions["ember_distance_m"] > 0) == (member.peak > 0)).all()
    assert member.courses["burnt_ha"].value[-1] == pytest.approx(member.notes["burnt_ha"])
    assert (np.diff(member.courses["burnt_ha"].value) >= 0).all()


def test_it_starts_at_a_point_at_its_time_within_its_radius() -> None:
    world = Field()
    lonlat = _lonlat(world, 9)
    member = play(future(series=WIND | {f"ignition@{lonlat}": Series.of([0.0, 600.0], [0.0, 31.0])}), world=world)
    assert sorted(np.flatnonzero(member.arrival_s == 600.0).tolist()) == [3, 8, 9, 10, 15]
    assert member.arrival_s[np.isfinite(member.arrival_s)].min() == 600.0


def _lonlat(world: TinyWorld, place: int) -> str:
    from pyproj import Transformer

    x, y = world.grid.centre(place)
    lon, lat = Transformer.from_crs(world.grid.crs, "EPSG:4326", always_xy=True).transform(float(x), float(y))
    return f"{lon:.6f},{lat:.6f}"


def test_wind_from_the_other_side_drives_it_the_other_way() -> None:
    there = play(future(series=WIND | {f"ignition@{_lonlat(Field(), 8)}": WEST}))
    back = play(future(wind_turn_deg=180.0, series=WIND | {f"ignition@{_lonlat(Field(), 8)}": WEST}))
    assert there.arrival_s[9] < there.arrival_s[7]
    assert back.arrival_s[9] > back.arrival_s[7]


def test_dry_air_makes_it_faster_than_damp_air() -> None:
    dry, damp = (
        play(
            future(
                series=WIND
                | {"ignition@low": WEST, "air_temperature": Series.constant(t), "relative_humidity": Series.constant(h)}
            )
        )
        for t, h in ((35.0, 10.0), (15.0, 80.0))
    )
    assert dry.arrival_s[11] < damp.arrival_s[11]


def test_a_firebreak_that_stands_holds_it_and_one_that_is_hotter_than_it_holds_does_not() -> None:
    cut = Effect("cut_firebreak", "gate")
    assert np.isinf(play(future(), cut).arrival_s.reshape(4, 6)[:, 3:]).all()
    assert np.isfinite(play(future(), cut).arrival_s.reshape(4, 6)[:, 1:3]).all()
    assert np.isfinite(play(future(line_holds_kw_per_m=0.0), cut).arrival_s.reshape(4, 6)[:, 1:]).all()
    late = play(future(), Effect("cut_firebreak", "gate", start_s=1_500.0))
    assert np.isfinite(late.arrival_s.reshape(4, 6)[:, 1:]).all()


def test_a_line_that_crews_build_holds_where_they_have_been() -> None:
    quick, slow = (play(future(), Effect("suppress", "gate", rate)) for rate in (1_000.0, 0.1))
    assert np.isinf(quick.arrival_s.reshape(4, 6)[:, 3:]).all()
    assert np.isfinite(slow.arrival_s.reshape(4, 6)[:, 1:]).all()


def test_power_that_is_shut_off_before_starts_no_fire_and_after_it_helps_nothing() -> None:
    series = WIND | {"ignition@low": Series.of([0.0, 600.0], [0.0, 10.0])}
    before, after = (play(future(series=series), Effect("shut_off_power", "low", start_s=t)) for t in (300.0, 900.0))
    assert np.isinf(before.arrival_s).all()
    assert before.notes["burnt_ha"] == 0.0
    assert np.isfinite(after.arrival_s).any()


def test_the_twins_own_fuel_is_taken_and_bare_ground_stays_bare() -> None:
    fuel = np.full((4, 6), 1)
    fuel[:, 4] = 98
    member = play(future(fuel_model=0.0), world=Field(fuel))
    at = member.arrival_s.reshape(4, 6)
    assert np.isinf(at[:, 4:]).all()
    assert np.isfinite(at[:, :4]).all()


def test_water_does_not_burn_where_one_fuel_is_taken_for_all_ground() -> None:
    member = play(future(series=WIND | {"ignition@high": WEST}))
    lake = Field().water("lake").place
    assert np.isinf(member.arrival_s[lake]).all()


def test_what_is_missing_is_named_with_what_to_give() -> None:
    with pytest.raises(InputError, match=r"--field fuel_model.*--knob fuel_model=2"):
        play(future(fuel_model=0.0))
    with pytest.raises(InputError, match="--drive wind_speed"):
        play(future(series={"ignition@low": WEST}))
    with pytest.raises(InputError, match="no ignition"):
        play(future(series=WIND))
    with pytest.raises(InputError, match="go together"):
        play(future(series=WIND | {"ignition@low": WEST, "air_temperature": Series.constant(20.0)}))
    with pytest.raises(InputError, match="fuel model 14"):
        play(future(fuel_model=14.0))
    with pytest.raises(InputError, match="no zone or line or point 'nowhere'"):
        play(future(series=WIND | {"ignition@nowhere": WEST}))
    with pytest.raises(NotFound):
        play(future(), Effect("cut_firebreak", "nowhere"))


def test_where_nobody_says_how_uncertain_a_knob_is_the_fuel_stays_what_it_is() -> None:
    spreads = usual_spreads(MODEL)
    assert "fuel_model" not in spreads
    assert "canopy_cover" not in spreads
    drawn = draw(MODEL, Scenario(3600.0, 12, 1, spreads))
    assert len({one.knobs["rate_factor"] for one in drawn}) == 12


def test_every_plan_can_be_carried_out_in_the_world_that_it_was_made_for() -> None:
    world = Field()
    made = PACK.plans(world)
    assert [plan.name for plan in made] == [
        "wait and watch",
        "warn",
        "evacuate",
        "cut firebreaks",
        "hold the line",
        "cut firebreaks and evacuate",
    ]
    for plan in (*made, PACK.options(world)):
        check_plan(plan, world, MODEL)
    assert all("unverified" in plan.basis[0] for plan in made)


def test_without_a_firebreak_no_plan_cuts_one() -> None:
    assert not any("firebreak" in plan.name for plan in PACK.plans(TinyWorld()))


def test_zones_on_the_lee_side_are_moved_first_where_the_wind_is_known() -> None:
    class Windy(TinyWorld):
        def window(self, quantity, span_s):
            if quantity.name != "wind_from":
                return super().window(quantity, span_s)
            return Window(quantity, ("mast",), np.array([[60.0]]), np.array([[270.0]]), np.array([[True]]))

    assert exposed_zones(Windy())[0] == "high"  # 30 people in each; the wind blows to the east


def test_danger_of_the_published_days_and_of_a_day_that_lacks_a_number() -> None:
    table = {
        "time": np.array(["1985-04-13T12", "1985-04-14T12", "1985-04-15T12"], "datetime64[us]"),
        "temperature": np.array([17.0, np.nan, 20.0]),
        "humidity": np.array([42.0, 30.0, 21.0]),
        "wind": np.array([25.0, 10.0, 25.0]),
        "rain": np.array([0.0, 0.0, 2.4]),
    }
    settings = {"latitude_deg": 46.0, "ffmc_before": 85.0, "dmc_before": 6.0, "dc_before": 15.0}
    answer = danger(None, table, settings)
    assert answer.figures["fwi_most"].mean == pytest.approx(10.1, abs=0.05)
    assert answer.table["danger"][:1].tolist() == ["low"]
    assert answer.table["danger"][1] == ""
    assert any("1 of 3 days" in remark for remark in answer.remarks)
    with pytest.raises(InputError, match="twice"):
        danger(None, {**table, "time": table["time"][[0, 0, 1]]}, settings)


def test_its_colours_part_a_creeping_fire_from_one_that_nobody_can_stop() -> None:
    bounds = [low for low, _ in classes_of(PACK.harm)]
    assert bounds == sorted(bounds)
    assert len(bounds) == 6
    assert bounds[0] < 100.0
    assert bounds[-1] > 1_730.0


def test_the_rules_judge_fire_weather_and_satellite_detections() -> None:
    rules = {rule.name: rule for rule in PACK.rules}

    def level(name, quantity, value):
        window = Window(quantity, ("a",), np.array([[600.0]]), np.array([[value]]), np.array([[True]]))
        return int(rules[name].judge(window, np.zeros(1, np.int8)).level[0])

    assert [level("fire_weather_dangerous", FIRE_WEATHER_INDEX, v) for v in (5.0, 12.0, 22.0, 39.0, 51.0)] == [0, 1, 2, 3, 4]
    assert [level("fire_seen_from_space", FIRE_CONFIDENCE, v) for v in (10.0, 50.0, 90.0)] == [0, 2, 3]


def _jumps(**knobs: float) -> tuple[int, np.ndarray]:
    """Fires beyond a lake of 150 m right across brush, from a fire west of it; an hour and a half of storm."""
    fuel = np.full((40, 60), 4)
    fuel[:, 30:35] = 98
    world = Ground(fuel)
    lit = Series.constant(40.0)
    series = {
        "wind_speed": Series.constant(12.0),
        "wind_from": Series.constant(270.0),
        f"ignition@{_lonlat(world, 20 * 60 + 10)}": lit,
    }
    member = play(future(5_400.0, series=series, fuel_model=0.0, ember_delay_min=10.0, **knobs), world=world)
    return int(member.notes["spot_fires"]), member.arrival_s.reshape(40, 60)[:, 35:]


class Ground(TinyWorld):
    """A larger world with nothing in it but fuel, whose array decides how many cells there are."""

    def __init__(self, fuel: np.ndarray) -> None:
        super().__init__(cell_m=30.0)
        self.grid = Grid("EPSG:32631", 0.0, fuel.shape[0] * 30.0, 30.0, *fuel.shape)
        self._fields = {"elevation_m": np.zeros(fuel.shape, np.float32), FUEL_MODEL.name: fuel.astype(np.float32)}


def test_embers_jump_a_lake_that_holds_the_front() -> None:
    none, dark = _jumps(embers_per_gj=0.0)
    assert (none, np.isfinite(dark).any()) == (0, False)
    some, burnt = _jumps(embers_per_gj=0.1)
    assert some > 0
    assert np.isfinite(burnt).any()


def test_as_long_as_nobody_says_otherwise_embers_fly() -> None:
    assert USUAL["embers_per_gj"] > 0.0
    member = play(future())
    assert member.notes["embers"] == 1.0
    assert member.courses["spot_fires"].value[-1] == member.notes["spot_fires"]


def test_warm_ground_in_the_sun_lights_more_often_than_wet_ground() -> None:
    dry, _ = _jumps(embers_per_gj=0.1, shade=0.0, air_temperature_degc=40.0, dead_1h=0.03)
    wet, _ = _jumps(embers_per_gj=0.1, shade=1.0, air_temperature_degc=5.0, dead_1h=0.20)
    assert dry > wet


def test_trees_that_torch_are_told_by_their_thickness() -> None:
    assert embers_of(USUAL).trees is None
    trees = embers_of(USUAL | {"tree_diameter_cm": 40.0, "torching_trees": 5.0}).trees
    assert trees is not None
    assert (trees.diameter_cm, trees.at_once) == (40.0, 5.0)


def test_what_a_person_has_to_know_of_the_embers_is_said() -> None:
    usual = {"embers": 1.0, "spot_fires_cut": 0.0, "starts_on_bare_ground": 0.0}
    assert MODEL.remarks([usual]) == ()
    (said,) = MODEL.remarks([usual, usual | {"spot_fires_cut": 1.0}])
    assert "in 1 of 2 futures embers lit more than 1,000 fires" in said
    assert "no embers" in MODEL.remarks([usual | {"embers": 0.0}])[0]
    assert "3 of the cells" in MODEL.remarks([usual | {"starts_on_bare_ground": 3.0}])[0]
