"""How PyVRP searches for tours: with parameters that fit the time there is, and penalties that begin where they matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyvrp import IteratedLocalSearchParams, PenaltyParams, ProblemData, SolveParams
from pyvrp.search import NeighbourhoodParams

SHORT_S, SHORT_NEIGHBOURS, SHORT_HISTORY = 20.0, 15, 150  # chosen by measurement: docs/benchmarks.md


@dataclass
class Penalties(PenaltyParams):
    """Penalties that begin with a usual way for each unit too much or second too late, and may still rise to PyVRP's own bound.

    PyVRP begins with 50,000 for a unit too much and falls by a tenth every 500 steps: a short search is over before it is worth to try a tour
    that is slightly too full on the way to a better one.
    """

    def midpoint_penalties(self, data: ProblemData) -> tuple[list[float], float, float]:
        """The first penalty of each kind: never above PyVRP's."""
        loads, late, far = super().midpoint_penalties(data)
        ways = [matrix[matrix > 0] for matrix in map(np.asarray, data.distance_matrices())]
        first = max([self.min_penalty, *(float(np.median(way)) for way in ways if way.size)])
        return [min(load, first) for load in loads], min(late, first), min(far, first)


def search_params(seconds: float) -> SolveParams:
    """PyVRP's parameters for a search of so long: for a short one fewer neighbours and a shorter memory, so that it settles in time.

    After 5 s of processor time on 500 stops (six seeds, a quiet machine: docs/benchmarks.md) 15 neighbours and a memory of 150 steps left tours 4 %
    shorter than PyVRP's own 50 and 300; where there is time, its own explore more.
    """
    if seconds > SHORT_S:
        return SolveParams()
    return SolveParams(
        ils=IteratedLocalSearchParams(history_length=SHORT_HISTORY),
        neighbourhood=NeighbourhoodParams(num_neighbours=SHORT_NEIGHBOURS),
        penalty=Penalties(),
    )
