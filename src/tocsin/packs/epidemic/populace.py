"""The people of a twin as agents: from how many sleep in each cell, where they are by day, and what schools the twin knows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.science.people import Habits, Populace, Sites, make_people
from tocsin.vocabulary import InputError, World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NIGHT_H, DAY_H = 3.0, 14.0
BLOCK_M = 500.0  # jobs are put together in squares of this size
AGENTS_LEAST = 1_000  # a small place is not thinned out below so many agents
AGENTS_USUAL = 100_000  # how many there are where nobody says: a future of 120 days then takes about a second
NEIGHBOURHOOD = 2_000  # persons
# UN World Population Prospects for Brazil by ten years of age, the last 80 and older, as covasim 4.0.1 has them (covasim/data/country_age_data.py)
AGES_BRAZIL = (29.076912, 31.160447, 34.104644, 34.476764, 29.462008, 24.421199, 16.896864, 8.801551, 4.159028)
HOME_MEAN_BRAZIL = 3.311  # UN, Database on Household Size and Composition 2019, as covasim 4.0.1 has it
SEED = 20_260_101  # of who lives where: the town is the same in every future


class Town(msgspec.Struct, frozen=True):
    """People as agents, each of whom stands for `people_per_agent`; `place` is the cell of each row of `near`, a number of neighbourhoods."""

    populace: Populace
    people_per_agent: float
    place: Ints  # (populated cell,) of the grid
    remarks: tuple[str, ...]


def town_of(world: World, knobs: Mapping[str, float]) -> Town:
    """The same for the same world and knobs, whatever the future. Raises InputError where nobody lives in the twin."""
    night = np.asarray(world.people(NIGHT_H), np.float64)
    total = float(night.sum())
    if total < 2.0:
        raise InputError(
            f"epidemic: {total:g} people live in this twin; build it with --population, since people infect each other"
        )
    per_agent = max(1.0, min(knobs["people_per_agent"] or total / AGENTS_USUAL, total / AGENTS_LEAST))
    place = np.flatnonzero(night > 0)
    x_m, y_m = world.grid.centre(place)
    zone = world.zones.zone_of[place].astype(np.int64) + 1
    day = np.asarray(world.people(DAY_H), np.float64)
    schools = world.assets("schools")
    kept = schools.place >= 0
    remarks = []
    sites = None
    if kept.any():
        weight = np.where(schools.amount[kept] > 0, schools.amount[kept], np.median(schools.amount[kept]) or 1.0)
        sites = Sites(schools.x_m[kept], schools.y_m[kept], weight, world.zones.zone_of[schools.place[kept]].astype(np.int64) + 1)
    else:
        remarks.append("no schools in the twin: one is taken for each neighbourhood")
    habits = Habits(
        home_mean=round(knobs["home_mean"], 1),  # to a tenth, so that a few towns serve many futures
        age_shares=AGES_BRAZIL,
        neighbourhood=max(100, round(NEIGHBOURHOOD / per_agent)),
    )
    recipe = _Recipe(night[place] / per_agent, x_m, y_m, zone, habits, sites, _jobs(world, day))
    return Town(_made(recipe), per_agent, place, tuple(remarks))


def _jobs(world: World, day: Floats) -> Sites | None:
    """Where people are by day, in squares: a stand-in for jobs. None where the twin does not say."""
    place = np.flatnonzero(day > 0)
    if not place.size:
        return None
    x_m, y_m = world.grid.centre(place)
    west, south, _, _ = world.grid.bounds_m
    col, row = ((v - low) // BLOCK_M for v, low in ((x_m, west), (y_m, south)))
    _, first, block = np.unique(row * 1_000_000 + col, return_index=True, return_inverse=True)
    weight = np.bincount(block, day[place]).astype(np.float64)
    x, y = (np.bincount(block, day[place] * v) / weight for v in (x_m, y_m))
    return Sites(x, y, weight, world.zones.zone_of[place[first]].astype(np.int64) + 1)


class _Recipe:
    """What people are made of; two of the same numbers are one, so that a town is made once for many futures."""

    def __init__(
        self, count: Floats, x_m: Floats, y_m: Floats, zone: Ints, habits: Habits, schools: Sites | None, works: Sites | None
    ) -> None:
        self.count, self.x_m, self.y_m, self.zone = count, x_m, y_m, zone
        self.habits, self.schools, self.works = habits, schools, works
        told = blake2b(repr(habits).encode(), digest_size=16)
        for part in (count, x_m, y_m, zone):
            told.update(np.ascontiguousarray(part).tobytes())
        for sites in (schools, works):
            for column in () if sites is None else (sites.x_m, sites.y_m, sites.weight, sites.zone):
                told.update(np.ascontiguousarray(column).tobytes())
            told.update(b"|")
        self.digest = told.digest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Recipe) and other.digest == self.digest


@lru_cache(maxsize=8)
def _made(recipe: _Recipe) -> Populace:
    return make_people(
        recipe.count,
        recipe.x_m,
        recipe.y_m,
        recipe.zone,
        habits=recipe.habits,
        schools=recipe.schools,
        works=recipe.works,
        seed=SEED,
    )
