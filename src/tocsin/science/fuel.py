"""What burns: the 13 fuel models of Anderson and the 40 of Scott and Burgan, and how live grass turns to dead fuel as it cures.

Sources: Anderson 1982, USDA Forest Service INT-122 (numbers of the 13, as in Albini 1976, INT-30); Scott & Burgan 2005, RMRS-GTR-153. `fuels.csv`
holds them in the units in which they are printed, so that each number can be looked up. They were taken from a copy in the public domain, the
`behave` source of the Missoula Fire Sciences Laboratory (fuelModels.cpp), and compared with a second copy made by others (pyretechnics). The two
differ in three ways that are decided here: the live load of models 4, 5, 7 and 10 is woody (pyretechnics has it as herbaceous, with the same surface); the
surface of the live fuel of model 7 is 1,500 per ft (pyretechnics: 1,550, which changes its spread by less than 1 %); 160 per ft for a class of TL5
that has no load is a slip of the copy. The printed reports themselves could not be opened.

A fuel model describes a uniform bed on the ground. Nothing here knows of houses, crops under irrigation, or peat.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]

UNBURNABLE = (91, 92, 93, 98, 99)  # Scott & Burgan: urban, snow or ice, agricultural, open water, bare ground
DEAD_1H, DEAD_10H, DEAD_100H, DEAD_HERBACEOUS, LIVE_HERBACEOUS, LIVE_WOODY = range(6)  # the order of classes everywhere
POUNDS_PER_FT2 = 2000.0 / 43_560.0  # of a short ton per acre
SAV_10H_PER_FT, SAV_100H_PER_FT = 109.0, 30.0  # Rothermel 1972; the same in all models
GREEN_FROM, CURED_BELOW = 1.20, 0.30  # Scott & Burgan 2005: live herbaceous moisture, share of dry weight; linear between


class Fuels(NamedTuple):
    """Fuel models as columns, in the order of `number`; classes in the order of `DEAD_1H` .. `LIVE_WOODY`."""

    number: NDArray[np.int64]
    code: tuple[str, ...]
    name: tuple[str, ...]
    depth_ft: Floats
    extinction: Floats  # moisture of dead fuel at which nothing spreads, share of dry weight
    heat_btu_per_lb: Floats
    load_lb_per_ft2: Floats  # (fuel, 6), nothing cured
    surface_per_ft: Floats  # (fuel, 6) surface to volume
    is_dynamic: NDArray[np.bool_]


@cache
def fuels() -> Fuels:
    """All fuel models that burn.

    >>> fuels().code[0], fuels().number.size
    ('FM1', 53)
    """
    with files("tocsin.science").joinpath("fuels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    def column(name: str) -> Floats:
        return np.array([float(row[name]) for row in rows])

    scale = np.array([POUNDS_PER_FT2 if row["unit"] == "t/ac" else 1.0 for row in rows])
    none, same = np.zeros(len(rows)), np.ones(len(rows))
    loads = [column("dead_1h"), column("dead_10h"), column("dead_100h"), none, column("live_herbaceous"), column("live_woody")]
    herbaceous = column("sav_herbaceous_per_ft")
    surface = [
        column("sav_1h_per_ft"),
        SAV_10H_PER_FT * same,
        SAV_100H_PER_FT * same,
        herbaceous,
        herbaceous,
        column("sav_woody_per_ft"),
    ]
    table = Fuels(
        np.array([int(row["number"]) for row in rows]),
        tuple(row["code"] for row in rows),
        tuple(row["name"] for row in rows),
        column("depth_ft"),
        column("extinction_pct") / 100.0,
        column("heat_btu_per_lb"),
        np.column_stack(loads) * scale[:, None],
        np.column_stack(surface),
        np.array([row["sort"] == "dynamic" for row in rows]),
    )
    for values in table:
        if isinstance(values, np.ndarray):
            values.setflags(write=False)
    return table


def rows_of(number: ArrayLike) -> NDArray[np.int64]:
    """Which row of `fuels()` each fuel model number has; -1 for ground that does not burn. Raises InputError for a number that is no model.

    >>> rows_of([1, 101, 98]).tolist()
    [0, 13, -1]
    """
    wanted = np.asarray(number)
    told = np.rint(np.nan_to_num(np.asarray(wanted, np.float64), nan=-1.0)).astype(np.int64)
    known = np.full(257, -2, np.int64)
    known[fuels().number] = np.arange(fuels().number.size)
    known[list(UNBURNABLE)] = -1
    inside = (told >= 0) & (told <= 256) & (told == wanted)
    rows: NDArray[np.int64] = np.where(inside, known[np.where(inside, told, 0)], -2)
    if (rows == -2).any():
        raise InputError(
            f"fuel model {wanted[rows == -2].flat[0]:g}: wanted 1..13 (Anderson), a number of Scott & Burgan ({', '.join(fuels().code[13:16])} .. "
            f"are 101, 102, 103 ..), or {', '.join(map(str, UNBURNABLE))} for ground that does not burn"
        )
    return rows


def cured_share(live_herbaceous: ArrayLike) -> Floats:
    """Share of the live herbaceous load of a dynamic model that counts as dead, from its moisture (share of dry weight).

    All of it below 30 %, none from 120 % on. Source: Scott & Burgan 2005, RMRS-GTR-153.
    >>> cured_share([0.3, 0.75, 1.2]).round(6).tolist()
    [1.0, 0.5, 0.0]
    """
    return np.clip((GREEN_FROM - np.asarray(live_herbaceous, np.float64)) / (GREEN_FROM - CURED_BELOW), 0.0, 1.0)
