"""Text to tree: a tokenizer and a Pratt parser of a small language that can compare facts and do nothing else.

    level_m@lake >= 3.0 m for 15 min
    flooded_share@"Ferry Quay" < 50 % and not (warning_level >= orange)
    level_m@lake max_age 30 min stale hold + rise_m_per_h@lake * 2 h > 4 m
    done("warn everybody") or hours > 2 h

What binds tighter comes first: `-x`, `* /`, `+ -`, one of `< <= > >=`, `for`, `not`, `and`, `or`.
Source of the method: Pratt 1973, Top down operator precedence, POPL '73.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple, cast, get_args

from tocsin.pack.trigger.tree import (
    KEYWORDS,
    And,
    Arith,
    ArithOp,
    Claim,
    Compare,
    CompareOp,
    Event,
    EventKind,
    FactRef,
    For,
    LevelWord,
    Negative,
    Node,
    Not,
    Number,
    Or,
    Stale,
    Value,
)
from tocsin.pack.trigger.units import LEVELS, NUMBER, TIME, UNITS
from tocsin.vocabulary.errors import InputError

CHARACTERS_MOST, DEPTH_MOST, PARTS_MOST = 2_000, 40, 300
FOR_MOST_S = 24 * 3600.0  # a longer look back is a rule's work, not a trigger's
AGE_MOST_S = 7 * 24 * 3600.0
_COMPARE, _EVENTS = get_args(CompareOp), get_args(EventKind)
_UNIT = "|".join(re.escape(u) for u in sorted(UNITS, key=len, reverse=True))
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?:\s*(?P<unit>{_UNIT})(?![A-Za-z0-9_%]))?
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<text>"(?:[^"\\]|\\["\\])*")
    | (?P<sign><=|>=|==|!=|[-+*/<>()@])
    )""",
    re.VERBOSE | re.ASCII,
)
_GAP = re.compile(r"\s*", re.ASCII)
_VALUES = (Number, LevelWord, FactRef, Negative, Arith)


