"""Tours of vehicles over many stops: planned from nothing, or again from the tours that are under way when stops or streets change.

Solved by PyVRP (Wouda, Lan & Kool 2024, INFORMS J. Comput. 36(4):943-955). Where no tours serve all stops, each has a prize far above any
detour, so that what cannot be served is left out and told, the lightest first, and the rest is planned all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.host import Compute
from tocsin.vocabulary import InputError

Floats = NDArray[np.float64]
STOPS_MOST = 5_000
DAY_S = 86_400.0
STEPS_A_SECOND = 400  # of 500 stops on a core that others share: by which a number of steps counts as short
WHOLE = 0.3  # of a search goes to all stops at once, the rest to parts of them
PARTED_FROM = 300  # fewer stops are one part
INFEASIBLE = float(2**62)  # PyVRP's cost of what is not feasible is the largest 64-bit whole number
SECONDS_MOST, ITERATIONS_MOST = 3_600.0, 10_000_000


class Vehicle(msgspec.Struct, frozen=True):
    """`count` vehicles of one sort that begin and end at a place (`at` is its row in the travel times), carry so much, and work so long."""

    name: str
    at: int
    carries: int = 1_000_000
    count: int = 1
    shift_s: float = DAY_S


class Stop(msgspec.Struct, frozen=True):
    """What is to be done at a place: how much is fetched or brought there, how long that takes, and between when and when it may begin."""

    name: str
    at: int
    amount: int = 0
    service_s: float = 600.0
    from_s: float = 0.0
    until_s: float = DAY_S
    weight: float = 1.0


class Tour(msgspec.Struct, frozen=True):
    """One vehicle's way: its stops in order, when each begins, and when it is back."""

    vehicle: str
    stops: tuple[str, ...]
    begins_s: tuple[float, ...]
    back_s: float
    travel_s: float


class Tours(msgspec.Struct, frozen=True):
    """All tours; what is left out, with why; the seconds of travel, and how many steps the search took."""

    tours: tuple[Tour, ...]
    unserved: tuple[tuple[str, str], ...]
    travel_s: float
    iterations: int


