"""Tours improved a part of the town at a time: neighbouring tours are a small task of their own, and what it finds is never worse.

Tours near each other are taken together until they serve `PART_STOPS` stops; each such part is searched from its present tours, all are put
together again, and the next round cuts them elsewhere: POPMUSIC (Taillard & Voss 2002), here with whole tours cut by how near they are to each
other, as in Santini, Schneider, Vidal & Vigo 2023 (INFORMS J. Comput. 35(3):543-559). A part is cheap to search, and parts can be searched side
by side. The answer depends on the seed and the number of steps, never on how many workers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import msgspec
import numpy as np
import pyvrp
from numpy.typing import NDArray

from tocsin.decision.tour_search import search_params
from tocsin.host import Compute, Fault

Row = tuple[int, tuple[int, ...]]  # a sort of vehicle, and the stops of one of it in order
PART_STOPS, PART_STEPS = 200, 1_000  # chosen by measurement: docs/benchmarks.md
SHORTEST_S = 0.02  # below it, setting a part up takes longer than searching it


class Part(msgspec.Struct, frozen=True):
    """Neighbouring tours as (sort of vehicle, its stops in order), the vehicles of each sort that they may have, and how long to search."""

    tours: tuple[Row, ...]
    vehicles: dict[int, int]
    seed: int
    steps: int
    seconds: float


class Ground(msgspec.Struct, frozen=True):
    """What all parts share: the whole task, how long the search for all is (its parameters fit that), and the clock that counts the seconds."""

    data: pyvrp.ProblemData
    about_s: float
    clock: Callable[[], float]


class Budget(msgspec.Struct):
    """What is left of a search: so many steps, or so long."""

    seconds: float
    steps: int | None


def improve(
    ground: Ground, solution: pyvrp.Solution, budget: Budget, *, seed: int, compute: Compute | None = None
) -> tuple[pyvrp.Solution, int]:
    """The tours after as many rounds of parts as the budget allows, and the steps that they took: never worse than `solution`, which is feasible."""
    data, steps, number = ground.data, 0, 0
    until_s, workers = ground.clock() + budget.seconds, 1 if compute is None else compute.workers
    rng = np.random.default_rng(seed)
    tours = _tours(solution)
    between = _between_stops(data)
    while True:
        parts = _cut(tours, between, rng)
        if len(parts) < 2:
            break
        if budget.steps is None:
            each_steps, each_s = PART_STEPS, (until_s - ground.clock()) / -(-len(parts) // workers)
        else:
            each_steps, each_s = min(PART_STEPS, (budget.steps - steps) // len(parts)), np.inf
        if each_steps < 1 or each_s < SHORTEST_S:
            break
        spare = _spare(data, tours, len(parts), rng)
        asked = [
            Part(part, _count(part, more), seed + number + k + 1, each_steps, each_s)
            for k, (part, more) in enumerate(zip(parts, spare, strict=True))
        ]
        number += len(parts)
        found = dict(_searched(ground, asked, compute))
        tours = tuple(tour for k in range(len(parts)) for tour in found[k][0])
        steps += sum(taken for _, taken in found.values())
    return pyvrp.Solution(data, [pyvrp.Route(data, list(stops), sort) for sort, stops in tours]), steps


def search_part(ground: Ground, part: Part) -> tuple[tuple[Row, ...], int]:
    """The part's tours after its search, or as they were where that found nothing better; and the steps that it took."""
    stops = sorted(stop for _, tour in part.tours for stop in tour)
    here = {stop: k for k, stop in enumerate(stops)}
    sorts = sorted(part.vehicles)
    data = ground.data.replace(
        clients=[ground.data.client(stop) for stop in stops],
        vehicle_types=[ground.data.vehicle_type(sort).replace(num_available=part.vehicles[sort]) for sort in sorts],
    )
    first = pyvrp.Solution(data, [pyvrp.Route(data, [here[s] for s in tour], sorts.index(sort)) for sort, tour in part.tours])
    stop = _Until(part, ground.clock)
    found = pyvrp.solve(
        data,
        stop,
        seed=part.seed,
        collect_stats=False,
        display=False,
        params=search_params(ground.about_s),
        initial_solution=first,
    )
    cost = pyvrp.CostEvaluator([0.0] * data.num_load_dimensions, 0.0, 0.0).cost
    if not found.is_feasible() or cost(found.best) >= cost(first):
        return part.tours, int(found.num_iterations)
    return tuple((sorts[sort], tuple(stops[s] for s in tour)) for sort, tour in _tours(found.best)), int(found.num_iterations)


