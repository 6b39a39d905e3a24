"""Readings re-weigh the futures: checked against Bayes where it can be integrated, and on floods whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pytest
from scipy import stats

from tocsin.decision.futures import Foreseen, draw, foresee
from tocsin.decision.observe import (
    CONTRADICTS_SD,
    NARROWEST,
    TAIL_DEGREES,
    Moved,
    Sighting,
    expected,
    going_on,
    look,
    moved_state,
    refit,
    weighted_quantile,
)
from tocsin.pack import Future, Scenario, Spread, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Footprint, InputError, Series

MODEL = find_pack("flood").models[0]
LAKE = {"level@lake": Series.of([0.0, 3600.0], [0.0, 2.0])}


def scenario(members: int = 400, seed: int = 1, low: float = -1.0, high: float = 1.0) -> Scenario:
    return Scenario(7200.0, members, seed, {"level_offset_m": Spread(low, 0.0, high)}, LAKE)


def drawn(asked: Scenario) -> Foreseen:
    """Futures without any run: what forcings show needs none."""
    futures = draw(MODEL, asked)
    nothing = np.zeros((len(futures), 1), np.float32)
    return Foreseen(futures, Footprint(MODEL.makes, 7200.0, nothing, nothing, nothing), (), None, ({},) * len(futures))


def level(value: float, time_s: float = 3600.0, *, site: str = "quay", error_sd: float = 0.1) -> Sighting:
    return Sighting(site, "level@lake", time_s, value, error_sd)


def test_a_gauge_of_a_forcing_shows_the_series_with_the_knobs_of_its_future() -> None:
    knobs = {n: k.usual for n, k in MODEL.knobs.items()} | {"level_offset_m": 0.25, "rain_factor": 2.0, "inflow_factor": 3.0}
    rain, inflow = Series.of([0.0, 3600.0], [10.0, 0.0]), Series.of([0.0, 3600.0], [0.0, 8.0])
    future = Future(0, 1, 7200.0, knobs, LAKE | {"rain": rain, "inflow@weir": inflow})
    foreseen = msgspec.structs.replace(drawn(scenario(1)), futures=(future,))
    asked = [
        level(9.9, 1800.0),
        Sighting("roof", "rain", 1800.0, 9.9, 1.0),
        Sighting("roof", "rain", 5400.0, 9.9, 1.0, span_s=3600.0),  # half an hour of rain at 20 mm/h in the hour before
        Sighting("weir", "inflow@weir", 1800.0, 9.9, 1.0),
    ]
    np.testing.assert_allclose(expected(MODEL, foreseen, asked)[0], [1.25, 20.0, 10.0, 12.0])


def test_the_doubt_that_is_left_is_that_of_bayes() -> None:
    # prior: triangle -1, 0, 1 m on the lake's level of 2 m; one reading of 2.4 m, Student's t error. The posterior by numerical integration.
    looked = look(MODEL, drawn(scenario(4000)), [level(2.4)])
    x = np.linspace(-1, 1, 20_001)
    density = stats.triang.pdf(x, 0.5, -1, 2) * stats.t.pdf((2.4 - 2.0 - x) / 0.1, TAIL_DEGREES)
    density /= density.sum()
    mean = float(density @ x)
    sd = float(np.sqrt(density @ (x - mean) ** 2))
    within = 4 * sd / np.sqrt(looked.effective)  # four standard errors of a weighted mean
    assert looked.knobs["level_offset_m"].mean == pytest.approx(mean, abs=within)
    assert looked.knobs["level_offset_m"].sd == pytest.approx(sd, rel=4 / np.sqrt(2 * looked.effective))
    assert looked.knobs["level_offset_m"].sd_before == pytest.approx(np.sqrt(1 / 6), rel=0.01)  # of a triangle of half width 1


def test_the_truth_lies_in_the_told_ninety_per_cent_in_nine_of_ten_cases() -> None:
    rng = np.random.default_rng(7)
    foreseen = drawn(scenario(300))
    offsets = np.array([f.knobs["level_offset_m"] for f in foreseen.futures])
    covered = 0
    for _ in range(400):
        truth = rng.triangular(-1, 0, 1)
        seen = [level(2.0 + truth + 0.1 * rng.standard_t(TAIL_DEGREES), site=f"gauge {k}") for k in range(3)]
        low, high = weighted_quantile(offsets, look(MODEL, foreseen, seen).weight, (0.05, 0.95))
        covered += low <= truth <= high
    assert stats.binomtest(covered, 400, 0.9).pvalue > 0.001  # 300 futures: the interval's ends lie on futures


def test_readings_one_after_the_other_leave_the_same_weights_as_all_at_once() -> None:
    foreseen = drawn(scenario(50))
    first = look(MODEL, foreseen, [level(2.2)])
    np.testing.assert_allclose(
        look(MODEL, foreseen, [level(2.3, 5400.0)], first.weight).weight,
        look(MODEL, foreseen, [level(2.2), level(2.3, 5400.0)]).weight,
    )


def test_nothing_seen_changes_nothing() -> None:
    looked = look(MODEL, drawn(scenario(20)), [])
    assert set(looked.weight.tolist()) == {1 / 20}
    assert looked.again == ""


def test_a_level_above_all_futures_asks_for_new_ones_that_reach_it() -> None:
    asked = scenario(100)
    looked = look(MODEL, drawn(asked), [level(4.2)])
    assert (
        looked.again
        == f"quay reads 4.2, {looked.seen[0].outside_sd:.1f} errors above all 100 futures: what happens is none of them"
    )
    anew = refit(asked, MODEL, looked)
    spread = anew.knobs["level_offset_m"]
    assert spread.usual > 0.5
    assert spread.high > 1.5  # the truth is 2.2 above: the spread is as wide as before, about the highest futures
    for _ in range(3):  # looked at again and again, the futures get there
        looked = look(MODEL, drawn(anew), [level(4.2)])
        anew = refit(anew, MODEL, looked)
    assert look(MODEL, drawn(anew), [level(4.2)]).again == ""


def test_readings_that_leave_a_handful_of_futures_ask_for_new_ones_that_are_narrower_but_not_certain() -> None:
    asked = scenario(60)
    looked = look(MODEL, drawn(asked), [level(2.3, 3600.0 + k, error_sd=0.01) for k in range(20)])
    assert "too few to tell plans apart" in looked.again
    spread = refit(asked, MODEL, looked).knobs["level_offset_m"]
    assert spread.low < 0.3 < spread.high
    assert spread.high - spread.low == pytest.approx(2 * np.sqrt(6) * NARROWEST * looked.knobs["level_offset_m"].sd_before)


def test_two_gauges_that_contradict_each_other_are_named_and_none_wins_outright() -> None:
    looked = look(MODEL, drawn(scenario(400)), [level(1.5, site="quay"), level(2.5, site="ferry")])
    assert looked.contradictions == (
        "quay says 1.5 and ferry says 2.5 of level@lake at the same time: look which of the two is wrong",
    )
    assert looked.knobs["level_offset_m"].mean == pytest.approx(0.0, abs=0.1)
    assert looked.knobs["level_offset_m"].sd > 0.3
    assert 1.0 / np.hypot(0.1, 0.1) > CONTRADICTS_SD


@pytest.fixture(scope="module")
def flooded() -> Foreseen:
    ground = np.tile(np.array([-2.0, 0.0, 0.2, 0.4, 0.6, 0.8]), (4, 1))
    return foresee(TinyWorld(ground), MODEL, scenario(40), LocalCompute(2), frame_s=(0.0, 3600.0, 7200.0))


def test_a_gauge_on_the_ground_speaks_for_the_futures_that_are_as_deep(flooded: Foreseen) -> None:
    assert flooded.frames is not None
    truth = int(np.argsort(flooded.frames[2, :, 8])[30])
    depth = float(flooded.frames[2, truth, 8])
    looked = look(MODEL, flooded, [Sighting("post", "", 7200.0, depth, 0.05, place=8)])
    offsets = np.array([f.knobs["level_offset_m"] for f in flooded.futures])
    assert looked.weight @ offsets == pytest.approx(offsets[truth], abs=0.15)
    assert looked.seen[0].crps > 0


def test_water_is_moved_towards_the_gauge_near_it_and_none_is_below_zero(flooded: Foreseen) -> None:
    assert flooded.frames is not None
    world = TinyWorld()
    before = flooded.frames[2]
    deep = float(before[:, 8].max())
    moved = moved_state(
        world, flooded, [Sighting("post", "", 7200.0, deep, 0.02, place=8)], np.random.default_rng(1), reach_m=200.0
    )
    state = moved.state
    assert moved.at_s == 7200.0
    assert state.shape == before.shape
    assert (state >= 0).all()
    assert abs(state[:, 8].mean() - deep) < 0.2 * abs(before[:, 8].mean() - deep)
    assert state[:, 9].mean() > before[:, 9].mean()  # the neighbour is correlated, and moves too
    assert (moved.gauges, moved.held_back, moved.is_better) == (1, 0, False)  # nothing was held back, so nobody knows


def test_gauges_that_are_held_back_say_whether_moving_the_water_helps(flooded: Foreseen) -> None:
    assert flooded.frames is not None
    truth = int(np.argsort(flooded.frames[2, :, 8])[-3])
    rest = msgspec.structs.replace(
        flooded,
        futures=tuple(f for n, f in enumerate(flooded.futures) if n != truth),
        frames=np.delete(flooded.frames, truth, axis=1),
    )

    def tell(values: Mapping[int, float]) -> Moved:
        seen = [Sighting(f"g{place}", "", 7200.0, value, 0.02, place=place) for place, value in values.items()]
        return moved_state(TinyWorld(), rest, seen, np.random.default_rng(2), reach_m=400.0)

    right = tell({place: float(flooded.frames[2, truth, place]) for place in (7, 8, 9)})
    assert (right.gauges, right.held_back, right.is_better) == (3, 3, True)
    assert rest.frames is not None
    wrong, before = (
        np.abs(right.state - flooded.frames[2, truth]).mean(),
        np.abs(rest.frames[2] - flooded.frames[2, truth]).mean(),
    )
    assert wrong < before  # everywhere, and not at the gauges alone
    # gauges that contradict each other: each would move the other away from what it reads
    assert not tell({8: float(rest.frames[2, :, 8].max()), 9: 0.0}).is_better


def test_a_state_between_two_frames_lies_on_the_line_between_them(flooded: Foreseen) -> None:
    assert flooded.frames is not None
    blind = [Sighting("post", "", 7200.0, 1.0, 1e6, place=8)]  # a gauge that says nothing moves nothing
    moved = moved_state(TinyWorld(), flooded, blind, np.random.default_rng(1), reach_m=200.0, at_s=5400.0)
    np.testing.assert_allclose(moved.state, (flooded.frames[1] + flooded.frames[2]) / 2, atol=1e-3)


def test_each_future_goes_on_from_its_own_state_and_one_without_from_the_median(flooded: Foreseen) -> None:
    assert flooded.frames is not None
    states = {f.number: flooded.frames[1, n] for n, f in enumerate(flooded.futures)}
    model, world = going_on(MODEL, states), TinyWorld()
    dry = {"level@lake": Series.constant(-1.0)}
    late = [msgspec.structs.replace(f, duration_s=60.0, series=dry) for f in flooded.futures[:6]]
    for future in late:
        begun = model.play(world, future, (), (0.0,))
        assert begun.frames is not None
        land = np.setdiff1d(np.arange(world.grid.cells), world.water("lake").place)
        np.testing.assert_allclose(begun.frames[0][land], states[future.number][land], atol=1e-6)
    bare = going_on(MODEL, {n: s for n, s in states.items() if n != late[0].number})
    begun = bare.play(world, late[0], (), (0.0,))
    middle = np.median([s for n, s in states.items() if n != late[0].number], axis=0)
    assert begun.frames is not None
    np.testing.assert_allclose(begun.frames[0][land], middle[land], atol=1e-6)
    with pytest.raises(InputError, match="cannot go on from a state"):
        going_on(msgspec.structs.replace(MODEL, starts_from=None), states)
    with pytest.raises(InputError, match="no future has a state"):
        going_on(MODEL, {})


@pytest.mark.parametrize(
    ("sighting", "said"),
    [
        (lambda: Sighting("quay", "level@lake", 0.0, np.nan, 0.1), "wanted finite numbers"),
        (lambda: Sighting("quay", "level@lake", 0.0, 1.0, 0.0), "no gauge is exact"),
        (lambda: Sighting("quay", "", 0.0, 1.0, 0.1), "wanted one of the two"),
    ],
)
def test_a_reading_that_says_nothing_is_refused(sighting, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=said):
        sighting()


def test_what_no_future_knows_of_is_told() -> None:
    with pytest.raises(InputError, match="no forcing 'level@sea'; there are: level@lake"):
        expected(MODEL, drawn(scenario(2)), [Sighting("pier", "level@sea", 0.0, 1.0, 0.1)])
    with pytest.raises(InputError, match="ask the forecast for frames"):
        expected(MODEL, drawn(scenario(2)), [Sighting("post", "", 0.0, 1.0, 0.1, place=0)])
