"""Moments and intervals, asked of a served instance and worked out in Python from what the words mean: OGC 18-088, 9.3.3.5.2."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from served_place import WEIR, Wire

# Moments and intervals in minutes of one morning, so that every way in which two can lie to each other is there.
SPANS = [
    (0, 0),
    (30, 30),
    (60, 60),
    (0, 30),
    (0, 60),
    (30, 60),
    (30, 90),
    (60, 90),
    (60, 60),
    (60, 120),
    (0, 120),
    (90, 120),
    (120, 120),
]
ASKED = [(60, 60), (30, 90), (60, 120), (0, 60)]
Span = tuple[int, int]
Rule = Callable[[Span, Span], bool]


def is_moment(span: Span) -> bool:
    return span[0] == span[1]


def is_before(a: Span, b: Span) -> bool:
    """An interval holds its begin and not its end: it is before what begins where it ends; a moment is not before itself."""
    return a[1] < b[0] or (a[1] == b[0] and not is_moment(a))


def overlaps(a: Span, b: Span) -> bool:
    return not is_before(a, b) and not is_before(b, a)


RULES: dict[str, Rule] = {
    "{a} lt {b}": is_before,
    "{a} gt {b}": lambda a, b: is_before(b, a),
    "{a} eq {b}": lambda a, b: a == b,
    "before({a},{b})": is_before,
    "after({a},{b})": lambda a, b: is_before(b, a),
    "meets({a},{b})": lambda a, b: a[1] == b[0] or b[1] == a[0],
    "overlaps({a},{b})": overlaps,
    "starts({a},{b})": lambda a, b: a[0] == b[0],
    "finishes({a},{b})": lambda a, b: a[1] == b[1],
}


def written(span: Span) -> str:
    begin, end = (f"2026-06-01T{minute // 60:02}:{minute % 60:02}:00Z" for minute in span)
    return begin if begin == end else f"{begin}/{end}"


@pytest.fixture(scope="module")
def stream(wire: Wire) -> str:
    weir = wire.made("Things", WEIR | {"name": "weir of times", "Datastreams": []})
    linked = {"Thing": {"@iot.id": weir}, "Observations": []}
    made = wire.made("Datastreams", WEIR["Datastreams"][0] | linked | {"name": "times"})  # type: ignore[index]
    for number, span in enumerate(SPANS):
        wire.made(f"Datastreams({made})/Observations", {"result": number, "phenomenonTime": written(span)})
    return f"Datastreams({made})/Observations"


@pytest.mark.parametrize("asked", ASKED, ids=written)
@pytest.mark.parametrize("words", RULES)
def test_times_lie_to_each_other_as_their_words_mean(words: str, asked: Span, wire: Wire, stream: str) -> None:
    for turned in (False, True):
        a, b = ("phenomenonTime", written(asked))[:: -1 if turned else 1]
        found = [one["result"] for one in wire.get(stream, filter=words.format(a=a, b=b), orderby="result")["value"]]
        rule = RULES[words]
        assert found == [n for n, span in enumerate(SPANS) if (rule(asked, span) if turned else rule(span, asked))], (a, b)


def test_during_wants_an_interval_to_lie_in(wire: Wire, stream: str) -> None:
    inside = wire.get(stream, filter=f"during(phenomenonTime,{written((30, 90))})", orderby="result")["value"]
    wanted = [n for n, span in enumerate(SPANS) if span[0] >= 30 and (span[1] < 90 if is_moment(span) else span[1] <= 90)]
    assert [one["result"] for one in inside] == wanted
    wire.get(f"{stream}?$filter=during(phenomenonTime,{written((60, 60))})", 400)
    wire.get(f"{stream}?$filter=during(phenomenonTime,resultTime)", 400)
