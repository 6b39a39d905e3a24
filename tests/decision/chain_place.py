"""A place of a street and five assets, and two packs that know nothing of each other, for the tests of risk chains."""

from __future__ import annotations

import msgspec
import numpy as np

from tocsin.pack import Exposure, Harm, Link, Pack, Service
from tocsin.pack.chain import ChainPart
from tocsin.pack.model import Spread
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Assets, Curve, Dependency, Footprint, Quantity, column

WATER = Quantity("flood_depth", "m", 0.0, 100.0)
FIRE = Quantity("fireline_intensity", "kW/m", 0.0, 1e6)
HOURS_12 = 12 * 3600.0

# id -> place in the grid of 4 x 6 cells of 10 m
ASSETS = {
    "substations": {"west": 0, "east": 5},
    "pumping_stations": {"pump": 7},
    "hospitals": {"clinic": 9},
    "power_lines": {"span": 17},
}


class Town(TinyWorld):
    """The tiny world with assets; `told` is what its utilities say."""

    def __init__(self, *told: Dependency, empty: bool = False) -> None:
        super().__init__()
        self._told, self._empty = told, empty

    def assets(self, kind: str) -> Assets:
        if kind not in ASSETS:
            return super().assets(kind)
        places = np.array(list(ASSETS[kind].values()), np.int64)
        x_m, y_m = self.grid.centre(places)
        ids = tuple(ASSETS[kind])
        return Assets(
            kind,
            "persons",
            ids,
            tuple(one.title() for one in ids),
            ids,
            column(x_m, np.float64),
            column(y_m, np.float64),
            column(places, np.int64),
            column(np.zeros(len(ids)), np.float64),
        )

    def people(self, hour: float) -> np.ndarray:
        return super().people(hour) * (0.0 if self._empty else 1.0)

    def dependencies(self) -> tuple[Dependency, ...]:
        return self._told


def curve(quantity: Quantity, *points: tuple[float, float]) -> Curve:
    return Curve(quantity, points, source="made up for a test", valid="nowhere")


def harm(quantity: Quantity) -> Harm:
    return Harm(quantity, 0.3, "made up for a test", None, {}, {}, "EUR", "none")


def pack(hazard: str, quantity: Quantity, *chain: ChainPart) -> Pack:
    return Pack(hazard, (), (), (), harm(quantity), lambda world: (), chain=chain)


POWER_TO_PUMPS = Link(
    "power for pumps", "substations", "pumping_stations", "made up", delay_h=Spread(1.0, 1.0, 1.0), broken_by=("bring_generator",)
)
PUMP_TO_CLINIC = Link(
    "pumps for clinics", "pumping_stations", "hospitals", "made up", endurance_h=Spread(2.0, 2.0, 2.0), held_by=("fill_tanks",)
)
SERVICES = (
    Service("people_without_power", "substations", "whose nearest substation is out"),
    Service("people_without_nearest_hospital", "hospitals", "whose nearest hospital is out"),
)
FLOOD = pack(
    "water",
    WATER,
    Exposure("substations", curve(WATER, (0.0, 0.0), (1.0, 1.0)), ("protect_asset",)),
    POWER_TO_PUMPS,
    PUMP_TO_CLINIC,
    *SERVICES,
)
WILDFIRE = pack(
    "fire",
    FIRE,
    Exposure("power_lines", curve(FIRE, (100.0, 0.0), (200.0, 1.0))),
    Link("lines feed substations", "power_lines", "substations", "made up", broken_by=("switch_feeder",)),
)


def footprint(quantity: Quantity, peaks: dict[int, float], *, futures: int = 1, arrival_s: float = 3600.0) -> Footprint:
    """A hazard that comes to some places, with the same peak in each future."""
    peak = np.zeros((futures, 24), np.float32)
    arrival = np.full((futures, 24), np.inf, np.float32)
    for place, value in peaks.items():
        peak[:, place] = value
        arrival[:, place] = arrival_s
    end = np.where(np.isfinite(arrival), np.float32(HOURS_12), np.float32(np.inf))
    return Footprint(quantity, HOURS_12, peak, arrival, end)


def changed(link: Link, **changes: object) -> Link:
    return msgspec.structs.replace(link, **changes)