def plan_tours(
    vehicles: Sequence[Vehicle],
    stops: Sequence[Stop],
    time_s: Floats,
    *,
    seconds: float = 5.0,
    iterations: int | None = None,
    seed: int = 0,
    before: Tours | None = None,
    clock: Callable[[], float] = time.perf_counter,
    compute: Compute | None = None,
) -> Tours:
    """The tours that serve most and travel least, found within `seconds`; or within so many `iterations`, which a seed repeats exactly.

    Many stops are searched all together first and then in parts, side by side where `compute` has processes (PyVRP holds Python's lock, so threads
    do not help); with `iterations` the answer does not depend on how many.

    `clock` counts the seconds; `time.process_time` counts those that the processor gives, where other programs keep it busy.

    `time_s` is (place, place), +inf where no way leads. `before` are tours to go on from: their order is where the search begins. Raises
    InputError for nonsense.
    """
    import pyvrp

    from tocsin.decision.tour_parts import Budget, Ground, improve
    from tocsin.decision.tour_search import SHORT_S, search_params

    _check(vehicles, stops, time_s, seconds, iterations)
    reached = np.array(
        [
            np.isfinite(time_s[[v.at for v in vehicles], s.at]).any()
            and np.isfinite(time_s[s.at, [v.at for v in vehicles]]).any()
            for s in stops
        ],
        bool,
    )
    fits = np.array([s.amount <= max(v.carries for v in vehicles) for s in stops], bool)
    left_out = [(s.name, "no way leads there and back") for s, ok in zip(stops, reached, strict=True) if not ok]
    left_out += [
        (s.name, f"its {s.amount} are more than any vehicle carries")
        for s, r, f in zip(stops, reached, fits, strict=True)
        if r and not f
    ]
    mine = [s for s, ok in zip(stops, reached & fits, strict=True) if ok]
    if not mine:
        return Tours((), tuple(left_out), 0.0, 0)
    never_s = int(2 * max(*(v.shift_s for v in vehicles), *(s.until_s for s in mine))) + 1
    # whole seconds, rounded up: nobody is there before he can be
    whole: Any = np.where(np.isfinite(time_s), np.ceil(np.minimum(time_s, never_s)), never_s).astype(np.int64)
    np.fill_diagonal(whole, 0)
    prize = 10 * int(whole[whole < never_s].max(initial=1)) + 1
    clients = [
        pyvrp.Client(
            s.at,
            delivery=[s.amount],
            service_duration=int(np.ceil(s.service_s)),
            tw_early=int(np.ceil(s.from_s)),
            tw_late=int(min(s.until_s, never_s)),
            prize=max(1, int(prize * s.weight)),
            required=False,
            name=s.name,
        )
        for s in mine
    ]
    optional = pyvrp.ProblemData(
        [pyvrp.Location(0, 0) for _ in range(len(whole))],
        clients,
        [pyvrp.Depot(v.at) for v in vehicles],
        [
            pyvrp.VehicleType(
                v.count,
                [v.carries],
                start_depot=k,
                end_depot=k,
                tw_late=int(v.shift_s),
                shift_duration=int(v.shift_s),
                name=v.name,
            )
            for k, v in enumerate(vehicles)
        ],
        [whole],
        [whole],
    )
    required = optional.replace(clients=[_must_be_served(client) for client in clients])

    about_s = seconds if iterations is None else iterations / STEPS_A_SECOND
    params = search_params(about_s)

    def search(data: pyvrp.ProblemData, stop: Any, first: pyvrp.Solution | None) -> pyvrp.Result:
        return pyvrp.solve(data, stop, seed=seed, collect_stats=False, display=False, params=params, initial_solution=first)

    # to look for tours that serve all is quicker than to weigh each stop; only where there seem to be none are stops left out
    begin = None if before is None else _as_solution(required, vehicles, mine, before)
    in_parts = len(mine) >= PARTED_FROM and about_s <= SHORT_S
    until = _Until(seconds, iterations, clock, WHOLE if in_parts else 1.0)
    found = search(required, until, begin)
    if found.is_feasible():
        if not in_parts:
            return _told(found.best, vehicles, mine, left_out, int(found.num_iterations))
        budget = Budget(*until.left())
        best, steps = improve(Ground(required, about_s, clock), found.best, budget, seed=seed, compute=compute)
        return _told(best, vehicles, mine, left_out, int(found.num_iterations) + steps)
    steps, rest = int(found.num_iterations), None if iterations is None else round(2 / 3 * iterations)
    begin = None if before is None else _as_solution(optional, vehicles, mine, before)
    found = search(optional, _Until(2 / 3 * seconds, rest, clock), begin)
    return _told(found.best, vehicles, mine, left_out, steps + int(found.num_iterations))


class _Until:
    """When a search ends: after this share of so long, or of so many steps; after a third of it where nothing feasible was found by then."""

    def __init__(self, seconds: float, iterations: int | None, clock: Callable[[], float], share: float = 1.0) -> None:
        self._seconds, self._iterations, self._clock, self._share = seconds, iterations, clock, share
        self._began_s, self._steps = clock(), 0

    def __call__(self, best_cost: float) -> bool:
        if self._iterations is None:
            done = (self._clock() - self._began_s) / self._seconds
        else:
            done = self._steps / max(1, self._iterations)
        self._steps += 1
        return done >= self._share or (done >= 1.0 / 3.0 and best_cost >= INFEASIBLE)

    def left(self) -> tuple[float, int | None]:
        """The seconds, or the steps, that are not used yet."""
        if self._iterations is not None:
            return np.inf, max(0, self._iterations - self._steps)
        return max(0.0, self._seconds - (self._clock() - self._began_s)), None


