"""What an epidemic takes out: hospitals that are full; and what brings one on: people crowded in a shelter.

Another hazard's chain reaches these by the kinds of assets alone: a flood that fills shelters, a fire that takes a substation. Thresholds and
chances are planning assumptions, marked `unverified`.
"""

from __future__ import annotations

from tocsin.pack import LIFELINES, ChainPart, Exposure, Link, Spread
from tocsin.packs.epidemic.quantities import INFECTED_SHARE, SEVERE_SHARE, SHELTER_INFECTED
from tocsin.vocabulary import Curve

ASSUMED = "planning assumption of Tocsin (unverified)"

CHAIN: tuple[ChainPart, ...] = (
    *LIFELINES,
    Exposure(
        "hospitals",
        Curve(
            SEVERE_SHARE,
            ((0.005, 0.0), (0.02, 1.0)),
            source=f"{ASSUMED}: a hospital takes in nobody else once one in 50 people around it fell severely ill in the run",
            valid="towns with some beds for 1,000 people; says nothing of staff that is ill itself",
            unverified=True,
        ),
        ("surge_beds",),
    ),
    Exposure(
        "shelters",
        Curve(
            INFECTED_SHARE,
            ((0.01, 0.0), (0.1, 0.5)),
            source=f"{ASSUMED}: a shelter is closed by an outbreak in half of the cases where one in ten people around it was infected",
            valid="crowded halls without tests at the door",
            unverified=True,
        ),
        ("test", "trace_contacts"),
    ),
    Exposure(
        "shelters",
        Curve(
            SHELTER_INFECTED,
            ((0.02, 0.0), (0.2, 1.0)),
            source=f"{ASSUMED}: a shelter in which one in five guests was infected takes in nobody else",
            valid="shelters that people of another hazard fill; told at the shelter where the run puts them",
            unverified=True,
        ),
        ("space_shelters", "test"),
    ),
    Link(
        "an outbreak in a shelter fills the hospital",
        "shelters",
        "hospitals",
        f"{ASSUMED}: in one of five outbreaks the nearest hospital closes its doors, one to two weeks later",
        probability=0.2,
        delay_h=Spread(7 * 24.0, 10 * 24.0, 14 * 24.0),
        reach_m=5_000.0,
        broken_by=("surge_beds", "vaccinate"),
    ),
)
