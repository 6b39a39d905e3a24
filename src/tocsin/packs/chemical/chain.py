"""What gas takes out, and what makes a tank leak: a flood floats a tank, its gas shuts a hospital.

Every number is a planning assumption and marked so. Packs meet in the name and unit of a quantity (`flood_depth`) and in kinds of assets (`tanks`).
"""

from __future__ import annotations

from tocsin.pack.chain import ChainPart, Exposure, Link
from tocsin.pack.lifelines import ASSUMED, LIFELINES
from tocsin.pack.model import Spread
from tocsin.packs.chemical.harm import HARM
from tocsin.packs.chemical.quantities import AEGL2_SHARE, FLOOD_DEPTH
from tocsin.vocabulary import Curve

CHAIN: tuple[ChainPart, ...] = (
    *LIFELINES,
    Exposure(
        "hospitals",
        Curve(
            AEGL2_SHARE,
            ((1.0, 0.0), (1.01, 1.0)),
            source=f"as in the comparison of plans, a hospital that stands in danger is lost to who is not in it: {HARM.danger_source}",
            valid="a choice of Tocsin: nobody is brought through the cloud; says nothing of those inside",
            unverified=True,
        ),
        ("seal_building",),
    ),
    Exposure(
        "tanks",
        Curve(
            FLOOD_DEPTH,
            ((0.5, 0.0), (2.0, 1.0)),
            source=f"{ASSUMED}: an unanchored tank that is not full floats in water of 0.5 to 2 m and tears its pipes",
            valid="upright tanks on the ground without anchors; anchored, full or walled ones stand longer",
            unverified=True,
        ),
        ("protect_asset",),
    ),
    Link(
        "gas of a leaking tank shuts hospitals near it",
        "tanks",
        "hospitals",
        f"{ASSUMED}: three in ten leaks drift towards a hospital within 1 km",
        probability=0.3,
        delay_h=Spread(0.1, 0.3, 1.0),
        reach_m=1_000.0,
        broken_by=("seal_building",),
    ),
)
