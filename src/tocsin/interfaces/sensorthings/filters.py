"""$filter and $orderby as trees. What binds tighter stands lower: or, and, not, comparisons, add and sub, mul div mod, minus."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tocsin.interfaces.sensorthings.words import Word, Words
from tocsin.platform.things import Binary, Call, Lambda, Literal, Node, Order, Path, Unary
from tocsin.platform.things.functions import read_wkt
from tocsin.platform.things.times import date_us, parse_duration, parse_instant, parse_when, time_of_day_us
from tocsin.vocabulary import InputError

DEPTH_MAX = 60
PARTS_MAX = 16
COMPARISONS = ("eq", "ne", "gt", "ge", "lt", "le")
OPERATORS = ("or", "and", "not", *COMPARISONS, "in", "add", "sub", "mul", "div", "mod")
Operand = Callable[[int], Node]
VALUE = "a property, a number, a text in single quotes, a time, a function or a bracket"


def parse_filter(words: Words) -> Node:
    """The whole of the words as one expression; raises InputError with the place of what is wrong."""
    node = _Parser(words).expression(0)
    if words.next.kind != "end":
        raise words.wrong("and, or, a comparison or the end")
    return node


def parse_orderby(words: Words) -> tuple[Order, ...]:
    """Keys with commas between, each with asc or desc behind it or nothing."""
    keys = []
    while True:
        by = _Parser(words).expression(0)
        descending = words.is_name("desc")
        if words.is_name("asc", "desc"):
            words.take()
        keys.append(Order(by, descending))
        if not words.skip(","):
            break
    if words.next.kind != "end":
        raise words.wrong("asc, desc, a comma or the end")
    return tuple(keys)


class _Parser:
    def __init__(self, words: Words) -> None:
        self.words = words

    def expression(self, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise InputError(f"{self.words.at(self.words.next)}: nested more than {DEPTH_MAX} deep; wanted a simpler expression")
        return self._joined("or", self._all, depth)

    def _all(self, depth: int) -> Node:
        return self._joined("and", self._denial, depth)

    def _joined(self, operator: str, operand: Operand, depth: int) -> Node:
        """Conditions with `and` or `or` between: a long row of them becomes a flat tree, since their order does not matter."""
        row, places = [operand(depth)], [""]
        while self.words.is_name(operator):
            places.append(self.words.at(self.words.take()))
            row.append(operand(depth))

        return _halved(operator, row, places, 0, len(row))

    def _denial(self, depth: int) -> Node:
        if self.words.is_name("not"):
            word = self.words.take()
            if depth > DEPTH_MAX:
                raise InputError(f"{self.words.at(word)}: nested more than {DEPTH_MAX} deep; wanted a simpler expression")
            return Unary("not", self._denial(depth + 1), self.words.at(word))
        return self._comparison(depth)

    def _comparison(self, depth: int) -> Node:
        left = self._sum(depth)
        if self.words.is_name(*COMPARISONS):
            word = self.words.take()
            left = Binary(word.text, left, self._sum(depth), self.words.at(word))
        elif self.words.is_name("in"):
            left = self._among(left, self.words.take(), depth)
        return left

    def _among(self, left: Node, word: Word, depth: int) -> Node:
        """`x in (1, 2)` is x eq 1 or x eq 2; `1 in properties/list` looks into the list. OData 4.01, 5.1.1.1.12; FROST has it too."""
        words, at = self.words, self.words.at(word)
        if not words.is_mark("("):
            if words.next.kind != "name":
                raise words.wrong("a bracket with values, or a property that holds a list")
            return Binary("in", left, self._path(depth), at)
        words.take()
        row: list[Node] = []
        while True:
            row.append(Binary("eq", left, self._sum(depth + 1), at))
            if words.skip(")"):
                return _halved("or", row, [at] * len(row), 0, len(row))
            words.want(",", "or ) after a value")

    def _sum(self, depth: int) -> Node:
        return self._row(("add", "sub"), self._product, depth)

    def _product(self, depth: int) -> Node:
        return self._row(("mul", "div", "mod"), self._signed, depth)

    def _row(self, operators: tuple[str, ...], operand: Operand, depth: int) -> Node:
        """Operands with operators of one strength between, from left to right."""
        left = operand(depth)
        while self.words.is_name(*operators):
            word = self.words.take()
            left = Binary(word.text, left, operand(depth), self.words.at(word))
        return left

    def _signed(self, depth: int) -> Node:
        if self.words.is_mark("-"):
            word = self.words.take()
            if depth > DEPTH_MAX:
                raise InputError(f"{self.words.at(word)}: nested more than {DEPTH_MAX} deep; wanted a simpler expression")
            inner = self._signed(depth + 1)
            if isinstance(inner, Literal) and inner.kind == "number" and isinstance(inner.value, int | float):
                return Literal("number", -inner.value, self.words.at(word))
            return Unary("-", inner, self.words.at(word))
        return self._primary(depth)

    def _primary(self, depth: int) -> Node:
        words = self.words
        word = words.next
        if word.kind == "mark" and word.text == "(":
            words.take()
            inner = self.expression(depth + 1)
            words.want(")", "that closes the bracket")
            return inner
        if word.kind == "name":
            if words.after_next().kind == "mark" and words.after_next().text == "(":
                return self._call(depth)
            return self._path(depth)
        if word.kind in ("end", "mark"):
            raise words.wrong(VALUE)
        return self._literal(words.take())

    def _call(self, depth: int) -> Node:
        words = self.words
        name = words.take()
        words.take()
        args: list[Node] = []
        if not words.skip(")"):
            while True:
                args.append(self.expression(depth + 1))
                if words.skip(")"):
                    break
                words.want(",", "or ) after an argument")
        return Call(name.text, tuple(args), words.at(name))

    def _path(self, depth: int) -> Node:
        words = self.words
        first = words.next
        if first.text in ("true", "false"):
            words.take()
            return Literal("bool", first.text == "true", words.at(first))
        if first.text == "null":
            words.take()
            return Literal("null", None, words.at(first))
        if first.text in OPERATORS:
            raise words.wrong(VALUE)
        parts = [words.take().text]
        while words.is_mark("/") or words.is_mark("["):
            mark = words.take()
            if mark.text == "/" and words.is_name("any", "all") and words.after_next().text == "(":
                return self._lambda(Path(tuple(parts), words.at(first)), depth)
            word = words.take()
            if word.kind not in ("name", "number", "clock", "date", "string"):
                raise InputError(f"{words.at(word)}: got {word.text[:40]!r}; wanted a name after {mark.text}")
            parts.append(word.text[1:-1].replace("''", "'") if word.kind == "string" else word.text)
            if mark.text == "[":
                words.want("]", "after the number")
            if len(parts) > PARTS_MAX:
                raise InputError(f"{words.at(word)}: a way of more than {PARTS_MAX} steps; wanted a shorter one")
        return Path(tuple(parts), words.at(first))

    def _lambda(self, way: Path, depth: int) -> Node:
        """`Datastreams/any(d: d/name eq 'level')`; without a condition any says whether there is one at all. OData 4.0, 5.1.1.5."""
        words = self.words
        op = words.take()
        words.take()
        if op.text == "any" and words.skip(")"):
            return Lambda("any", way, "", None, words.at(op))
        if words.next.kind != "name":
            raise words.wrong("a variable, as in any(d: d/name eq 'x')")
        variable = words.take()
        words.want(":", "after the variable")
        condition = self.expression(depth + 1)
        words.want(")", f"that closes {op.text}")
        return Lambda(op.text, way, variable.text, condition, words.at(op))

    def _literal(self, word: Word) -> Literal:
        at, text = self.words.at(word), word.text
        match word.kind:
            case "number":
                return Literal("number", _number(text, at), at)
            case "string":
                return Literal("string", text[1:-1].replace("''", "'"), at)
            case "time":
                text = _plus(text)
                return Literal("time", parse_when(text, where=at, interval=False), at, parse_instant(text, where=at)[1])
            case "interval":
                first, _, second = text.partition("/")
                whole = f"{_plus(first)}/{_plus(second)}"
                return Literal("interval", parse_when(whole, where=at), at, parse_instant(_plus(first), where=at)[1])
            case "date":
                return Literal("date", date_us(text, where=at), at)
            case "clock":
                return Literal("clock", time_of_day_us(text, where=at), at)
            case "duration":
                return Literal("duration", parse_duration(text[9:-1], where=at), at)
            case _:
                return Literal("shape", read_wkt(text[text.index("'") + 1 : -1].replace("''", "'"), where=at), at)


def _halved(operator: str, row: Sequence[Node], places: Sequence[str], begin: int, end: int) -> Node:
    """A row of conditions as a tree that is as flat as can be."""
    if end - begin == 1:
        return row[begin]
    middle = (begin + end) // 2
    left, right = _halved(operator, row, places, begin, middle), _halved(operator, row, places, middle, end)
    return Binary(operator, left, right, places[middle])


def _plus(text: str) -> str:
    """A plus sign of a zone that a form's encoding has turned into a space."""
    return text.replace(" ", "+")


def _number(text: str, at: str) -> float | int:
    if text.isdigit() and len(text) <= 18:
        return int(text)
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise InputError(f"{at}: {text[:40]!r} is beyond the largest number, about 1.8e308")
    return value
