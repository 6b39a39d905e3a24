"""Whether a trigger could ever hold, whatever the order of its conditions: each fact's range, cut by all that is said of it.

The claim is written as alternatives of simple conditions (disjunctive normal form). An alternative is impossible where the ranges of one
fact have nothing in common, or an event both happened and did not. What cannot be reduced to "fact beside number" limits nothing, so
"impossible" is always right and "possible" may be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tocsin.pack.trigger.kinds import FACTS, FactKind
from tocsin.pack.trigger.tree import And, Claim, Compare, Event, FactRef, For, LevelWord, Negative, Not, Number, Or, Value
from tocsin.pack.trigger.units import LEVEL, UNITS

ALTERNATIVES_MOST = 256
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_CONTRARY = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_Simple = tuple[Compare | Event, bool]


def can_hold(*claims: Claim, facts: Mapping[str, FactKind] = FACTS) -> bool:
    """False where all the claims together can never hold.

    >>> from tocsin.pack.trigger.parse import parse
    >>> can_hold(parse("hours < 4 h and hours > 5 h")), can_hold(parse("hours > 4 h and hours < 5 h"))
    (False, True)
    """
    rows: list[tuple[_Simple, ...]] | None = [()]
    for claim in claims:
        more = _alternatives(claim, True)
        rows = None if rows is None or more is None else _both(rows, more)
    return rows is None or any(_possible(row, facts) for row in rows)


def _alternatives(claim: Claim, wanted: bool) -> list[tuple[_Simple, ...]] | None:
    """The alternatives in which a claim is true (or false); None where they are too many to tell."""
    match claim:
        case Compare() | Event():
            return [((claim, wanted),)]
        case Not():
            return _alternatives(claim.part, not wanted)
        case For():
            # held for a while: it holds now. Not held for a while: nothing follows.
            return _alternatives(claim.part, True) if wanted else [()]
        case And() | Or():
            parts = [_alternatives(part, wanted) for part in claim.parts]
            joined = isinstance(claim, And) == wanted
            rows: list[tuple[_Simple, ...]] | None = [()] if joined else []
            for part in parts:
                if rows is None or part is None:
                    return None
                rows = _both(rows, part) if joined else rows + part
                if rows is not None and len(rows) > ALTERNATIVES_MOST:
                    return None
            return rows


def _both(left: list[tuple[_Simple, ...]], right: list[tuple[_Simple, ...]]) -> list[tuple[_Simple, ...]] | None:
    if len(left) * len(right) > ALTERNATIVES_MOST:
        return None
    return [a + b for a in left for b in right]


def _possible(row: tuple[_Simple, ...], facts: Mapping[str, FactKind]) -> bool:
    ranges: dict[str, tuple[float, bool, float, bool]] = {}  # low, low is out, high, high is out
    events: dict[tuple[str, str], bool] = {}
    for simple, wanted in row:
        if isinstance(simple, Event):
            if events.setdefault((simple.kind, simple.action), wanted) != wanted:
                return False
            continue
        told = _beside(simple)
        if told is None:
            continue
        fact, op, bound = told
        op = op if wanted else _CONTRARY[op]
        kind = facts.get(fact.name)
        if kind is None:
            continue
        own = (kind.low * kind.factor, False, kind.high * kind.factor, False)
        low, low_out, high, high_out = ranges.get(fact.key, own)
        if kind.dimension == LEVEL and op in "<>":  # levels are steps: above orange is red
            op, bound = (">=", bound + 1) if op == ">" else ("<=", bound - 1)
        if op in (">", ">="):
            low, low_out = max((low, low_out), (bound, op == ">"))
        else:
            high, least_in = min((high, not high_out), (bound, op == "<="))
            high_out = not least_in
        if low > high or (low == high and (low_out or high_out)):
            return False
        ranges[fact.key] = (low, low_out, high, high_out)
    return True


def _beside(claim: Compare) -> tuple[FactRef, str, float] | None:
    """A comparison as fact, sign and number in base units; None where it is none of a fact with a number."""
    left, right = _number(claim.left), _number(claim.right)
    if isinstance(claim.left, FactRef) and right is not None:
        return claim.left, claim.op, right
    if isinstance(claim.right, FactRef) and left is not None:
        return claim.right, _MIRRORED[claim.op], left
    return None


def _number(node: Value) -> float | None:
    match node:
        case Number():
            return node.value * (UNITS[node.unit][0] if node.unit else 1.0)
        case LevelWord():
            return float(node.level)
        case Negative():
            inner = _number(node.part)
            return None if inner is None or not math.isfinite(inner) else -inner
        case _:
            return None
