"""What water takes out, and what that takes out in turn: a flooded substation stops a pump, which floods an underpass.

Where each thing fails is read from the damage tables of Hazus (FEMA): they give damage and not failure, so the step from one to the other is
ours, and every curve is marked `unverified`. Depth is that of the twin's cell, not above the asset's own floor.
"""

from __future__ import annotations

from tocsin.pack.chain import ChainPart, Exposure, Link
from tocsin.pack.lifelines import LIFELINES
from tocsin.pack.model import Spread
from tocsin.packs.flood.harm import DANGER_FROM_M, HARM
from tocsin.packs.flood.quantities import FLOOD_DEPTH
from tocsin.vocabulary import Curve

FOOT_M = 0.3048
HAZUS = "FEMA, Hazus flood model, table flUtilFltyDmgFn"
RAISED = f"{HAZUS}, PPPM/PWTM above grade: all equipment raised 3 feet, the damage reaches its most (40 %) at 6 ft"
PROTECT = ("protect_asset",)


def _fails(points_ft: tuple[tuple[float, float], ...], source: str) -> Curve:
    return Curve(
        FLOOD_DEPTH,
        tuple((round(depth_ft * FOOT_M, 4), chance) for depth_ft, chance in points_ft),
        source=source,
        valid="installations as common in the USA, on the ground; the probability between first and full damage is our interpolation",
        unverified=True,
    )


CHAIN: tuple[ChainPart, ...] = (
    *LIFELINES,
    Exposure(
        "substations",
        _fails(
            ((0.0, 0.0), (4.0, 1.0)),
            f"{HAZUS}, ESSH/ESSM/ESSL: the control room is damaged from grade on; out of function from 4 ft (technical manual, table 7.9, as "
            "others quote it: the manual itself could not be opened)",
        ),
        PROTECT,
    ),
    Exposure(
        "pumping_stations",
        _fails(
            ((3.0, 0.0), (4.0, 1.0)),
            f"{HAZUS}, PPPM below grade: the entrance is 3 ft above grade, damage 0 at 3 ft and 40 % at 4 ft",
        ),
        PROTECT,
    ),
    Exposure("water_works", _fails(((3.0, 0.0), (6.0, 1.0)), RAISED), PROTECT),
    Exposure(
        "hospitals",
        Curve(
            FLOOD_DEPTH,
            ((DANGER_FROM_M, 0.0), (DANGER_FROM_M + 0.01, 1.0)),
            source=f"as in the comparison of plans, a hospital that stands in danger is lost: {HARM.danger_source}",
            valid="a choice of Tocsin: people cannot walk in or out; says nothing of the building's own defences",
            unverified=True,
        ),
        PROTECT,
    ),
    Exposure(
        "underpasses",
        Curve(
            FLOOD_DEPTH,
            ((0.0, 0.0), (0.3, 1.0)),
            source="Pregnolato et al. 2017, doi:10.1016/j.trd.2017.06.020: nothing drives from 300 mm on; linear below is ours",
            valid="cars; the depth of the cell, as the terrain has it, not of the underpass's own floor",
            unverified=True,
        ),
        ("pump_out",),
    ),
    Link(
        "pumps keep underpasses dry",
        "pumping_stations",
        "underpasses",
        "planning assumption of Tocsin (unverified): rain and seepage fill an underpass in 1 to 6 h without its pump, in 8 of 10 floods",
        probability=0.8,
        delay_h=Spread(1.0, 3.0, 6.0),
        reach_m=3_000.0,
        broken_by=("pump_out",),
    ),
    Link(
        "underpasses lead to hospitals",
        "underpasses",
        "hospitals",
        "planning assumption of Tocsin (unverified): in a third of the cases no other way is found in time; the twin's own links say better",
        probability=0.33,
        delay_h=Spread(0.0, 0.5, 1.0),
        reach_m=1_000.0,
        broken_by=("open_way",),
    ),
)
