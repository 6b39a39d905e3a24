"""What facts there are, in which unit and range, and whether a trigger compares like with like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from tocsin.pack.trigger.tree import (
    Arith,
    Claim,
    Compare,
    Event,
    FactRef,
    LevelWord,
    Negative,
    Node,
    Number,
    Value,
    parts_of,
)
from tocsin.pack.trigger.units import LEVEL, LEVELS, NUMBER, UNITS, Dimension, dimension_words, units_of
from tocsin.vocabulary.errors import InputError


class FactKind(msgspec.Struct, frozen=True):
    """A fact that triggers may ask for: its unit, its range in that unit, and the sort of place that it is asked at.

    Where it comes from: in a simulated future from a forcing of the model (`drive`, as in `Model.series`) or from what the run tells over time
    (`course`), at the moment; among sensors from the readings of the quantity `observed`, the highest of the place's gauges, or the mean
    over the gauges of what each summed up in `sum_s`. With `rise_s` it is how much that has risen in so many seconds. `reached` is the share
    of a zone's people whom the hazard has come to, which no sensor tells.
    """

    name: str
    unit: str
    place: Literal["", "water", "zone", "line"]
    low: float
    high: float
    meaning: str
    drive: str = ""
    course: str = ""
    observed: str = ""
    sum_s: float = 0.0
    rise_s: float = 0.0
    reached: bool = False

    @property
    def spelled(self) -> str:
        return f"{self.name}@{self.place.upper()}" if self.place else self.name

    @property
    def dimension(self) -> Dimension:
        return LEVEL if self.unit == "level" else NUMBER if self.unit == "" else UNITS[self.unit][1]

    @property
    def factor(self) -> float:
        return UNITS[self.unit][0] if self.unit in UNITS else 1.0


_INF = float("inf")
FACTS: Mapping[str, FactKind] = {
    kind.name: kind
    for kind in (
        FactKind("hours", "h", "", 0.0, _INF, "how long ago the plan was decided on"),
        FactKind("warning_level", "level", "", 0.0, 4.0, "the worst warning that holds"),
        FactKind("reached_share", "", "zone", 0.0, 1.0, "the share of a zone's people whom the hazard has reached", reached=True),
    )
}


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a trigger, and in which column, counted from 1."""

    column: int
    message: str


def faults_of(
    claim: Claim,
    *,
    actions: Sequence[str],
    place_fault: Callable[[str, str], str],
    facts: Mapping[str, FactKind] = FACTS,
) -> tuple[Fault, ...]:
    """Everything that keeps a trigger from ever being judged: unknown facts, places and actions, and units that do not agree.

    `place_fault(sort, name)` says what is wrong with a place ("water", "lake"), or nothing where it is one.
    """
    found: list[Fault] = []

    def say(node: Node, message: str) -> None:
        found.append(Fault(node.at + 1, message))

    def fact(node: FactRef) -> Dimension | None:
        kind = facts.get(node.name)
        if kind is None or bool(kind.place) != bool(node.place):
            say(node, f"no fact {node.key!r}; there are: {', '.join(k.spelled for k in facts.values())}")
            return None
        if kind.place and (wrong := place_fault(kind.place, node.place)):
            say(node, wrong)
        if not isinstance(node.stale, str) and (own := value(node.stale)) is not None and own != kind.dimension:
            say(node, f"stale {node.stale}: wanted {_wanted(kind.dimension)}")
        return kind.dimension

    def value(node: Value) -> Dimension | None:
        match node:
            case Number():
                return UNITS[node.unit][1] if node.unit else NUMBER
            case LevelWord():
                return LEVEL
            case FactRef():
                return fact(node)
            case Negative():
                return _amount(node.part, value(node.part))
            case Arith():
                left, right = _amount(node.left, value(node.left)), _amount(node.right, value(node.right))
                if left is None or right is None:
                    return None
                if node.op in "*/":
                    sign = 1 if node.op == "*" else -1
                    return tuple(a + sign * b for a, b in zip(left, right, strict=True))  # type: ignore[return-value]
                if left != right:
                    say(node, _unlike(node.op, node.left, left, node.right, right))
                    return None
                return left

    def _amount(node: Value, own: Dimension | None) -> Dimension | None:
        if own == LEVEL:
            say(node, f"{node} is a level: it can be compared, not reckoned with")
            return None
        return own

    def claims(node: Node) -> None:
        match node:
            case Compare():
                left, right = value(node.left), value(node.right)
                if left is not None and right is not None and left != right:
                    say(node, _unlike(node.op, node.left, left, node.right, right))
            case Event() if node.action not in actions:
                say(node, f"{node}: no action of this name in the plan; there are: {', '.join(actions)}")
            case _:
                for part in parts_of(node):
                    claims(part)

    claims(claim)
    return tuple(found)


def check_claim(claim: Claim, facts: Mapping[str, FactKind] = FACTS) -> None:
    """Raise InputError where a trigger could not be judged, whatever places and actions there are."""
    named = [node.action for node in _events(claim)]
    for fault in faults_of(claim, actions=named, place_fault=lambda _sort, _name: "", facts=facts):
        raise InputError(f"trigger {str(claim)!r}, column {fault.column}: {fault.message}")


def _events(node: Node) -> list[Event]:
    return [node] if isinstance(node, Event) else [event for part in parts_of(node) for event in _events(part)]


def _unlike(op: str, left: Value, left_is: Dimension, right: Value, right_is: Dimension) -> str:
    """Two amounts that cannot be compared or added, and what would do."""
    for node, own, other in ((right, right_is, left_is), (left, left_is, right_is)):
        if isinstance(node, Number) and own == NUMBER and not node.unit:
            wanted = (
                f"wanted {_wanted(other)}"
                if other == LEVEL
                else f"wanted e.g. {' or '.join(f'{node} {u}' for u in units_of(other)[:3])}"
            )
            return f"{left} {op} {right}: {node} has no unit; {wanted}"
    return f"{left} {op} {right}: {left} is {dimension_words(left_is)}, {right} is {dimension_words(right_is)}"


def _wanted(dimension: Dimension) -> str:
    if dimension == LEVEL:
        return f"a level: {', '.join(LEVELS)}"
    if dimension == NUMBER:
        return "a share, e.g. 50 %"
    return f"{dimension_words(dimension)} in {', '.join(units_of(dimension)) or 'its unit'}"
