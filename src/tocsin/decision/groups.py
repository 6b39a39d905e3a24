"""Groups of people who are hit harder than others, as far as the twin knows them: where they are, and what is not known.

The Sendai Framework for Disaster Risk Reduction 2015-2030 asks that age, disability and poverty be looked at in every plan; a twin knows of those only
what has a layer or a place. Groups overlap, and they do not sum to all.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.impact import Ways, ways_of
from tocsin.vocabulary import Assets, NotFound, Quantity, World

Floats = NDArray[np.float64]

# Places where people are in care, with the hours in which they are there; their number is the twin's capacity of each, taken as full.
SCHOOL_H = (8.0, 16.0)
CARE = {"in hospitals": "hospitals", "in nursing homes": "nursing_homes", "at school": "schools"}
# Where they live, as a field of persons in each cell or as points with an amount of persons (`twin build --assets people_over_65=cells.csv`).
LAYERS = {
    name: Quantity(f"people_{name.replace(' ', '_')}", "persons", low=0.0)
    for name in ("under 15", "over 65", "with disability", "low income")
}


class Groups(msgspec.Struct, frozen=True):
    """Names of groups, their people (place, group), and in words what the twin does not know."""

    names: tuple[str, ...]
    people: Floats
    missing: tuple[str, ...]


def groups_of(world: World, *, hour: float, ways: Ways | None = None) -> Groups:
    """The vulnerable groups of a world at an hour of the local day. A group that the twin has no layer for is missing, and is said to be."""
    columns: dict[str, Floats] = {}
    missing: list[str] = []
    for name, kind in CARE.items():
        if kind == "schools" and not SCHOOL_H[0] <= hour < SCHOOL_H[1]:
            continue
        assets = world.assets(kind)
        persons = _persons(assets, world.grid.cells)
        if persons.sum() > 0:
            columns[name] = persons
        else:
            what = "no capacity of its" if len(assets) else "no"
            missing.append(f"{name} (the twin has {what} {kind.replace('_', ' ')})")
    for name, layer in LAYERS.items():
        persons = _layer(world, layer)
        if persons.sum() > 0:
            columns[name] = persons
        else:
            missing.append(f"{name} (no layer {layer.name})")
    if len(world.roads):
        no_way = np.where((ways or ways_of(world)).known, 0.0, world.people(hour))
        if no_way.sum() > 0:
            columns["without a street out"] = no_way
    people = np.column_stack(list(columns.values())) if columns else np.zeros((world.grid.cells, 0))
    return Groups(tuple(columns), people, tuple(missing))


def _layer(world: World, layer: Quantity) -> Floats:
    try:
        return np.nan_to_num(world.field(layer).astype(np.float64).reshape(-1)).clip(0.0)
    except NotFound:
        return _persons(world.assets(layer.name), world.grid.cells)


def _persons(assets: Assets, cells: int) -> Floats:
    inside = (assets.place >= 0) & np.isfinite(assets.amount) & (assets.amount > 0)
    if assets.unit != "persons" or not inside.any():
        return np.zeros(cells)
    return np.bincount(assets.place[inside], assets.amount[inside], minlength=cells).astype(np.float64)
