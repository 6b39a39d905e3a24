"""True, false or unknown: a trigger judged by the facts of a moment. What nobody knows is never taken for false.

The logic is Kleene's strong three-valued one: unknown is what could still become either. `False and unknown` is false, `True or unknown`
is true, all else with an unknown part is unknown.      Source: Kleene 1952, Introduction to Metamathematics, section 64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from tocsin.pack.trigger.kinds import FACTS, FactKind
from tocsin.pack.trigger.tree import (
    And,
    Arith,
    Claim,
    Compare,
    Event,
    EventKind,
    FactRef,
    For,
    LevelWord,
    Negative,
    Not,
    Number,
    Or,
    Value,
    walk,
)
from tocsin.pack.trigger.units import LEVEL, NUMBER, UNITS, Dimension
from tocsin.vocabulary.errors import PackFault

Truth = bool | None  # None is unknown
FRESH_S = 3600.0  # how old a fact may be where its trigger says nothing: a planning assumption, `unverified`
LOOK_S = 60.0  # `for` looks at every full minute of its span, at its beginning, and at now


class Fact(msgspec.Struct, frozen=True, gc=False):
    """What a fact was at a moment: its value, its unit, and how long before that moment it was seen."""

    value: float
    unit: str
    age_s: float = 0.0


class Facts(Protocol):
    """Where facts come from: a simulated future, sensors and the board, or a drill's script. All answer the same question."""

    def at(self, name: str, place: str, time_s: float) -> Fact | None:
        """The fact at a time, in seconds after the plan was decided on (before it where negative); None where nobody knows."""
        ...


Happened = Callable[[EventKind, str], float | None]
Reading = tuple[float, Dimension]


def nothing_happened(kind: EventKind, action: str) -> float | None:  # noqa: ARG001
    """No action of the plan has begun."""
    return None


class Judge:
    """Judges triggers by one source of facts; what it found for a full minute it keeps, since `for` asks again."""

    def __init__(self, facts: Facts, kinds: Mapping[str, FactKind] = FACTS) -> None:
        self._facts, self._kinds = facts, kinds
        self._minutes: dict[tuple[int, int], Truth] = {}
        self._kept: dict[int, Claim] = {}  # an id belongs to what is still there

    def truth(self, claim: Claim, time_s: float, happened: Happened = nothing_happened) -> Truth:
        """Whether a claim holds at a time. `happened` says when an action of the plan started, was done, or failed."""
        match claim:
            case Compare():
                return self._compare(claim, time_s)
            case Event():
                since_s = happened(claim.kind, claim.action)
                return since_s is not None and since_s <= time_s
            case Not():
                return _not(self.truth(claim.part, time_s, happened))
            case And():
                return _all(self.truth(part, time_s, happened) for part in claim.parts)
            case Or():
                return _not(_all(_not(self.truth(part, time_s, happened)) for part in claim.parts))
            case For():
                return self._lasted(claim, time_s, happened)

    def unknowns(self, claim: Claim, time_s: float) -> tuple[str, ...]:
        """The facts of a claim that are not known at a time, each with the reason."""
        said = (self._look(node, time_s) for node in walk(claim) if isinstance(node, FactRef))
        return tuple(dict.fromkeys(why for why in said if isinstance(why, str)))

    def _lasted(self, claim: For, time_s: float, happened: Happened) -> Truth:
        first_s = time_s - claim.span.value * UNITS[claim.span.unit][0]
        part = self._kept.setdefault(id(claim.part), claim.part)

        def minute(number: int) -> Truth:
            key = (id(part), number)
            if key not in self._minutes:
                self._minutes[key] = self.truth(part, number * LOOK_S, happened)
            return self._minutes[key]

        def looks() -> Iterable[Truth]:
            yield self.truth(part, time_s, happened)
            yield self.truth(part, first_s, happened)
            for number in range(math.ceil(time_s / LOOK_S) - 1, math.floor(first_s / LOOK_S), -1):
                yield minute(number)

        return _all(looks())

    def _compare(self, claim: Compare, time_s: float) -> Truth:
        left, right = self._value(claim.left, time_s), self._value(claim.right, time_s)
        if left is None or right is None:
            return None
        if left[1] != right[1]:
            raise PackFault(f"trigger {str(claim)!r}: compares what cannot be compared; check the plan before it is used")
        match claim.op:
            case "<":
                return left[0] < right[0]
            case "<=":
                return left[0] <= right[0]
            case ">":
                return left[0] > right[0]
            case ">=":
                return left[0] >= right[0]

    def _value(self, node: Value, time_s: float) -> Reading | None:
        """An amount in base units; None where nobody knows it, or it is no finite number."""
        match node:
            case Number() | LevelWord():
                return _literal(node)
            case FactRef():
                return self._fact(node, time_s)
            case Negative():
                inner = self._value(node.part, time_s)
                return None if inner is None else (-inner[0], inner[1])
            case Arith():
                left, right = self._value(node.left, time_s), self._value(node.right, time_s)
                return None if left is None or right is None else _reckon(node, left, right)

    def _fact(self, node: FactRef, time_s: float) -> Reading | None:
        found = self._look(node, time_s)
        return None if isinstance(found, str) else found

    def _look(self, node: FactRef, time_s: float) -> Reading | str:
        """What a fact is, or counts as; or why nobody knows."""
        fact = self._facts.at(node.name, node.place, time_s)
        if fact is not None and math.isfinite(fact.value) and (node.stale == "hold" or fact.age_s <= _most_s(node)):
            return self._read(node, fact)
        if not isinstance(node.stale, str):
            return _literal(node.stale)
        if fact is None or not math.isfinite(fact.value):
            return f"{node.key}: nobody knows it"
        return f"{node.key}: older than {_most_s(node) / 60.0:g} min"

    def _read(self, node: FactRef, fact: Fact) -> Reading:
        kind = self._kinds.get(node.name)
        if kind is None or fact.unit != kind.unit:
            wanted = "there is no such fact" if kind is None else f"wanted {kind.unit!r}"
            raise PackFault(f"fact {node.key}: came in {fact.unit!r}; {wanted}")
        return fact.value * kind.factor, kind.dimension


def _most_s(node: FactRef) -> float:
    return FRESH_S if node.max_age is None else node.max_age.value * UNITS[node.max_age.unit][0]


def _literal(node: Number | LevelWord) -> Reading:
    if isinstance(node, LevelWord):
        return float(node.level), LEVEL
    factor, dimension = UNITS[node.unit] if node.unit else (1.0, NUMBER)
    return node.value * factor, dimension


def _reckon(node: Arith, left: Reading, right: Reading) -> Reading | None:
    (a, of_a), (b, of_b) = left, right
    if node.op in "+-":
        if of_a != of_b:
            raise PackFault(f"trigger {str(node)!r}: adds what cannot be added; check the plan before it is used")
        value, dimension = a + b if node.op == "+" else a - b, of_a
    elif node.op == "*":
        value, dimension = a * b, tuple(x + y for x, y in zip(of_a, of_b, strict=True))  # type: ignore[assignment]
    elif b == 0.0:
        return None
    else:
        value, dimension = a / b, tuple(x - y for x, y in zip(of_a, of_b, strict=True))  # type: ignore[assignment]
    return (value, dimension) if math.isfinite(value) else None


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _all(parts: Iterable[Truth]) -> Truth:
    """Kleene's `and`: it ends at the first that is false."""
    unsure = False
    for part in parts:
        if part is False:
            return False
        unsure |= part is None
    return None if unsure else True
