"""Whom a hazard drives into which shelter, in each of its futures: what another hazard that spreads among crowded people takes as its forcing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tocsin.decision.impact import in_danger
from tocsin.pack import Harm
from tocsin.vocabulary import Footprint, InputError, Series, World

Floats = NDArray[np.float64]


def sheltered_in(
    world: World, footprint: Footprint, harm: Harm, *, hour: float, share: float, stay_s: float
) -> list[Mapping[str, Series]]:
    """Persons in each shelter over time, by the shelter's id, in each future; stepwise, seconds after the start.

    Of those whose place comes into danger, `share` ask for a public shelter. They go to the nearest one, as the crow flies, that is never in
    danger itself and has places left, who lives nearest first; from when the first of a shelter's guests would be reached until `stay_s` later.
    Who finds no place goes elsewhere and is in none. Raises InputError where the twin has no shelters with places.
    """
    if not (0.0 < share <= 1.0 and stay_s > 0.0):
        raise InputError(f"shelters: share {share}, a stay of {stay_s} s; wanted above 0, and a share of at most 1")
    found = world.assets("shelters")
    if not (len(found) and (found.amount > 0).any()):
        raise InputError(
            "shelters: the twin has none with places; build it with --assets shelters=FILE, in which `amount` says how many persons"
        )
    people = np.asarray(world.people(hour), np.float64)
    told: list[Mapping[str, Series]] = []
    for member in range(footprint.members):
        danger = in_danger(footprint, harm, member)
        room = np.where((found.place >= 0) & ~danger[np.maximum(found.place, 0)], found.amount.astype(np.float64), 0.0)
        leaving = np.flatnonzero(danger & (people > 0))
        x_m, y_m = world.grid.centre(leaving)
        apart = np.hypot(x_m[:, None] - found.x_m[None, :], y_m[:, None] - found.y_m[None, :])
        guests, from_s = np.zeros(len(found)), np.full(len(found), np.inf)
        asking = people[leaving] * share
        for pair in np.argsort(apart, axis=None, kind="stable").tolist():
            row, k = divmod(pair, len(found))
            goes = min(asking[row], room[k])
            if goes > 0.0:
                asking[row] -= goes
                room[k] -= goes
                guests[k] += goes
                from_s[k] = min(from_s[k], float(footprint.arrival_s[member, leaving[row]]))
        told.append(
            {found.id[k]: _stay(float(guests[k]), float(from_s[k]), stay_s) for k in range(len(found)) if found.amount[k] > 0}
        )
    return told


def _stay(persons: float, from_s: float, stay_s: float) -> Series:
    if persons <= 0.0:
        return Series.constant(0.0)
    if from_s <= 0.0:
        return Series.of([0.0, stay_s], [persons, 0.0])
    return Series.of([0.0, from_s, from_s + stay_s], [0.0, persons, 0.0])
