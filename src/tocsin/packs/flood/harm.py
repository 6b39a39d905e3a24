"""What a flood does to people, streets and houses. Each number names its publication.

The damage factors are those of the workbook of Huizinga, de Moel & Szewczyk 2017, as three independent machine-readable copies of it agree
on (CLIMADA petals, physrisk of os-climate, and a third); the workbook itself could not be opened when they were entered.
"""

from __future__ import annotations

from tocsin.pack import Harm
from tocsin.packs.flood.quantities import FLOOD_DEPTH
from tocsin.vocabulary import Curve

JRC = "Huizinga, de Moel & Szewczyk 2017, Global flood depth-damage functions, JRC105688, doi:10.2760/16510"
DEPTHS_M = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0)
# fmt: off
FACTORS: dict[str, dict[str, tuple[float, ...]]] = {
    "europe": {
        "residential": (0.0, 0.25, 0.40, 0.50, 0.60, 0.75, 0.85, 0.95, 1.0),
        "commercial": (0.0, 0.15, 0.30, 0.45, 0.55, 0.75, 0.90, 1.0, 1.0),
        "industrial": (0.0, 0.15, 0.27, 0.40, 0.52, 0.70, 0.85, 1.0, 1.0),
    },
    "south_america": {
        "residential": (0.0, 0.490886, 0.711294, 0.842026, 0.949369, 0.983637, 1.0, 1.0, 1.0),
        "commercial": (0.0, 0.611478, 0.839531, 0.923588, 0.991972, 1.0, 1.0, 1.0, 1.0),
        "industrial": (0.0, 0.667019, 0.888713, 0.946737, 1.0, 1.0, 1.0, 1.0, 1.0),
    },
    "asia": {
        "residential": (0.0, 0.326557, 0.494050, 0.616572, 0.720712, 0.869528, 0.931487, 0.983604, 1.0),
        "commercial": (0.0, 0.376790, 0.537682, 0.659337, 0.762845, 0.883349, 0.941855, 0.980759, 1.0),
        "industrial": (0.0, 0.283182, 0.481616, 0.629219, 0.717241, 0.856675, 0.908577, 0.955327, 1.0),
    },
}
# fmt: on


def damage_curves(region: str) -> dict[str, Curve]:
    """Depth-damage curves by sort of building, for `europe`, `south_america` or `asia`."""
    return {
        sort: Curve(
            FLOOD_DEPTH,
            tuple(zip(DEPTHS_M, factors, strict=True)),
            source=f"{JRC}, damage functions, {sort}, {region.replace('_', ' ')}",
            valid="standing water in buildings, a whole region's mean; single houses differ widely; flood duration, speed and debris are not in it",
        )
        for sort, factors in FACTORS[region].items()
    }


# v(w) = 0.0009 w^2 - 0.5529 w + 86.9448 km/h, w in mm, and nothing drives from 300 mm on: the share of the speed that is lost, at every
# 25 mm. The parabola itself does not reach zero (2 km/h at 300 mm), so the last point is the paper's cut and not its formula.
_ROAD_MM = tuple(range(0, 300, 25))
ROAD_SPEED = Curve(
    FLOOD_DEPTH,
    (*((w / 1000.0, 1.0 - (0.0009 * w**2 - 0.5529 * w + 86.9448) / 86.9448) for w in _ROAD_MM), (0.3, 1.0)),
    source="Pregnolato, Ford, Wilkinson & Dawson 2017, Transp. Res. D 55:67-81, doi:10.1016/j.trd.2017.06.020, depth-disruption function",
    valid="cars in standing water up to 300 mm; not for moving water, trucks or emergency vehicles; coefficients as several copies agree on",
)

DANGER_FROM_M = 0.3

HARM = Harm(
    ramp="cool",
    shown_as="depth of water",
    over_water=False,
    danger=FLOOD_DEPTH,
    danger_from=DANGER_FROM_M,
    danger_source="Smith, Davey & Cox 2014, Flood hazard, WRL TR 2014/07 (Australian Rainfall and Runoff): above class H1, depth 0.3 m",
    road_speed=ROAD_SPEED,
    damage=damage_curves("south_america"),
    worth_per_m2={"residential": 867.03, "commercial": 935.34, "industrial": 633.37},
    worth_unit="EUR",
    worth_source=f"{JRC}, construction cost per m2 of floor, Brazil, 2010 prices; the structure alone",
    words={
        "people_cut_off": "people cut off (dry, no way out)",
        "hospitals_lost": "hospitals under water or cut off",
        "shelters_lost": "shelters under water or cut off",
        "schools_lost": "schools under water or cut off",
        "buildings_affected": "buildings flooded",
    },
)
