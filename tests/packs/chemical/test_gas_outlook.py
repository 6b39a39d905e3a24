"""When sensors smell gas, the doubt about where it comes from, how much and since when is in the futures: as much of it as there is."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from tocsin.decision.futures import draw
from tocsin.pack import Future, Scenario, find_pack
from tocsin.pack.places import point_of, places_of
from tocsin.packs.chemical.outlook import SEES_FROM_PPM, WIND_SPEED_SPREAD
from tocsin.science.dispersion import carrying_wind
from tocsin.science.puffs import going_to
from tocsin.science.source_location import SCATTER, TURN_DEG, Sensors, responses
from tocsin.science.toxic import mg_per_m3
from tocsin.testing.tiny import PARTS, TinyWorld
from tocsin.vocabulary import Grid, Series, Window

PACK = find_pack("chemical")
(MODEL,) = PACK.models
USUAL = {name: knob.usual for name, knob in MODEL.knobs.items()}
CELL_M, SIDE = 50.0, 60
PER_PPM = float(mg_per_m3(1.0, 70.906)) * 1e-6  # of chlorine, kg/m3
GRID = Grid("EPSG:32722", 480_000.0, 6_680_000.0, CELL_M, SIDE, SIDE)
RUNS = 40


class Plain(TinyWorld):
    """A square of 3 km with nothing on it but what its sensors say."""

    def __init__(self, readings: dict[str, Window]) -> None:
        super().__init__(readings=readings, without=PARTS)
        self.grid = GRID


class At(NamedTuple):
    site: str
    quantity: str
    place: int
    name: str = ""
    water: str = ""


class Truth(NamedTuple):
    x_m: float
    y_m: float
    rate: float
    speed: float
    comes_from: float


def said(name: str, values: NDArray[np.float64], age_s: tuple[float, ...] = (60.0,)) -> Window:
    """The same value at all ages for each of the sites."""
    quantity = next(q for q in PACK.observes if q.name == name)
    column = np.repeat(np.asarray(values, np.float64)[:, None], len(age_s), axis=1)
    return Window(
        quantity,
        tuple(f"{name}-{k}" for k in range(len(values))),
        np.tile(np.array(age_s), (len(values), 1)),
        column,
        np.isfinite(column),
    )


def released(seed: int) -> tuple[Plain, tuple[At, ...], Truth] | None:
    """A made-up release as the outlook's doubt has it: place, rate, wind, its errors, scatter and noise are drawn; None where fewer than three smell it."""
    chance = np.random.default_rng(seed)
    west, south, east_m, north_m = GRID.bounds_m
    x, y = chance.uniform(west, east_m), chance.uniform(south, north_m)
    rate = float(np.exp(chance.uniform(np.log(0.02), np.log(20.0))))
    place = chance.choice(GRID.cells, 12, replace=False)
    at_x, at_y = GRID.centre(place)
    told_speed, told_from = float(chance.uniform(2.0, 5.0)), float(chance.uniform(0.0, 360.0))
    speed = told_speed * float(WIND_SPEED_SPREAD.at(np.array([chance.random()]))[0])
    comes_from = told_from + float(chance.normal(0.0, TURN_DEG))
    east, north = going_to(np.array([float(carrying_wind(speed, 4))]), np.array([comes_from]))
    sees = np.full(12, SEES_FROM_PPM * PER_PPM)
    shown = responses(Sensors(at_x, at_y, np.zeros(12), sees), np.array([x]), np.array([y]), east, north, 4, "rural")[0]
    noise = chance.normal(0.0, sees / 3.0)
    reading = np.maximum(rate * shown * np.exp(chance.normal(0.0, SCATTER, 12)) + noise, 0.0) / PER_PPM
    if (reading >= SEES_FROM_PPM).sum() < 3:
        return None
    world = Plain(
        {
            "chlorine": said("chlorine", reading, tuple(60.0 * k for k in range(1, 61))),
            "wind_speed": said("wind_speed", np.array([told_speed])),
            "wind_from": said("wind_from", np.array([told_from])),
        }
    )
    return (
        world,
        tuple(At(f"chlorine-{k}", "chlorine", int(p)) for k, p in enumerate(place)),
        Truth(x, y, rate, speed, comes_from),
    )


