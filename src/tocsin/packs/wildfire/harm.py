"""What a wildfire does to people, streets and houses. Numbers that nobody published for this use are marked unverified."""

from __future__ import annotations

from tocsin.pack import Harm
from tocsin.packs.wildfire.quantities import FIRELINE_INTENSITY
from tocsin.vocabulary import Curve

HOUSES = Curve(
    FIRELINE_INTENSITY,
    ((0.0, 0.0), (346.0, 0.1), (1_730.0, 0.5), (10_000.0, 0.9)),
    source="planning assumption of Tocsin (unverified): a house that a front reaches burns down in one case of ten where crews with hand tools can work at the front, in nine of ten where "
    "nobody can",
    valid="says nothing of how a house is built or kept clear, nor of embers, which light most houses that burn",
    unverified=True,
)

ROAD_SPEED = Curve(
    FIRELINE_INTENSITY,
    ((0.0, 0.0), (10.0, 1.0)),
    source="planning assumption of Tocsin (unverified): nobody drives through a front, nor on over ground that has burnt",
    valid="flames only; smoke closes streets far ahead of them and is not in it",
    unverified=True,
)

HARM = Harm(
    danger=FIRELINE_INTENSITY,
    danger_from=0.0,
    danger_source="a choice of Tocsin, on the cautious side: wherever flames come, all who are there are in danger",
    road_speed=ROAD_SPEED,
    damage={"residential": HOUSES, "commercial": HOUSES, "industrial": HOUSES},
    worth_per_m2={"residential": 867.03, "commercial": 935.34, "industrial": 633.37},
    worth_unit="EUR",
    worth_source="Huizinga, de Moel & Szewczyk 2017, JRC105688, construction cost per m2 of floor, Brazil, 2010 prices; the structure alone",
    words={"people_in_danger": "people whom the fire reaches"},
    # 346, 1,730 and 3,459 kW/m are the 100, 500 and 1,000 Btu/ft/s of the fire characteristics chart (Andrews & Rothermel 1982, INT-131); the others are for the eye
    shown_from=(1.0, 346.0, 1_730.0, 3_459.0, 10_000.0, 30_000.0),
)
