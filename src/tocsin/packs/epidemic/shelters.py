"""Who is in shelters: people who left their homes for a while, families together, crowded with others whom they would not have met."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Future
from tocsin.pack.places import places_of
from tocsin.packs.epidemic.populace import Town
from tocsin.science.agents import Course, Shelters
from tocsin.science.agents_steps import SHELTER
from tocsin.science.keyed import keyed_uniforms
from tocsin.vocabulary import InputError, Series, World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_S = 86_400.0
SORTS = ("shelters", "zone")
NOWHERE = -1


class Sheltered(msgspec.Struct, frozen=True):
    """The shelters of a run, and the cell in which each stands, (shelter,); -1 where the twin has none."""

    halls: Shelters
    place: Ints


def by_step(series: Series, days: int, *, before: float) -> Floats:
    """A number for each day, (day,): a value holds until the next; `before` the first."""
    step = np.searchsorted(series.time_s, (np.arange(days) + 0.5) * DAY_S, side="right") - 1
    return np.where(step < 0, before, series.value[np.maximum(step, 0)])


def sheltered(world: World, future: Future, town: Town, days: int) -> Sheltered:
    """Whom `sheltered@SHELTER` and `sheltered@ZONE` take from home, by lot of the future.

    Into a shelter come those who live nearest to it; out of a zone whole homes by lot, into the shelter that is nearest to most of it. Raises
    InputError where more people are asked for than live there.
    """
    people, cell = town.populace.people, town.place[town.populace.cell]
    homes = np.diff(people.home_start)
    first, count = people.home_start[:-1], people.home_start.size - 1
    lot = keyed_uniforms(future.seed, "who goes to a shelter", np.arange(count))
    free = np.ones(count, np.bool_)
    found = world.assets("shelters")
    guests: dict[int, list[tuple[float, Ints]]] = {}
    crowds: dict[int, Ints] = {}
    zone_of: dict[int, int] = {}
    for name in sorted(future.series):
        kind, _, where = name.partition("@")
        if kind != "sheltered":
            continue
        wanted = np.round(by_step(future.series[name], days, before=0.0) / town.people_per_agent).astype(np.int64)
        hall, rank, zone = _hall(world, where, cell[first], lot, -1 - len(guests))
        order = np.argsort(np.where(free, rank, np.inf), kind="stable")[: int((free & np.isfinite(rank)).sum())]
        lives = int(homes[order].sum())
        if wanted.max(initial=0) > lives:
            raise InputError(
                f"{name}: {wanted.max() * town.people_per_agent:,.0f} persons in a shelter, and {lives * town.people_per_agent:,.0f} live there; "
                "wanted fewer"
            )
        chosen = order[: int(np.searchsorted(np.cumsum(homes[order]), wanted.max(initial=0))) + 1] if wanted.any() else order[:0]
        free[chosen] = False
        own = [(float(lot[h]), np.arange(first[h], first[h] + homes[h])) for h in chosen.tolist()]
        guests[hall] = guests.get(hall, []) + own
        crowds[hall] = crowds.get(hall, np.zeros(days, np.int64)) + wanted
        zone_of[hall] = zone
    halls = sorted(guests)
    # families come in the order of their lots, from whichever zone; the last one may be divided, since a count is a count
    lists = [
        np.concatenate([np.zeros(0, np.int64), *(who for _, who in sorted(guests[h], key=lambda one: one[0]))]) for h in halls
    ]
    start = np.r_[0, np.cumsum([one.size for one in lists])].astype(np.int64)
    crowd = np.stack([crowds[h] for h in halls], axis=1) if halls else np.zeros((days, 0), np.int64)
    place = np.array([found.place[h] if h >= 0 else NOWHERE for h in halls], np.int64)
    guest = np.concatenate([np.zeros(0, np.int64), *lists])
    return Sheltered(Shelters(guest, start, np.array([zone_of[h] for h in halls], np.int64), crowd), place)


def _hall(world: World, where: str, home_cell: Ints, lot: Floats, otherwise: int) -> tuple[int, Floats, int]:
    """Which shelter, the rank in which homes go there (infinite: not), and the zone in which it stands, as people have them."""
    found = world.assets("shelters")
    place = places_of(world, SORTS, where)
    home_x, home_y = world.grid.centre(home_cell)
    named = [k for k in range(len(found)) if where in (found.id[k], found.name[k])]
    if named:
        hall = named[0]
        rank = np.hypot(home_x - found.x_m[hall], home_y - found.y_m[hall])
    else:
        own = np.isin(home_cell, place)
        rank = np.where(own, lot, np.inf)
        hall = otherwise
        if len(found) and own.any():
            middle = np.median(home_x[own]), np.median(home_y[own])
            hall = int(np.argmin(np.hypot(found.x_m - middle[0], found.y_m - middle[1])))
    stands = found.place[hall] if hall >= 0 else place[0]
    return hall, rank, int(world.zones.zone_of[stands]) + 1 if stands >= 0 else 0


class Outbreaks(msgspec.Struct, frozen=True):
    """What came of the shelters that stand in the twin, arrays (cell,): the share of their guests who were infected in them, the day of the first
    (infinite: none), and the share who fell severely ill of that, of guests and those who live there."""

    share: Floats
    first_day: Floats
    severe: Floats


def outbreaks(world: World, told: Sheltered, course: Course, living: Ints) -> Outbreaks:
    """`living` (cell,) are the agents who live in each cell."""
    share, severe = np.zeros(world.grid.cells), np.zeros(world.grid.cells)
    first = np.full(world.grid.cells, np.inf)
    guests, infected, ill = (np.zeros(world.grid.cells) for _ in range(3))
    for k, place in enumerate(told.place.tolist()):
        who = told.halls.guest[told.halls.guest_start[k] : told.halls.guest_start[k + 1]][
            : int(told.halls.crowd[:, k].max(initial=0))
        ]
        if place < 0 or not who.size:
            continue
        there = course.who["layer"][who] == SHELTER
        guests[place] += who.size
        infected[place] += there.sum()
        ill[place] += (there & (course.who["severe_day"][who] >= 0)).sum()
        if there.any():
            first[place] = min(first[place], float(course.who["infected_day"][who][there].min()))
    at = guests > 0
    share[at] = infected[at] / guests[at]
    severe[at] = ill[at] / (guests + living)[at]
    return Outbreaks(share, first, severe)