@cache
def foreseen() -> list[tuple[Plain, Truth, Scenario, tuple[Future, ...]]]:
    found, seed = [], 0
    assert PACK.outlook is not None
    while len(found) < RUNS:
        made = released(seed)
        seed += 1
        if made is not None:
            world, gauges, truth = made
            scenario = PACK.outlook(world, gauges)  # type: ignore[arg-type]
            found.append((world, truth, scenario, draw(MODEL, scenario)))
    return found


def source_of(world: Plain, future: Future) -> tuple[float, float, float, float, float]:
    """Where, how much, and the wind's speed and direction of a future."""
    (name,) = (name for name in future.series if name.startswith("release@"))
    place = places_of(world, ("point",), name.partition("@")[2])[0]  # type: ignore[arg-type]
    x_m, y_m = world.grid.centre(place)
    series = future.series
    return float(x_m), float(y_m), series[name].at(0.0), series["wind_speed"].at(0.0), series["wind_from"].at(0.0)


def inside(values: NDArray[np.float64], truth: float) -> bool:
    """Whether the truth lies between the second lowest and the second highest."""
    low, *_, high = np.sort(values)[1:-1]
    return bool(low <= truth <= high)


def test_the_true_source_lies_among_the_futures_as_often_as_they_say() -> None:
    # one more of 31 alike numbers lies between the second lowest and the second highest of the 30 others with a chance of 27 / 31
    held = dict.fromkeys(("along the wind", "across it", "rate", "speed", "direction"), 0)
    for world, truth, _, futures in foreseen():
        told = np.array([source_of(world, future) for future in futures])
        angle = np.deg2rad(truth.comes_from)
        for name, way in (("along the wind", (np.sin(angle), np.cos(angle))), ("across it", (np.cos(angle), -np.sin(angle)))):
            held[name] += inside(told[:, :2] @ way, float(np.array([truth.x_m, truth.y_m]) @ way))
        held["rate"] += inside(told[:, 2], truth.rate)
        held["speed"] += inside(told[:, 3], truth.speed)
        held["direction"] += inside((told[:, 4] - truth.comes_from + 180.0) % 360.0, 180.0)
    low, high = binom.ppf([0.005, 0.995], RUNS, 27.0 / 31.0)
    assert all(low <= count <= high for count in held.values()), (held, low, high)


def test_the_danger_that_came_is_in_the_futures_more_than_it_was_from_the_likeliest_place_alone() -> None:
    covered: dict[str, list[float]] = {"all": [], "likeliest": []}
    score: dict[str, list[float]] = {"all": [], "likeliest": []}
    for world, truth, scenario, _ in foreseen()[:AREAS]:
        at = point_at(world, int(GRID.place(truth.x_m, truth.y_m)))
        (came,) = danger(world, (future_of({f"release@{at}": (-3_600.0, truth.rate)}, truth.speed, truth.comes_from),))
        ways = draw(MODEL, msgspec.structs.replace(scenario, duration_s=SHORT_S, members=FEW))
        for name, futures in (("all", ways), ("likeliest", likeliest(world, ways))):
            share = danger(world, futures).mean(axis=0)
            covered[name].append(float((share[came] >= 0.1).mean()) if came.any() else 1.0)
            score[name].append(float(((share - came) ** 2).sum()))
    assert np.mean(covered["all"]) > np.mean(covered["likeliest"]), covered
    assert np.mean(score["all"]) < np.mean(score["likeliest"]), score  # Brier's: more area alone would not make it better


def future_of(releases: dict[str, tuple[float, float]], speed: float, comes_from: float, **knobs: float) -> Future:
    series = {name: Series.of([since_s], [rate]) for name, (since_s, rate) in releases.items()}
    series |= {"wind_speed": Series.constant(speed), "wind_from": Series.constant(comes_from % 360.0)}
    return Future(0, 1, SHORT_S, USUAL | knobs, series)
