"""What a fire takes out, and what that takes out in turn: a burnt substation darkens the pumps, the masts and the hospital.

No published curve says from which fireline intensity on an installation fails: every row is ours and `unverified`.
"""

from __future__ import annotations

from tocsin.pack.chain import ChainPart, Exposure
from tocsin.pack.lifelines import LIFELINES
from tocsin.packs.wildfire.quantities import FIRELINE_INTENSITY
from tocsin.vocabulary import Curve

ASSUMED = "planning assumption of Tocsin (unverified)"
PROTECT = ("protect_asset",)


def _fails(points: tuple[tuple[float, float], ...], why: str) -> Curve:
    return Curve(
        FIRELINE_INTENSITY,
        points,
        source=f"{ASSUMED}: {why}",
        valid="a front that comes up to the installation; not smoke, which also trips lines, and not embers",
        unverified=True,
    )


CHAIN: tuple[ChainPart, ...] = (
    *LIFELINES,
    Exposure(
        "substations",
        _fails(((0.0, 0.0), (346.0, 0.2), (1_730.0, 0.8)), "gravel keeps a low fire out, a high one trips or burns it"),
        PROTECT,
    ),
    Exposure("pumping_stations", _fails(((0.0, 0.0), (1_730.0, 0.5)), "its wires and doors burn"), PROTECT),
    Exposure("water_works", _fails(((0.0, 0.0), (1_730.0, 0.3)), "mostly concrete; its power fails first"), PROTECT),
    Exposure("masts", _fails(((0.0, 0.0), (346.0, 0.3), (1_730.0, 0.9)), "cables and antennas burn"), PROTECT),
    Exposure(
        "hospitals",
        _fails(((0.0, 0.0), (1.0, 1.0)), "a hospital that a fire reaches is lost, as in the comparison of plans"),
        PROTECT,
    ),
)