def _must_be_served(client: Any) -> Any:
    import pyvrp

    return pyvrp.Client(
        client.location,
        delivery=client.delivery,
        service_duration=client.service_duration,
        tw_early=client.tw_early,
        tw_late=client.tw_late,
        name=client.name,
    )


def _told(best: Any, vehicles: Sequence[Vehicle], stops: Sequence[Stop], left_out: list[tuple[str, str]], steps: int) -> Tours:
    tours, seen = [], set()
    for route in best.routes() if best.is_feasible() else []:
        visits = [(a.idx, a.start_time) for a in route if a.is_client()]
        seen |= {k for k, _ in visits}
        tours.append(
            Tour(
                vehicles[route.vehicle_type()].name,
                tuple(stops[k].name for k, _ in visits),
                tuple(float(t) for _, t in visits),
                float(route.end_time()),
                float(route.distance()),
            )
        )
    missed = [(s.name, "not within its hours and the vehicles' shifts and loads") for k, s in enumerate(stops) if k not in seen]
    tours.sort(key=lambda tour: (tour.vehicle, tour.stops))
    return Tours(tuple(tours), tuple(left_out + missed), float(sum(t.travel_s for t in tours)), steps)


def _as_solution(data: Any, vehicles: Sequence[Vehicle], stops: Sequence[Stop], before: Tours) -> Any:
    """Tours as the search begins with them: what is gone is dropped, what is new waits to be put in."""
    import pyvrp

    number = {s.name: k for k, s in enumerate(stops)}
    free = {v.name: v.count for v in vehicles}
    sort = {v.name: k for k, v in enumerate(vehicles)}
    routes = []
    for tour in before.tours:
        visits = [number.pop(name) for name in tour.stops if name in number]
        if visits and free.get(tour.vehicle, 0) > 0:
            free[tour.vehicle] -= 1
            routes.append(pyvrp.Route(data, visits, sort[tour.vehicle]))
    return pyvrp.Solution(data, routes)


def _check(vehicles: Sequence[Vehicle], stops: Sequence[Stop], time_s: Floats, seconds: float, iterations: int | None) -> None:
    if time_s.ndim != 2 or time_s.shape[0] != time_s.shape[1] or np.isnan(time_s).any() or (time_s < 0).any():
        raise InputError(
            f"tours: times {time_s.shape}; wanted (place, place), none below 0 and each a number (+inf where no way leads)"
        )
    if not vehicles or len(stops) > STOPS_MOST:
        raise InputError(
            f"tours: {len(vehicles)} sorts of vehicles, {len(stops):,} stops; wanted one or more, and at most {STOPS_MOST:,}"
        )
    if not (0 < seconds <= SECONDS_MOST) or not (iterations is None or 0 < iterations <= ITERATIONS_MOST):
        raise InputError(
            f"tours: {seconds} s, {iterations} iterations; wanted 0..{SECONDS_MOST:g} s or 1..{ITERATIONS_MOST:,} iterations"
        )
    for rows in (vehicles, stops):
        names = [row.name for row in rows]
        if twice := sorted({name for name in names if names.count(name) > 1})[:1]:
            raise InputError(f"tours: two are named {twice[0]!r}; give each its own name")
        if astray := [row.name for row in rows if not 0 <= row.at < len(time_s)]:
            raise InputError(f"tours: {astray[0]}: stands at no place of the travel times; wanted 0..{len(time_s) - 1}")
    for v in vehicles:
        if v.count < 1 or v.carries < 0 or not 0 < v.shift_s <= 100 * DAY_S:
            raise InputError(
                f"tours: {v.name}: count {v.count}, carries {v.carries}, shift {v.shift_s} s; wanted 1 or more, 0 or more, more than 0"
            )
    for s in stops:
        if s.amount < 0 or not (0 <= s.service_s < np.inf and 0 <= s.from_s <= s.until_s and 0 < s.weight <= 1e6):
            raise InputError(
                f"tours: {s.name}: amount {s.amount}, service {s.service_s} s, from {s.from_s} to {s.until_s} s, weight {s.weight}; wanted none below 0, from before until"
            )
