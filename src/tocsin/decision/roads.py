"""How long crews drive in a place, with the streets that a hazard slows or closes: the world's road graph as a network with times."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.impact import closing_s
from tocsin.pack import Harm
from tocsin.science.travel import Network, Travelled, travel_times_s
from tocsin.vocabulary import Footprint, InputError, World

Floats = NDArray[np.float64]
CAUTION = 0.1  # a street counts as closed from when a tenth of the futures close it: a planning choice of ours, `unverified`
SLOWEST = 0.02  # of the dry speed: a street that is slower is closed anyway, at its own moment


class Drive(msgspec.Struct, frozen=True):
    """A world's streets as they are driven: seconds for each edge, (edge,), and when each closes, s after the forecast's start."""

    network: Network
    edge_s: Floats
    closes_s: Floats
    node_x_m: Floats
    node_y_m: Floats

    def nearest(self, x_m: Floats, y_m: Floats) -> NDArray[np.int64]:
        """The node nearest to each point."""
        from scipy.spatial import cKDTree

        return np.asarray(
            cKDTree(np.column_stack([self.node_x_m, self.node_y_m])).query(np.column_stack([x_m, y_m]))[1], np.int64
        )

    def times(
        self,
        sources: NDArray[np.int64],
        targets: NDArray[np.int64],
        *,
        departure_s: float = 0.0,
        with_ways: bool = False,
        threads: int = 1,
    ) -> Travelled:
        """Seconds from node to node for who leaves at `departure_s`; +inf where no way is open for long enough."""
        return travel_times_s(
            self.network,
            self.edge_s,
            sources,
            targets,
            closes_s=self.closes_s,
            departure_s=departure_s,
            with_ways=with_ways,
            threads=threads,
        )


def drive_of(world: World, harm: Harm, footprint: Footprint | None = None, *, caution: float = CAUTION) -> Drive:
    """The streets as crews meet them: dry without a footprint, else as slow as in the worst, and closed as early as in the earliest `caution` of the futures.

    A street that closes is driven at its dry speed until then; one that is only slowed is slow all along: caution again. Raises InputError where
    the twin has no streets.
    """
    roads = world.roads
    if not len(roads):
        raise InputError("travel times: the twin has no streets; build it with --roads")
    if not 0.0 <= caution < 1.0:
        raise InputError(f"travel times: caution {caution}; wanted 0 (the worst future counts) to less than 1")
    if (roads.speed_km_per_h <= 0).any():
        raise InputError("travel times: a street has a speed of 0; correct the twin's roads")
    edge_s = roads.length_m / (roads.speed_km_per_h / 3.6)
    closes_s = np.full(len(roads), np.inf)
    if footprint is not None and harm.road_speed is not None:
        closes = np.array([closing_s(roads, harm, footprint.peak[m], footprint.arrival_s[m]) for m in range(footprint.members)])
        closes_s = np.quantile(closes, caution, axis=0, method="lower")
        came = np.where(np.isfinite(footprint.arrival_s), footprint.peak, np.float32(0.0))
        worst = np.quantile(came, 1.0 - caution, axis=0, method="higher")
        lost = harm.road_speed.share(roads.worst_along(worst))
        edge_s = np.where(np.isfinite(closes_s), edge_s, edge_s / np.maximum(1.0 - lost, SLOWEST))
    return Drive(Network.of(roads.source, roads.target, roads.node_x_m.size), edge_s, closes_s, roads.node_x_m, roads.node_y_m)