class TriggerError(InputError):
    """A trigger that cannot be read: `column` says where, counted from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"column {column}: {message}")
        self.column = column


class _Token(NamedTuple):
    sort: str
    text: str
    at: int
    unit: str = ""


@lru_cache(maxsize=4096)
def parse(text: str) -> Claim:
    """The tree of a trigger; raises TriggerError with the column.

    >>> str(parse('level_m@lake>=300cm for 15min'))
    'level_m@lake >= 300 cm for 15 min'
    """
    if len(text) > CHARACTERS_MOST:
        raise TriggerError(f"{len(text):,} characters; wanted at most {CHARACTERS_MOST:,}", CHARACTERS_MOST + 1)
    return _Parser(text).claim()


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            at = _GAP.match(text, at).end()  # type: ignore[union-attr]
            if text[at] == '"':
                raise TriggerError('the text in quotes does not end; close it with "', at + 1)
            raise TriggerError(f"{text[at]!r} has no meaning here", at + 1)
        sort = cast(str, found.lastgroup if found.lastgroup != "unit" else "number")
        word = found.group(sort)
        yield _Token(sort, word, found.start(sort), found.group("unit") or "")
        at = found.end()
    yield _Token("end", "", len(text.rstrip()))


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens, self._next = list(_tokens(text)), 0
        self._depth = self._parts = 0

    def claim(self) -> Claim:
        """The whole text as one claim."""
        if self._here.sort == "end":
            raise TriggerError('is empty; wanted e.g. level_m@lake >= 3.0 m, or done("warn everybody")', 1)
        found = self._as_claim(self._or())
        if self._here.sort != "end":
            raise self._strange("wanted `and`, `or` or the end")
        return found

    # -- claims ------------------------------------------------------------------------------------------------------

    def _or(self) -> Node:
        return self._row("or", self._and)

    def _and(self) -> Node:
        return self._row("and", self._not)

    def _row(self, word: str, below: Callable[[], Node]) -> Node:
        part = below()
        if not self._is(word):
            return part
        first = part
        parts = [self._as_claim(part)]
        while self._take(word):
            parts.append(self._as_claim(below()))
        return self._made((And if word == "and" else Or)(tuple(parts), first.at))

    def _not(self) -> Node:
        at = self._here.at
        if self._take("not"):
            with_not = self._deeper(self._not)
            return self._made(Not(self._as_claim(with_not), at))
        return self._lasting()

    def _lasting(self) -> Node:
        part = self._comparison()
        at = self._here.at
        if self._take("for"):
            span = self._time("for", FOR_MOST_S)
            part = self._made(For(self._as_claim(part), span, at))
            if self._is("for"):
                raise self._strange("one `for` is enough")
        return part

    def _comparison(self) -> Node:
        left = self._sum(0)
        op = self._here
        if op.sort == "sign" and op.text in ("==", "!="):
            raise TriggerError(
                f"{op.text}: measured amounts are never quite equal; wanted one of {', '.join(_COMPARE)}", op.at + 1
            )
        if not (op.sort == "sign" and op.text in _COMPARE):
            return left
        self._next += 1
        right = self._sum(0)
        if self._here.sort == "sign" and self._here.text in _COMPARE:
            raise self._strange("compare two amounts at a time and join them with `and`")
        return self._made(Compare(cast(CompareOp, op.text), self._as_value(left), self._as_value(right), op.at))

    # -- amounts -----------------------------------------------------------------------------------------------------

    def _sum(self, rank: int) -> Node:
        """Pratt's loop: a left part, then every operator that binds tighter than `rank`."""
        left = self._unary()
        while self._here.sort == "sign" and self._here.text in "+-*/":
            op, own = self._here, 1 if self._here.text in "+-" else 2
            if own <= rank:
                break
            self._next += 1
            right = self._sum(own)
            left = self._made(Arith(cast(ArithOp, op.text), self._as_value(left), self._as_value(right), op.at))
        return left

    def _unary(self) -> Node:
        at = self._here.at
        if self._take("-", "sign"):
            return self._made(Negative(self._as_value(self._deeper(self._unary)), at))
        if self._take("(", "sign"):
            inner = self._deeper(self._or)
            if not self._take(")", "sign"):
                raise self._strange(f"wanted ) for the ( in column {at + 1}")
            return inner
        return self._atom()

    def _atom(self) -> Node:
        token = self._here
        match token.sort:
            case "number":
                return self._number()
            case "word" if token.text in LEVELS:
                self._next += 1
                return LevelWord(LEVELS[token.text], token.at)
            case "word" if token.text not in KEYWORDS:
                self._next += 1
                if self._is("(", "sign"):
                    return self._event(token)
                return self._fact(token)
            case _:
                raise self._strange('wanted a fact, a number with its unit, a level, done("...") or (')

    def _event(self, token: _Token) -> Event:
        if token.text not in _EVENTS:
            raise TriggerError(f"{token.text}(...): there are: {', '.join(_EVENTS)}", token.at + 1)
        self._next += 1
        name = self._here
        if name.sort != "text":
            raise self._strange(f'wanted an action\'s name in quotes: {token.text}("...")')
        self._next += 1
        if not self._take(")", "sign"):
            raise self._strange("wanted )")
        return cast(Event, self._made(Event(cast(EventKind, token.text), _plain(name.text), token.at)))

    def _fact(self, token: _Token) -> FactRef:
        place, max_age = "", None
        stale: Stale = "unknown"
        if self._take("@", "sign"):
            named = self._here
            if named.sort not in ("word", "text") or (named.sort == "word" and named.text in KEYWORDS):
                raise self._strange(
                    f'wanted a place after @; put it in quotes where it is no plain word: {token.text}@"Ferry Quay"'
                )
            self._next += 1
            place = _plain(named.text) if named.sort == "text" else named.text
            if not place:
                raise TriggerError("the place has no name", named.at + 1)
        if self._take("max_age"):
            max_age = self._time("max_age", AGE_MOST_S)
        at = self._here
        if self._take("stale"):
            if max_age is None:
                raise TriggerError("stale comes after max_age: say from when on it is", at.at + 1)
            stale = self._stale()
        return cast(FactRef, self._made(FactRef(token.text, place, max_age, stale, token.at)))

    def _stale(self) -> Stale:
        token = self._here
        if self._take("unknown"):
            return "unknown"
        if self._take("hold"):
            return "hold"
        if token.sort == "number":
            return self._number()
        if token.sort == "word" and token.text in LEVELS:
            self._next += 1
            return LevelWord(LEVELS[token.text], token.at)
        raise self._strange("wanted unknown, hold, or the value that counts then")

    def _number(self) -> Number:
        token = self._here
        self._next += 1
        if not token.unit and self._here.sort == "word" and self._here.text not in KEYWORDS:
            raise self._strange(f"is no unit; wanted one of {', '.join(UNITS)}")
        value = float(token.text)
        if value == float("inf"):
            raise TriggerError(f"{token.text} is too large", token.at + 1)
        return cast(Number, self._made(Number(value, token.unit, token.at)))

    def _time(self, word: str, most_s: float) -> Number:
        """A span of time after a word."""
        if self._here.sort != "number":
            raise self._strange(f"wanted a time after {word}, e.g. 15 min")
        span = self._number()
        factor, dimension = UNITS.get(span.unit, (1.0, NUMBER))
        if dimension != TIME:
            raise TriggerError(f"{word} {span}: wanted a time, e.g. 15 min", span.at + 1)
        if not 0 < span.value * factor <= most_s:
            raise TriggerError(f"{word} {span}: wanted more than nothing and at most {most_s / 3600.0:g} h", span.at + 1)
        return span

    # -- the small change -----------------------------------------------------------------------------------------------

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    def _is(self, text: str, sort: str = "word") -> bool:
        return self._here.sort == sort and self._here.text == text

    def _take(self, text: str, sort: str = "word") -> bool:
        taken = self._is(text, sort)
        self._next += taken
        return taken

    def _deeper(self, inner: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MOST:
            raise TriggerError(f"more than {DEPTH_MOST} levels of brackets, `not` and minus", self._here.at + 1)
        node = inner()
        self._depth -= 1
        return node

    def _made(self, node: Node) -> Node:
        self._parts += 1
        if self._parts > PARTS_MOST:
            raise TriggerError(f"more than {PARTS_MOST} parts; split it into several actions", node.at + 1)
        return node

    def _as_claim(self, node: Node) -> Claim:
        if isinstance(node, _VALUES):
            raise TriggerError(f"{node} is an amount; compare it with another, e.g. {node} > ...", node.at + 1)
        return node

    def _as_value(self, node: Node) -> Value:
        if not isinstance(node, _VALUES):
            raise TriggerError(f"{node} is true or false; only amounts can be compared and reckoned with", node.at + 1)
        return node

    def _strange(self, wanted: str) -> TriggerError:
        token = self._here
        got = "the text ends" if token.sort == "end" else f"{token.text!r}"
        return TriggerError(f"{got}: {wanted}", token.at + 1)


def _plain(text: str) -> str:
    """A text without its quotes and backslashes."""
    return re.sub(r"\\(.)", r"\1", text[1:-1])
