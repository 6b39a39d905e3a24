"""Embers: how far torching trees throw them and whether they light as behave prints it; where they land; and fires ahead of the front."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

from tocsin.science import fire_spots
from tocsin.science.fire_growth import FireProblem, FireRun, Weather, line_along, spread
from tocsin.science.fire_spots import spread_with_embers
from tocsin.science.fire_spotting import (
    Embers,
    Trees,
    _lognormal,
    _poisson,
    farthest_m,
    ignition_probability,
    land,
    torching_distance_m,
)
from tocsin.science.fire_spread import M_PER_FT, MPH, Canopy, Moisture, ember_distance_m
from tocsin.vocabulary import InputError

MILE = 1609.344
MANY = Embers(per_gj=0.2, delay_s=600.0)
AIR = np.array([30.0])
# The kernel takes an arrival as earlier only by more than 1e-4 s; over the 120 cells of these grounds that may add up to 0.012 s where weather is parted otherwise.
SAME_S = 0.012


def celsius(fahrenheit: float) -> float:
    return (fahrenheit - 32.0) * 5.0 / 9.0


def brush(width: int = 120, *, belt: int = 0, wind: tuple[Weather, ...] = (Weather(0.0, 10.0, 270.0),), rows: int = 60):
    """Chaparral on cells of 30 m with a belt of bare ground in the middle, set alight in the west."""
    fuel = np.full((rows, width), 4)
    fuel[:, width // 2 : width // 2 + belt] = 99
    return FireProblem(fuel, 30.0, wind, np.array([[rows // 2, 20]]), np.zeros(1))


def assert_same(arrival_s: np.ndarray, wanted_s: np.ndarray) -> None:
    burns = np.isfinite(wanted_s)
    assert (np.isfinite(arrival_s) == burns).all()
    assert np.abs(arrival_s[burns] - wanted_s[burns]).max() < SAME_S


def parted(problem: FireProblem, at_s: float) -> FireProblem:
    """The same weather, told anew from a moment on."""
    held = [w for w in problem.weather if w.begin_s <= at_s][-1]
    told = {w.begin_s: w for w in problem.weather} | {at_s: msgspec.structs.replace(held, begin_s=at_s)}
    return msgspec.structs.replace(problem, weather=tuple(told[t] for t in sorted(told)))


def one_at_a_time(problem: FireProblem, embers: Embers, seed: int, duration_s: float, air_c: np.ndarray) -> FireRun:
    """The plain version: run to the end, add the one ember that takes hold first, run all of it again."""
    given, known = problem, set[tuple[int, float]]()
    while True:
        run = spread(problem, duration_s=duration_s)
        told = land(given, run, embers, seed, air_c)
        from_s = np.ceil(told.lights_s / fire_spots.STEP_S) * fire_spots.STEP_S
        fresh = (from_s < run.arrival_s.reshape(-1)[told.target]) & (from_s < duration_s)
        rest = [one for one in zip(told.target[fresh].tolist(), from_s[fresh].tolist(), strict=True) if one not in known]
        if not rest:
            return run
        target, lights_s = min(rest, key=lambda one: one[1])
        known.add((target, lights_s))
        at = [divmod(target, problem.fuel.shape[1])]
        problem = msgspec.structs.replace(
            parted(problem, lights_s), start=np.vstack([problem.start, at]), start_s=np.append(problem.start_s, lights_s)
        )


def test_torching_trees_throw_embers_as_far_as_the_behave_tests_print():
    trees = Trees(20 * 2.54, 15, "engelmann spruce")
    far = torching_distance_m(trees, 30 * M_PER_FT, 5 * MPH * 1.15, 30 * M_PER_FT)
    assert float(far) / MILE == pytest.approx(0.181449, abs=1e-6)  # its last printed digit


def test_embers_light_as_often_as_the_behave_tests_print():
    assert float(ignition_probability(0.06, celsius(80), 0.5)) == pytest.approx(0.54831705, abs=1e-8)
    assert float(ignition_probability(0.07, celsius(90), 0.25)) == pytest.approx(0.50717573, abs=1e-8)


def test_wet_fuel_lights_never_and_no_chance_is_above_one():
    assert float(ignition_probability(0.45, 10.0, 1.0)) == 0.0
    assert float(ignition_probability(0.001, 60.0, 0.0)) == 1.0


@pytest.mark.parametrize(("mean", "variance"), [(30.0, 425.0 * 30.0), (500.0, 425.0 * 500.0)])
def test_distances_have_the_mean_and_the_variance_that_are_asked_for(mean, variance):
    square = np.log(1 + variance / mean**2)
    oracle = stats.lognorm(np.sqrt(square), scale=mean * np.exp(-square / 2))
    assert (oracle.mean(), oracle.var()) == (pytest.approx(mean), pytest.approx(variance))
    u = np.array([0.01, 0.3, 0.5, 0.99])
    assert _lognormal(u, np.full(4, mean), np.full(4, variance)) == pytest.approx(oracle.ppf(u))


def test_the_number_of_embers_is_poissons_and_grows_with_heat_at_the_same_luck():
    u = np.random.default_rng(1).random(2_000)
    for mean in (1e-3, 0.7, 12.0):
        assert (_poisson(u, np.full(u.size, mean)) == stats.poisson.ppf(u, mean)).all()
    assert (_poisson(u, np.full(u.size, 3.0)) >= _poisson(u, np.full(u.size, 2.0))).all()


def test_a_belt_of_bare_ground_holds_the_front_and_not_its_embers():
    problem = brush(belt=5)
    held = spread_with_embers(problem, Embers(per_gj=0.0), 1, duration_s=7_200.0, air_c=AIR)
    assert np.isinf(held.run.arrival_s[:, 60:]).all()
    assert (held.runs, held.target.size) == (1, 0)
    jumped = spread_with_embers(problem, MANY, 1, duration_s=7_200.0, air_c=AIR)
    beyond = jumped.run.arrival_s[:, 65:]
    assert np.isfinite(beyond).any()
    assert beyond.min() in jumped.lights_s  # an ember came first, then its fire


def test_a_belt_wider_than_the_farthest_flight_holds_both():
    problem = brush(400, belt=100)
    far = farthest_m(problem, spread(problem, duration_s=7_200.0)).max()
    assert 600.0 < far < 3_000.0  # the belt is 3 km wide
    jumped = spread_with_embers(problem, MANY, 1, duration_s=7_200.0, air_c=AIR)
    assert jumped.target.size > 0
    assert np.isinf(jumped.run.arrival_s[:, 300:]).all()


def test_embers_jump_a_line_that_stops_every_front():
    problem = brush()
    line = line_along([(0, 60), (60, 60)], problem.fuel.shape, 30.0, start_s=0.0, rate_m_per_min=np.inf)
    problem = msgspec.structs.replace(problem, lines=(line,))
    assert np.isinf(spread(problem, duration_s=7_200.0).arrival_s[:, 60:]).all()
    assert np.isfinite(spread_with_embers(problem, MANY, 1, duration_s=7_200.0, air_c=AIR).run.arrival_s[:, 60:]).any()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_looking_ahead_gives_the_very_run_that_adds_one_ember_at_a_time(seed):
    wind = (Weather(0.0, 9.0, 270.0), Weather(1_500.0, 7.0, 230.0))
    problem, embers, air = brush(belt=3, wind=wind), Embers(per_gj=0.1, delay_s=600.0), np.array([30.0, 25.0])
    quick = spread_with_embers(problem, embers, seed, duration_s=6_000.0, air_c=air)
    plain = one_at_a_time(problem, embers, seed, 6_000.0, air)
    assert quick.target.size > 10
    assert_same(quick.run.arrival_s, plain.arrival_s)


def test_how_far_it_looks_ahead_changes_nothing(monkeypatch):
    runs = []
    for ahead in (1, 7):
        monkeypatch.setattr(fire_spots, "LOOK_AHEAD", ahead)
        runs.append(spread_with_embers(brush(belt=3), MANY, 5, duration_s=7_200.0, air_c=AIR).run.arrival_s)
    assert_same(runs[0], runs[1])


def test_up_to_the_first_fire_that_an_ember_starts_nothing_differs_from_a_run_without_embers():
    problem = brush(belt=3)
    without, jumped = spread(problem, duration_s=7_200.0), spread_with_embers(problem, MANY, 1, duration_s=7_200.0, air_c=AIR)
    before = without.arrival_s < jumped.lights_s[0]
    assert before.any()
    assert_same(without.arrival_s[before], jumped.run.arrival_s[before])


def test_what_an_ember_lights_burns_after_its_delay_and_only_where_nothing_has_burnt():
    problem = brush(belt=3)
    jumped = spread_with_embers(problem, MANY, 1, duration_s=7_200.0, air_c=AIR)
    left = jumped.run.arrival_s.reshape(-1)[jumped.source]
    assert (jumped.lights_s >= left + MANY.delay_s).all()
    assert (jumped.run.arrival_s.reshape(-1)[jumped.target] == jumped.lights_s).all()
    assert (problem.fuel.reshape(-1)[jumped.target] == 4).all()


def test_embers_fly_with_the_wind_of_the_moment_when_they_leave():
    wind = (Weather(0.0, 10.0, 270.0), Weather(1_800.0, 10.0, 180.0))
    problem = brush(240, wind=wind, rows=240)
    run = spread(problem, duration_s=3_600.0)
    told = land(problem, run, Embers(per_gj=5.0, aside_m=1e-6), 1, np.array([30.0, 30.0]))
    late = run.arrival_s.reshape(-1)[told.source] >= 1_800.0
    down, right = (after - before for after, before in zip(np.divmod(told.target, 240), np.divmod(told.source, 240), strict=True))
    assert min(late.sum(), (~late).sum()) > 20
    assert (down[~late] == 0).all()  # from the west: to the east
    assert (right[~late] > 0).all()
    assert (right[late] == 0).all()  # from the south: to the north, which is up
    assert (down[late] < 0).all()


def test_of_landing_embers_as_many_light_as_flight_and_schroeder_say():
    """On ground that burns alike the share that lights is a mean over many embers; four standard errors of a share are asked for."""
    problem = brush(600, rows=600)
    run = spread(problem, duration_s=7_200.0)
    all_ = land(problem, run, Embers(per_gj=0.5, survives_m=1e9, aside_m=1.0), 1, np.array([1e9]))  # hot: each one lights
    some = land(problem, run, Embers(per_gj=0.5, survives_m=1e9, aside_m=1.0), 1, AIR)
    chance = float(ignition_probability(Moisture().dead_1h, AIR[0], Embers().shade))
    assert some.source.size / all_.source.size == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / all_.source.size))
    away = np.hypot(*(np.subtract(*pair) * 30.0 for pair in zip(np.divmod(all_.target, 600), np.divmod(all_.source, 600))))  # noqa: B905
    weak = land(problem, run, Embers(per_gj=0.5, survives_m=300.0, aside_m=1.0), 1, np.array([1e9]))
    alive = np.exp(-away / 300.0)
    assert weak.source.size == pytest.approx(alive.sum(), abs=4 * np.sqrt((alive * (1 - alive)).sum()) + 0.05 * alive.sum())


def test_no_ember_is_alight_beyond_the_farthest_flight_of_its_front():
    problem = brush(400, rows=200)
    run = spread(problem, duration_s=7_200.0)
    landed = land(problem, run, Embers(per_gj=0.5, mean_m=60.0, survives_m=1e9), 1, np.array([1e9]))
    away = np.hypot(*(np.subtract(*pair) * 30.0 for pair in zip(np.divmod(landed.target, 400), np.divmod(landed.source, 400))))  # noqa: B905
    farthest = farthest_m(problem, run).reshape(-1)[landed.source]
    assert (away > 0.9 * farthest).any()  # they would fly on
    assert (away <= farthest + 15.0 * np.sqrt(2.0)).all()  # a cell's middle stands for all of it


def test_a_change_in_one_corner_changes_only_the_embers_of_what_burns_otherwise():
    problem = brush()
    line = line_along([(0, 40), (25, 40)], problem.fuel.shape, 30.0, start_s=0.0, rate_m_per_min=np.inf)
    runs = [spread(one, duration_s=5_400.0) for one in (problem, msgspec.structs.replace(problem, lines=(line,)))]
    told = [land(problem, run, Embers(per_gj=1.0), 9, AIR) for run in runs]
    same = (runs[0].arrival_s == runs[1].arrival_s) & (runs[0].intensity_kw_per_m == runs[1].intensity_kw_per_m)
    assert 0 < same.sum() < np.isfinite(runs[0].arrival_s).sum()
    kept = [set(zip(*(column[same.reshape(-1)[one.source]].tolist() for column in one), strict=True)) for one in told]
    assert len(kept[0]) > 20
    assert kept[0] == kept[1]
    other = land(problem, runs[0], Embers(per_gj=1.0), 10, AIR)
    assert other.source.tolist() != told[0].source.tolist()


def test_without_wind_no_ember_flies():
    problem = brush(wind=(Weather(0.0, 0.0, 270.0),))
    assert land(problem, spread(problem, duration_s=7_200.0), Embers(per_gj=50.0), 1, AIR).source.size == 0


def test_where_more_take_hold_than_may_the_first_stay_and_it_is_said():
    problem = brush()
    whole = spread_with_embers(problem, MANY, 1, duration_s=7_200.0, air_c=AIR)
    assert whole.target.size > 8
    assert not whole.is_cut
    cut = spread_with_embers(problem, MANY, 1, duration_s=7_200.0, air_c=AIR, most=4)
    assert cut.is_cut
    assert cut.target.tolist() == whole.target[:4].tolist()


def test_trees_that_torch_throw_farther_than_the_front_where_crowns_burn():
    canopy = Canopy(0.3, 20.0, 0.5, 0.15)
    problem = FireProblem(
        np.full((40, 80), 10), 30.0, (Weather(0.0, 8.0, 270.0),), np.array([[20, 10]]), np.zeros(1), canopy=canopy
    )
    run = spread(problem, duration_s=3_600.0)
    burns = np.isfinite(run.arrival_s)
    surface = ember_distance_m(run.intensity_kw_per_m[burns], 8.0, 20.0)
    trees = Trees(100.0, 30.0)
    torched = float(torching_distance_m(trees, 20.0, 8.0, 20.0))
    assert burns.sum() > 100
    told = farthest_m(problem, run, trees)[burns]
    assert farthest_m(problem, run)[burns] == pytest.approx(surface)
    is_torched = told > surface
    assert is_torched.any()
    assert told[is_torched] == pytest.approx(torched)
    low = msgspec.structs.replace(problem, canopy=Canopy(0.3, 20.0, 0.5, 0.0))  # no needles: no crown burns
    assert farthest_m(low, spread(low, duration_s=3_600.0), trees).max() < torched


@pytest.mark.parametrize(
    "wrong",
    [{"per_gj": -1.0}, {"shade": 1.5}, {"survives_m": 0.0}, {"delay_s": 10.0}, {"mean_m": np.nan}],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(InputError, match="embers"):
        Embers(**wrong)
    with pytest.raises(InputError, match="trees"):
        Trees(50.0, 1.0, "palm")