def _searched(ground: Ground, parts: list[Part], compute: Compute | None) -> Iterator[tuple[int, Any]]:
    if compute is None:
        for k, part in enumerate(parts):
            yield k, search_part(ground, part)
        return
    with closing(compute.each(search_part, ground, parts)) as results:
        for k, result in results:
            if isinstance(result, Fault):
                raise result.error
            yield k, result


class _Until:
    """When a part's search ends: after so many steps or so long."""

    def __init__(self, part: Part, clock: Callable[[], float]) -> None:
        self._clock, self._until_s, self._left = clock, clock() + part.seconds, part.steps

    def __call__(self, best_cost: int) -> bool:  # noqa: ARG002 - PyVRP's protocol names it
        self._left -= 1
        return self._left < 0 or self._clock() >= self._until_s


def _tours(solution: pyvrp.Solution) -> tuple[Row, ...]:
    return tuple((r.vehicle_type(), tuple(a.idx for a in r if a.is_client())) for r in solution.routes())


def _between_stops(data: pyvrp.ProblemData) -> NDArray[np.float64]:
    places = [client.location for client in data.clients()]
    time: NDArray[np.float64] = data.duration_matrix(0)[np.ix_(places, places)].astype(float)
    return time


def _cut(tours: tuple[Row, ...], between: NDArray[np.float64], rng: np.random.Generator) -> list[tuple[Row, ...]]:
    """Every tour in one part, each part of tours near each other: the first begins anywhere, the next where it is farthest from there."""
    rows = [np.array(stops) for _, stops in tours]
    to_tour = np.stack([between[:, row].min(axis=1) for row in rows], axis=1)  # (stop, tour)
    near = np.stack([to_tour[row].mean(axis=0) for row in rows])  # (tour, tour): from a stop of one to the nearest of the other
    near = near + near.T
    free, parts = set(range(len(tours))), list[tuple[Row, ...]]()
    start = int(rng.integers(len(tours)))
    while free:
        heart = start if not parts else max(sorted(free), key=lambda k: near[start, k])
        part, stops = list[Row](), 0
        for k in [heart, *(int(k) for k in np.argsort(near[heart], kind="stable"))]:
            if k in free and stops < PART_STOPS:
                free.discard(k)
                part.append(tours[k])
                stops += len(rows[k])
        parts.append(tuple(part))
    return parts


def _spare(data: pyvrp.ProblemData, tours: tuple[Row, ...], parts: int, rng: np.random.Generator) -> list[dict[int, int]]:
    """The vehicles that stand idle, dealt out to the parts: no vehicle is in two."""
    spare: list[dict[int, int]] = [{} for _ in range(parts)]
    for sort, vehicle in enumerate(data.vehicle_types()):
        idle = vehicle.num_available - sum(mine == sort for mine, _ in tours)
        for k, part in enumerate(rng.permutation(parts)):
            spare[part][sort] = idle // parts + (k < idle % parts)
    return spare


def _count(part: tuple[Row, ...], spare: dict[int, int]) -> dict[int, int]:
    count = {sort: more + sum(mine == sort for mine, _ in part) for sort, more in spare.items()}
    return {sort: n for sort, n in count.items() if n}
