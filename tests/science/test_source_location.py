"""A source is found where it is, with a doubt that is neither too small nor too large."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_ndtr
from scipy.stats import binom

from tocsin.science.dispersion import plume
from tocsin.science.puffs import going_to
from tocsin.science.source_location import FALSE, SCATTER, TURN_DEG, Found, Sensors, _ln_likelihood, find_source, responses
from tocsin.vocabulary import InputError

CELL_M, SIDE = 100.0, 30
SEES = 1e-7
MIDDLE = (np.arange(SIDE) + 0.5) * CELL_M
X, Y = (a.ravel() for a in np.meshgrid(MIDDLE, MIDDLE))


def released(seed: int, sensors: int = 10) -> tuple[Found, int, float]:
    """A made-up release as the model of doubt has it: place, rate, direction's error and scatter are all drawn; what is found, and the truth."""
    chance = np.random.default_rng(seed)
    x, y = chance.uniform(0.0, SIDE * CELL_M, 2)
    rate = float(np.exp(chance.uniform(np.log(0.1), np.log(10.0))))
    at = chance.uniform(0.0, SIDE * CELL_M, (2, sensors))
    wind_from = chance.uniform(0.0, 360.0) + chance.normal(0.0, 8.0, 12)
    speed = np.full(12, chance.uniform(2.0, 5.0))
    nothing = Sensors(at[0], at[1], np.zeros(sensors), np.full(sensors, SEES))
    truth = responses(
        nothing, np.array([x]), np.array([y]), *going_to(speed, wind_from + chance.normal(0.0, TURN_DEG)), 4, "rural"
    )[0]
    reading = rate * truth * np.exp(chance.normal(0.0, SCATTER, sensors)) + chance.normal(0.0, SEES / 3.0, sensors)
    east, north = going_to(speed, wind_from)
    found = find_source(
        Sensors(at[0], at[1], reading, nothing.sees_from), X, Y, wind_east=east, wind_north=north, stability=4, cell_m=CELL_M
    )
    return found, int(y // CELL_M) * SIDE + int(x // CELL_M), rate


def test_the_region_of_ninety_per_cent_holds_the_source_in_about_ninety_of_a_hundred_releases() -> None:
    runs = 120
    held = {0.5: 0, 0.9: 0}
    rates = 0
    for seed in range(runs):
        found, place, rate = released(seed)
        assert found.chance.sum() == pytest.approx(1.0)
        for share in held:
            held[share] += bool(found.region(share)[place])
        rates += found.rate_low <= rate <= found.rate_high
    for share, count in held.items():
        # a region is made of whole cells, so it holds a little more than its share: the upper bound leaves it 6 % for that
        low, high = binom.ppf(0.005, runs, share), binom.ppf(0.995, runs, share + 0.06)
        assert low <= count <= high, (share, count)
    assert binom.ppf(0.005, runs, 0.9) <= rates  # the rate's prior is wider than what is drawn, so its span may be too wide


def test_many_sensors_and_little_scatter_leave_one_place_and_its_rate() -> None:
    grid = np.linspace(200.0, 2_800.0, 8)
    at_x, at_y = (a.ravel() for a in np.meshgrid(grid, grid))
    wind_from = np.linspace(180.0, 360.0, 24)  # a wind that turns sees the source from all sides
    east, north = going_to(np.full(24, 3.0), wind_from)
    empty = Sensors(at_x, at_y, np.zeros(64), np.full(64, 1e-9))
    seen = 2.0 * responses(empty, np.array([1_450.0]), np.array([1_650.0]), east, north, 4, "rural", cell_m=CELL_M)[0]
    found = find_source(
        Sensors(at_x, at_y, seen, empty.sees_from),
        X,
        Y,
        wind_east=east,
        wind_north=north,
        stability=4,
        cell_m=CELL_M,
        scatter=0.1,
        turn_deg=0.0,
    )
    assert int(np.argmax(found.chance)) == 16 * SIDE + 14
    assert found.rate_low <= 2.0 <= found.rate_high
    assert found.rate_high / found.rate_low < 1.5


def test_what_one_kilogram_shows_is_the_plume() -> None:
    sensors = Sensors(np.array([800.0]), np.array([30.0]), np.zeros(1), np.ones(1))
    east, north = going_to(np.array([3.0]), np.array([270.0]))
    got = responses(sensors, np.array([0.0]), np.array([0.0]), east, north, 4, "rural", height_m=12.0)[0, 0]
    assert got == pytest.approx(
        float(plume(1.0, 800.0, 30.0, 0.0, wind_m_per_s=3.0, stability=4, height_m=12.0)), rel=1e-3
    )  # widths come from a table


def test_the_fast_likelihood_is_the_plain_one() -> None:
    sensors = Sensors(np.zeros(2), np.zeros(2), np.array([3e-6, 0.0]), np.full(2, 1e-6))
    seen = np.array([True, False])
    unit, rate = np.log(np.array([[1e-6, 2e-6], [1e-9, 5e-3]])), np.log(np.array([0.1, 3.0, 50.0]))
    wide = np.hypot(0.7, np.array([1 / 9, 1 / 3]))
    off = (np.log(np.array([3e-6, 1e-6]))[None, :, None] - unit[:, :, None] - rate[None, None, :]) / wide[None, :, None]
    noise_alone = 9.0 * np.exp(-0.5 * 9.0**2) / np.sqrt(2.0 * np.pi)  # 3e-6 is nine deviations of what sees 1e-6
    told = np.exp(-0.5 * off[:, 0] ** 2) / (wide[0] * np.sqrt(2.0 * np.pi))
    plain = np.log(told + noise_alone + FALSE) + log_ndtr(off[:, 1])
    np.testing.assert_allclose(_ln_likelihood(sensors, seen, unit, rate, 0.7), plain, atol=0.02)  # 2 % of a chance below 1e-15


def test_a_faint_smell_off_the_plume_does_not_turn_it() -> None:
    # three sensors down the wind of a source, and one far aside of it that shows as much as its noise may show
    x, y = np.array([1_250.0, 1_550.0, 2_050.0, 950.0]), np.array([1_450.0, 1_450.0, 1_480.0, 2_450.0])
    east, north = going_to(np.array([3.0]), np.array([270.0]))
    empty = Sensors(x, y, np.zeros(4), np.full(4, SEES))
    seen = responses(empty, np.array([750.0]), np.array([1_450.0]), east, north, 4, "rural")[0]
    assert seen[3] < 1e-12
    found = [
        find_source(Sensors(x, y, reading, empty.sees_from), X, Y, wind_east=east, wind_north=north, stability=4, cell_m=CELL_M)
        for reading in (seen, np.where(seen < 1e-12, 1.1 * SEES, seen))
    ]
    assert abs(found[1].turn_deg - found[0].turn_deg) < 2.0
    assert abs(found[1].y_m - found[0].y_m) < CELL_M


def test_a_silent_sensor_that_gas_cannot_have_come_to_yet_tells_nothing() -> None:
    x, y = np.array([1_250.0, 1_550.0, 2_850.0]), np.full(3, 1_450.0)
    east, north = going_to(np.array([3.0]), np.array([270.0]))
    reading = np.array([5e-5, 2e-5, 0.0])
    late, early = (
        find_source(
            Sensors(x, y, reading, np.full(3, SEES), 0, gone_m),
            X,
            Y,
            wind_east=east,
            wind_north=north,
            stability=4,
            cell_m=CELL_M,
        )
        for gone_m in (np.inf, 600.0)
    )
    near = find_source(
        Sensors(x[:2], y[:2], reading[:2], np.full(2, SEES)), X, Y, wind_east=east, wind_north=north, stability=4, cell_m=CELL_M
    )
    np.testing.assert_allclose(early.chance, near.chance, atol=1e-9)
    assert abs(late.chance - near.chance).max() > 1e-3


def test_what_is_drawn_has_the_chances_that_were_found() -> None:
    chance = np.random.default_rng(5)
    x, y = chance.uniform(1_600.0, 2_900.0, 8), chance.uniform(1_000.0, 1_900.0, 8)  # all down the wind
    east, north = going_to(np.array([3.0]), np.array([260.0]))
    empty = Sensors(x, y, np.zeros(8), np.full(8, SEES))
    seen = responses(empty, np.array([1_050.0]), np.array([1_250.0]), east, north, 4, "rural")[0]
    found = find_source(
        Sensors(x, y, seen, empty.sees_from),
        X,
        Y,
        wind_east=east,
        wind_north=north,
        stability=4,
        cell_m=CELL_M,
        draws=chance.random((4_000, 5)),
    )
    drawn = found.drawn
    assert drawn is not None
    spread_x, spread_y = (float(np.sqrt(found.chance @ (at - found.chance @ at) ** 2)) for at in (X, Y))
    # four standard errors of 4,000 draws, and what moving between two turns may add
    assert abs(drawn.x_m.mean() - found.x_m) < 4.0 * spread_x / np.sqrt(4_000) + 0.05 * spread_x
    assert abs(drawn.y_m.mean() - found.y_m) < 4.0 * spread_y / np.sqrt(4_000) + 0.05 * spread_y
    assert np.mean((drawn.rate_kg_per_s > found.rate_low) & (drawn.rate_kg_per_s < found.rate_high)) == pytest.approx(
        0.9, abs=0.03
    )
    assert abs(drawn.turn_deg.mean() - found.turn_deg) < 1.0
    assert abs(np.corrcoef(np.log(drawn.rate_kg_per_s), drawn.x_m)[0, 1]) > 0.3  # place and rate belong together


def test_silence_rules_out_what_would_have_been_seen_and_leaves_the_rest() -> None:
    sensors = Sensors(np.array([1_450.0]), np.array([1_450.0]), np.zeros(1), np.full(1, SEES))
    east, north = going_to(np.array([3.0]), np.array([180.0]))
    found = find_source(sensors, X, Y, wind_east=east, wind_north=north, stability=4, cell_m=CELL_M)
    upwind, downwind = 12 * SIDE + 14, 20 * SIDE + 14
    assert found.seen == 0
    assert found.chance[upwind] < found.chance[downwind]


def test_calm_and_places_without_reach_are_refused() -> None:
    sensors = Sensors(np.array([0.0]), np.array([-500.0]), np.ones(1), np.ones(1))
    with pytest.raises(InputError, match="calm"):
        find_source(sensors, X, Y, wind_east=np.zeros(1), wind_north=np.zeros(1), stability=4)
    with pytest.raises(InputError, match="upwind"):
        find_source(sensors, X, Y, wind_east=np.zeros(1), wind_north=np.ones(1), stability=4, turn_deg=0.0)
