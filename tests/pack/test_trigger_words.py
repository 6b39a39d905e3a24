"""The language of triggers: what is written is what is read, what nobody knows is never false, and nothing that is typed breaks it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tocsin.pack.trigger as trigger
from tocsin.pack import facts_for
from tocsin.pack.trigger import Claim, Fact, Facts, Truth, parse
from tocsin.pack.trigger.parse import CHARACTERS_MOST, TriggerError
from tocsin.pack.trigger.tree import (
    KEYWORDS,
    And,
    Arith,
    Compare,
    Event,
    FactRef,
    For,
    LevelWord,
    Negative,
    Not,
    Number,
    Or,
)
from tocsin.pack.trigger.units import LEVELS, TIME, UNITS
from tocsin.vocabulary import InputError, Level, PackFault

FACTS = facts_for("flood")


def can_hold(claim: Claim) -> bool:
    return trigger.can_hold(claim, facts=FACTS)


def check_claim(claim: Claim) -> None:
    trigger.check_claim(claim, FACTS)


def Judge(facts: Facts) -> trigger.Judge:
    return trigger.Judge(facts, FACTS)


class Told:
    """Facts that a test writes down: a number, or a function of time; None is unknown."""

    def __init__(self, age_s: float = 0.0, **facts: float | Callable[[float], float | None] | None) -> None:
        self.age_s, self.facts = age_s, facts

    def at(self, name: str, place: str, time_s: float) -> Fact | None:
        value = self.facts.get(name)
        value = value(time_s) if callable(value) else value
        return None if value is None else Fact(value, FACTS[name].unit, self.age_s)


def truth(
    text: str, time_s: float = 0.0, *, age_s: float = 0.0, **facts: float | Callable[[float], float | None] | None
) -> Truth:
    claim = parse(text)
    check_claim(claim)
    return Judge(Told(age_s, **facts)).truth(claim, time_s)


# -- what is written is what is read -----------------------------------------------------------------------------------

names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda w: w not in KEYWORDS and w not in LEVELS)
places = st.one_of(st.just(""), st.text(min_size=1, max_size=8))
numbers = st.builds(Number, st.floats(0, 1e12, allow_nan=False), st.sampled_from(["", *UNITS]))
minutes = st.builds(Number, st.integers(1, 60).map(float), st.just("min"))
words = st.sampled_from(Level).filter(lambda level: level >= 0).map(LevelWord)
plain_facts = st.builds(FactRef, names, places)
aged_facts = st.builds(FactRef, names, places, minutes, st.one_of(st.sampled_from(["unknown", "hold"]), numbers, words))
values = st.recursive(
    st.one_of(numbers, words, plain_facts, aged_facts),
    lambda inner: st.one_of(st.builds(Negative, inner), st.builds(Arith, st.sampled_from("+-*/"), inner, inner)),
    max_leaves=6,
)
simple = st.one_of(
    st.builds(Compare, st.sampled_from(["<", "<=", ">", ">="]), values, values),
    st.builds(Event, st.sampled_from(["started", "done", "failed"]), st.text(max_size=8)),
)
claims = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(For, inner, minutes),
    ),
    max_leaves=8,
)


@given(claims)
@settings(max_examples=300)
def test_a_trigger_that_is_written_out_reads_to_the_same_trigger(claim: object) -> None:
    assert parse(str(claim)) == claim


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        parse(text)
        column = 1
    except TriggerError as fault:
        column = fault.column
    assert 1 <= column <= len(text) + 1


@given(
    st.lists(
        st.sampled_from(
            [
                *"()+-*/<>@",
                "<=",
                "not",
                "and",
                "or",
                "for",
                "max_age",
                "stale",
                "hold",
                "orange",
                "level_m",
                "3",
                "3 m",
                "15 min",
                '"x"',
                "done",
            ]
        )
    ).map(" ".join)
)
def test_no_row_of_its_own_words_breaks_the_reader(text: str) -> None:
    try:
        claim = parse(text)
    except TriggerError:
        return
    assert parse(str(claim)) == claim


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "is empty"),
        ("level_m@lake >", 15, "the text ends"),
        ("level_m@lake >= 3 m for", 24, "wanted a time after for"),
        ("level_m@lake >= 3 furlong", 19, "'furlong': is no unit"),
        ("level_m@lake >= 3 m and", 24, "the text ends"),
        ("level_m@ >= 3 m", 10, "wanted a place after @"),
        ("(hours > 2 h", 13, "wanted ) for the ( in column 1"),
        ("hours == 2 h", 7, "measured amounts are never quite equal"),
        ("1 h < hours < 2 h", 13, "compare two amounts at a time"),
        ("hours", 1, "hours is an amount"),
        ("(hours > 2 h) + 1 h > 3 h", 8, "is true or false"),
        ("hours > 2 h for 25 h", 17, "at most 24 h"),
        ("hours > 2 h for 0 min", 17, "more than nothing"),
        ('import("os")', 1, "there are: started, done, failed"),
        ("done(warn)", 6, "name in quotes"),
        ('done("warn)', 6, "does not end"),
        ("hours > 2 h; drop", 12, "';' has no meaning here"),
        ("__import__ > 2", 1, None),
        ("level_m@lake stale hold > 2 m", 14, "stale comes after max_age"),
        ("(" * 41 + "hours > 2 h" + ")" * 41, 42, "more than 40 levels"),
        ("not " * 41 + "hours > 2 h", 165, "more than 40 levels"),
        ("x" * (CHARACTERS_MOST + 1), CHARACTERS_MOST + 1, "2,001 characters"),
        ("hours > 1 h" + " + 1 h" * 300, None, "more than 300 parts"),
        ("hours > 1e999 h", 9, "too large"),
    ],
)
def test_what_is_wrong_is_told_with_its_column(text: str, column: int | None, says: str | None) -> None:
    if says is None:
        with pytest.raises(InputError, match="no fact '__import__'"):
            check_claim(parse(text))
        return
    with pytest.raises(TriggerError) as told:
        parse(text)
    assert says in str(told.value)
    assert column is None or told.value.column == column


# -- units ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hours < 6", "6 has no unit; wanted e.g. 6 s or 6 min or 6 h"),
        ("level_m@lake > 3 h", "level_m@lake is a length, 3 h is a time"),
        ("warning_level >= 3", "3 has no unit; wanted a level: none, blue"),
        ("warning_level + orange > red", "it can be compared, not reckoned with"),
        ("level_m@lake + 3 min > 2 m", "is a time"),
        ("level_m@lake * rain_mm_per_h > 2 m", "something in m^2 s^-1"),
        ("moon > 3 m", "no fact 'moon'; there are: hours, warning_level, reached_share@ZONE, rain_mm_per_h, level_m@WATER"),
        ("level_m > 3 m", "no fact 'level_m'"),
        ("hours@lake > 3 h", "no fact 'hours@lake'"),
        ("level_m@lake max_age 1 h stale 50 % > 3 m", "stale 50 %: wanted a length"),
    ],
)
def test_unlike_is_never_compared_with_unlike(text: str, says: str) -> None:
    with pytest.raises(InputError) as told:
        check_claim(parse(text))
    assert says in str(told.value)


def test_commensurable_units_are_converted() -> None:
    assert truth("level_m@lake >= 300 cm", level_m=3.0) is True
    assert truth("level_m@lake >= 301 cm", level_m=3.0) is False
    assert truth("rain_mm_per_h > 0.3 mm/min", rain_mm_per_h=20.0) is True
    assert truth("flooded_share@low < 50 %", flooded_share=0.49) is True
    assert truth("hours >= 90 min", hours=1.5) is True
    assert truth("level_m@lake + rise_m_per_h@lake * 2 h > 4 m", level_m=3.0, rise_m_per_h=0.6) is True
    assert truth("level_m@lake - 10 / 4 * 1 m > 0.4 m", level_m=3.0) is True
    assert truth("-level_m@lake < -2 m", level_m=3.0) is True


def test_every_unit_is_the_factor_that_its_definition_gives() -> None:
    assert UNITS["ft"][0] == pytest.approx(12 * UNITS["in"][0], rel=1e-15)
    assert UNITS["mm/h"][0] * UNITS["h"][0] == pytest.approx(UNITS["mm"][0], rel=1e-15)
    assert UNITS["cm/min"][0] * UNITS["min"][0] == pytest.approx(UNITS["cm"][0], rel=1e-15)
    assert UNITS["km/h"][0] == pytest.approx(1 / 3.6, rel=1e-15)
    assert UNITS["d"] == (86_400.0, TIME)


def test_a_fact_that_comes_in_another_unit_than_it_promised_is_an_error_and_no_answer() -> None:
    class InFeet:
        def at(self, name: str, place: str, time_s: float) -> Fact | None:
            return Fact(9.8, "ft")

    with pytest.raises(PackFault, match="came in 'ft'; wanted 'm'"):
        Judge(InFeet()).truth(parse("level_m@lake > 3 m"), 0.0)


# -- three values ----------------------------------------------------------------------------------------------------------

TRUE, FALSE, UNKNOWN = "hours >= 0 h", "hours < 0 h", "rain_mm_per_h > 1 mm/h"
SAID: dict[str, Truth] = {TRUE: True, FALSE: False, UNKNOWN: None}
# Kleene 1952, section 64: and, or; written out as the book's tables have them
AND = {
    (True, True): True,
    (True, False): False,
    (True, None): None,
    (False, False): False,
    (False, None): False,
    (None, None): None,
}
OR = {(True, True): True, (True, False): True, (True, None): True, (False, False): False, (False, None): None, (None, None): None}


@pytest.mark.parametrize(("a", "b"), list(product(SAID, SAID)))
def test_and_or_and_not_are_kleenes(a: str, b: str) -> None:
    pair = (SAID[a], SAID[b])
    both = AND.get(pair, AND.get(pair[::-1], "missing"))
    either = OR.get(pair, OR.get(pair[::-1], "missing"))
    assert truth(f"{a} and {b}", hours=1.0) == both
    assert truth(f"{a} or {b}", hours=1.0) == either
    assert truth(f"not ({a} and {b})", hours=1.0) == truth(f"not {a} or not {b}", hours=1.0)


laws = st.recursive(
    st.sampled_from([parse(t) for t in SAID]),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


@given(a=laws, b=laws, c=laws)
def test_the_laws_of_the_three_values_hold(a: And, b: And, c: And) -> None:
    def t(claim: object) -> Truth:
        return Judge(Told(hours=1.0)).truth(claim, 0.0)  # type: ignore[arg-type]

    assert t(Not(Not(a))) == t(a)
    assert t(And((a, b))) == t(And((b, a)))
    assert t(Or((a, And((b, c))))) == t(And((Or((a, b)), Or((a, c)))))
    assert t(Not(Or((a, b)))) == t(And((Not(a), Not(b))))


@given(claim=laws)
def test_learning_more_never_turns_what_was_known(claim: And) -> None:
    before = Judge(Told(hours=1.0)).truth(claim, 0.0)
    for rain in (0.0, 5.0):
        after = Judge(Told(hours=1.0, rain_mm_per_h=rain)).truth(claim, 0.0)
        assert after is not None
        assert before in (None, after)


def test_a_fact_that_nobody_knows_makes_neither_a_claim_nor_its_contrary_true() -> None:
    assert truth("level_m@lake >= 3 m") is None
    assert truth("not level_m@lake >= 3 m") is None
    assert truth("level_m@lake >= 3 m", level_m=float("nan")) is None
    assert truth("level_m@lake / (hours * 1 m / 1 h) > 1", level_m=3.0, hours=0.0) is None


def test_what_is_not_known_is_named_with_the_reason() -> None:
    claim = parse("level_m@lake max_age 30 min > 3 m and rain_mm_per_h > 1 mm/h")
    assert Judge(Told(31 * 60.0, level_m=5.0)).unknowns(claim, 0.0) == (
        "level_m@lake: older than 30 min",
        "rain_mm_per_h: nobody knows it",
    )


def test_a_stale_fact_is_unknown_or_held_or_what_the_plan_says() -> None:
    old = {"age_s": 31 * 60.0, "level_m": 5.0}
    assert truth("level_m@lake max_age 30 min > 3 m", **old) is None  # type: ignore[arg-type]
    assert truth("level_m@lake max_age 31 min > 3 m", **old) is True  # type: ignore[arg-type]
    assert truth("level_m@lake max_age 30 min stale hold > 3 m", **old) is True  # type: ignore[arg-type]
    assert truth("level_m@lake max_age 30 min stale 2 m > 3 m", **old) is False  # type: ignore[arg-type]
    assert truth("level_m@lake max_age 30 min stale 2 m > 3 m") is False
    assert truth("level_m@lake max_age 30 min stale hold > 3 m") is None
    assert truth("level_m@lake > 3 m", age_s=3601.0, level_m=5.0) is None  # an hour where nothing is said


# -- for a while -------------------------------------------------------------------------------------------------------------


def test_for_a_while_is_true_only_where_it_held_all_the_time() -> None:
    text = "level_m@lake >= 3 m for 15 min"
    rising = {"level_m": lambda s: 3.0 if s >= 600.0 else 2.0}
    assert truth(text, 1499.0, **rising) is False
    assert truth(text, 1500.0, **rising) is True
    dip = {"level_m": lambda s: 2.0 if s == 780.0 else 3.0}
    assert truth(text, 1000.0, **dip) is False
    assert truth(text, 780.0 + 900.0, **dip) is False
    assert truth(text, 780.0 + 901.0, **dip) is True
    hole = {"level_m": lambda s: None if s == 780.0 else 3.0}
    assert truth(text, 1000.0, **hole) is None


@given(st.lists(st.sampled_from([True, False, None]), min_size=40, max_size=40), st.integers(1, 20))
def test_for_a_while_is_all_of_its_minutes(seen: list[Truth], span: int) -> None:
    def level(time_s: float) -> float | None:
        here = seen[int(time_s // 60.0)]
        return None if here is None else 4.0 if here else 2.0

    judge = Judge(Told(level_m=level))
    claim = parse(f"level_m@lake > 3 m for {span} min")
    for minute in range(span, 40):
        looked = seen[minute - span : minute + 1]
        wanted = False if False in looked else None if None in looked else True
        assert judge.truth(claim, minute * 60.0) == wanted


# -- what can never hold -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "hours > 5 h and hours < 4 h",
        "hours < 4 h and hours > 5 h",
        "hours < 4 h and hours >= 240 min",
        "hours >= 4 h and hours < 4 h",
        "4 h > hours and 5 h < hours",
        "flooded_share@low < 0 %",
        "flooded_share@low > 100 %",
        "flooded_share@low > 50",
        "warning_level > red",
        "warning_level > orange and warning_level < red",
        "not (hours < 5 h or hours >= 5 h)",
        "(hours > 5 h or hours > 6 h) and hours < 4 h for 10 min",
        'done("a") and not done("a")',
        "hours < -1 h",
    ],
)
def test_a_contradiction_is_found_in_whatever_order_it_is_written(text: str) -> None:
    assert not can_hold(parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "hours >= 4 h and hours <= 4 h",
        "hours > 4 h and hours < 5 h",
        "flooded_share@low >= 100 %",
        "flooded_share@low > 50 % and flooded_share@high < 40 %",
        "warning_level >= red",
        "not (hours < 5 h for 10 min) and hours < 5 h",
        "level_m@lake > 3 m and level_m@lake + 1 m < 2 m",
        " or ".join("(hours > 4 h and level_m@lake > 3 m)" for _ in range(20)),
        " and ".join("(hours > 4 h or level_m@lake > 3 m)" for _ in range(20)),
    ],
)
def test_what_may_hold_is_let_through(text: str) -> None:
    assert can_hold(parse(text))


conditions = st.tuples(st.sampled_from(["<", "<=", ">", ">="]), st.integers(0, 6))


@given(st.lists(conditions, min_size=1, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_impossible_is_what_no_value_fulfils(rows: list[tuple[str, int]], negated: list[bool]) -> None:
    parts = [f"not hours {op} {n} h" if no else f"hours {op} {n} h" for (op, n), no in zip(rows, negated, strict=False)]
    claim = parse(" and ".join(parts))
    found = any(Judge(Told(hours=half / 2)).truth(claim, 0.0) for half in range(20))
    assert can_hold(claim) == found
