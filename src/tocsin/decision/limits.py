"""Hard limits as data: what a plan must not break in more futures than is permitted, and how likely each plan does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.impact import SERVICES
from tocsin.decision.outcomes import COST, DAMAGE, FAILED, FINISHED_S, HARM, MOVED, Outcomes
from tocsin.science.risk import chance
from tocsin.vocabulary import Breach, InputError, World
from tocsin.vocabulary.errors import named

PERMITTED = 0.05  # of the futures, where a limit says nothing else; a convention, to be set by who answers for the plan
FIGURES = (HARM, DAMAGE, COST, FINISHED_S, FAILED, MOVED, "people_cut_off", "without_shelter", "flooded_road_km_left_open")
OUTSIDE = "outside all zones"
_HOLDS: Mapping[str, Callable[[NDArray[np.float64], float], NDArray[np.bool_]]] = {
    "<=": np.less_equal,
    "<": np.less,
    ">=": np.greater_equal,
    ">": np.greater,
}
_SHAPE = re.compile(r"\s*(?P<figure>[^<>=,]+?)\s*(?P<op><=|>=|<|>)\s*(?P<value>[^\s,]+)\s*(?:,\s*(?P<percent>[^\s%]+)\s*%\s*)?")


class Limit(msgspec.Struct, frozen=True):
    """What must hold in a future: `figure` `op` `value`, in the figure's unit; it may be broken in a `permitted` share of the futures.

    `people_in_danger@ZONE` is the people of one zone who are still where it is dangerous when the water (or fire) is.
    """

    figure: str
    op: str
    value: float
    permitted: float = PERMITTED

    def __post_init__(self) -> None:
        if self.op not in _HOLDS:
            raise InputError(f"limit on {self.figure}: op {self.op!r}; wanted one of {', '.join(_HOLDS)}")
        if not np.isfinite(self.value) or not 0.0 <= self.permitted < 1.0:
            raise InputError(
                f"limit {self.figure} {self.op} {self.value}, permitted {self.permitted}; wanted a number, and a share in [0, 1)"
            )

    def __str__(self) -> str:
        return f"{self.figure} {self.op} {self.value:g}"


def limit_of(text: str) -> Limit:
    """A limit from its words, with the percentage of futures in which it may be broken after a comma.

    >>> limit_of("people_in_danger@Ferry Quay <= 0, 10%")
    Limit(figure='people_in_danger@Ferry Quay', op='<=', value=0.0, permitted=0.1)
    """
    found = _SHAPE.fullmatch(text)
    try:
        if found is not None:
            percent = found["percent"]
            return Limit(
                found["figure"], found["op"], float(found["value"]), PERMITTED if percent is None else float(percent) / 100.0
            )
    except ValueError as fault:
        if isinstance(fault, InputError):
            raise
    raise InputError(f"limit {text!r}; wanted FIGURE OP NUMBER[, PERCENT%], such as 'people_in_danger@Ferry Quay <= 0, 10%'")


def check_limits_in(limits: Sequence[Limit], world: World, more: Sequence[str] = ()) -> None:
    """Raise InputError where a limit could not be told in this place, before anything is run; `more` are figures of chains and traffic."""
    check_limits(limits, *figures_of(world, more))


def figures_of(world: World, more: Sequence[str] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a limit can be on in this place, and the zones by which people in danger are told."""
    lost = tuple(f"{kind}_lost" for kind in SERVICES if len(world.assets(kind)))
    return (*FIGURES, *lost, *more), (*world.zones.name, OUTSIDE)


def check_limits(limits: Sequence[Limit], figures: Sequence[str], zones: Sequence[str]) -> None:
    """Raise InputError where a limit is on a figure or a zone that there is not, or is given twice."""
    for number, limit in enumerate(limits):
        name, at, zone = limit.figure.partition("@")
        if at and name != HARM:
            raise InputError(f"limit {limit}: only {HARM} is told by zone; wanted {HARM}@ZONE, or {name} without a zone")
        if at and zone not in zones:
            raise InputError(f"limit {limit}: no zone {zone!r}; there are: {named(zone, zones)}")
        if not at and name not in figures:
            raise InputError(f"limit {limit}: no figure {name!r}; there are: {', '.join(sorted(figures))}, {HARM}@ZONE")
        if str(limit) in map(str, limits[:number]):
            raise InputError(f"limit {limit}: is given twice; give it once")


def breaches(outcomes: Outcomes, limits: Sequence[Limit]) -> list[tuple[Breach, ...]]:
    """For each plan, how likely it breaks each limit, over the futures that it was tried in."""
    check_limits(limits, tuple(outcomes.figures), outcomes.zones)
    return [tuple(_breach(outcomes, limit, k) for limit in limits) for k in range(len(outcomes.plans))]


def _breach(outcomes: Outcomes, limit: Limit, k: int) -> Breach:
    name, _, zone = limit.figure.partition("@")
    value = outcomes.by_zone[k, :, outcomes.zones.index(zone)] if zone else outcomes.figures[name][k]
    tried = outcomes.tried[k] & np.isfinite(value) & (outcomes.weight > 0)
    if not tried.any():
        raise InputError(
            f"limit {limit}: plan {outcomes.plans[k].name!r} has no {limit.figure} in any future; leave the limit or the plan out"
        )
    broken = ~_HOLDS[limit.op](value[tried], limit.value)
    whole = np.array([0.0, sum(action.cost * action.repeat_most for action in outcomes.plans[k].actions)])
    if name == COST and not broken.any() and _HOLDS[limit.op](whole, limit.value).all():
        return Breach(str(limit), 0.0, 0.0, 0.0, limit.permitted, False)  # whatever of the plan is done: no future can break it
    share, low, high = chance(broken, outcomes.weight[tried])
    return Breach(str(limit), share, low, high, limit.permitted, share > limit.permitted)
