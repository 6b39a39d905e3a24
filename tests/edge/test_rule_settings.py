"""Every kind of rule can be told in TOML: each test begins with the text and ends at a Warning in the ledger."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from edge_host import START

from tocsin.edge.rule_settings import COMPOUND, RULE_KINDS
from tocsin.edge.settings import Settings, read_settings
from tocsin.host import VirtualClock
from tocsin.interfaces.edge import Edge
from tocsin.pack import find_pack
from tocsin.pack.thresholds import thresholds
from tocsin.vocabulary import InputError, Level, Observations, Warning

LEAST = '[node]\nname = "n"\ndata = "d"\ngrace_s = 0\n[spool]\nreserve_mb = 0\n'
DAY_S, WEEK_S = 86_400.0, 604_800.0

QUANTITIES = """
[[quantity]]
name = "river_level"
unit = "m"
[[quantity]]
name = "rain_amount"
unit = "mm"
[[quantity]]
name = "rain_rate"
unit = "mm/h"
[[quantity]]
name = "wind_chill"
unit = "degC"
[[quantity]]
name = "ground_velocity"
unit = "m/s"
[[quantity]]
name = "pressure"
unit = "hPa"
[[quantity]]
name = "cases"
unit = "1"
"""


def rule_text(kind: str, quantity: str, body: str, *, name: str = "it", source: bool = True) -> str:
    said = 'source = "a test"\n' if source else ""
    return f'[[rule]]\nkind = "{kind}"\nname = "{name}"\nhazard = "trial"\nquantity = "{quantity}"\n{said}{body}\n'


def settings_of(folder: Path, rules: str, *, node: str = "") -> Settings:
    path = folder / "edge.toml"
    path.write_text(LEAST.replace("grace_s = 0\n", f"grace_s = 0\n{node}") + QUANTITIES + rules)
    return read_settings(path)


def warnings(
    folder: Path, rules: str, readings: dict[tuple[str, str], tuple[float, list[float]]], *, node: str = ""
) -> list[Warning]:
    """What a node with these rules tells of readings at equal steps, the last of them now: {(quantity, site): (step_s, values)}."""
    settings = settings_of(folder, rules, node=node)
    clock = VirtualClock(START)
    edge = Edge(settings, clock=clock)
    try:
        edge.node.take(*(series(settings, *key, step_s, values, START) for key, (step_s, values) in readings.items()))
        edge.node.look()
        return [entry.record for entry in edge.ledger.read() if isinstance(entry.record, Warning)]
    finally:
        edge.close()


def series(settings: Settings, quantity: str, site: str, step_s: float, values: list[float], end: datetime) -> Observations:
    age_s = np.arange(len(values))[::-1] * step_s
    time_us = int(end.timestamp()) * 1_000_000 - (age_s * 1e6).astype(np.int64)
    zeros = np.zeros(len(values), np.int64)
    return Observations.of(settings.quantities[quantity], (site,), zeros, time_us, np.array(values, float))


def shaking() -> list[float]:
    """A quiet record, 0.1 s apart, that begins to shake ten times as strongly in its last second."""
    quiet = 1e-5 * np.sin(np.arange(400) * 2.3)
    quiet[-10:] *= 10.0
    return quiet.tolist()


LIMITS = "[rule.limits]\nyellow = {}\n"
CASES: dict[str, tuple[str, dict[tuple[str, str], tuple[float, list[float]]], str, str]] = {
    # kind: (the rule's own keys, what is read, node's keys, words of the reason)
    "threshold": ("max_age_s = 600\n" + LIMITS.format(2.0), {("river_level", "weir"): (300, [1.0, 2.5])}, "", "2.50 m"),
    "rise": (
        "over_s = 3600\nmax_age_s = 600\n" + LIMITS.format(0.5),
        {("river_level", "weir"): (600, [1.0, 1.2, 1.4, 1.6, 1.8])},
        "",
        "rises 1.20 m/h",
    ),
    "accumulation": (
        "interval_s = 600\nmax_age_s = 1200\n[rule.hours.1]\nyellow = 20.0\n",
        {("rain_amount", "weir"): (600, [5.0] * 6)},
        "",
        "30.0 mm in 1 h",
    ),
    "k_of_n": (
        'k = 2\nwithin_s = 1800\nmax_age_s = 1800\n[rule.groups]\nvalley = ["weir", "quay", "mill"]\n' + LIMITS.format(2.0),
        {("river_level", "weir"): (300, [9.0]), ("river_level", "quay"): (300, [2.5]), ("river_level", "mill"): (300, [1.0])},
        "",
        "2 of 3 sites have reached",
    ),
    "sta_lta": (
        "step_s = 0.1\nshort_s = 1\nlong_s = 20\nwithin_s = 1\nmax_age_s = 5\n" + LIMITS.format(4.0),
        {("ground_velocity", "weir"): (0.1, shaking())},
        "",
        "STA/LTA",
    ),
    "cusum": (
        "over_s = 7200\nmax_age_s = 600\n[rule.usual]\nweir = [1013.0, 2.0]\n" + LIMITS.format(5.0),
        {("pressure", "weir"): (60, [1013.0] * 10 + [1016.0] * 8)},
        "",
        "CUSUM",
    ),
    "ewma": (
        'over_s = 7200\nmax_age_s = 600\nside = "above"\n[rule.usual]\nweir = [1013.0, 2.0]\n' + LIMITS.format(3.0),
        {("pressure", "weir"): (60, [1013.0] * 10 + [1017.0] * 8)},
        "",
        "EWMA",
    ),
    "step_change": (
        "over_s = 7200\nmax_age_s = 600\n" + LIMITS.format(5.0),
        {("pressure", "weir"): (60, [1013.0, 1013.2, 1012.9, 1013.1, 1013.0] * 4 + [1020.0, 1020.1, 1019.9, 1020.2, 1020.0] * 4)},
        "",
        "step of the median",
    ),
    "ears": (
        'method = "c2"\nmax_age_s = 172800\n' + LIMITS.format(3.0),
        {("cases", "town"): (DAY_S, [3, 4, 5, 4, 3, 4, 5, 4, 3, 4, 5, 19])},
        "",
        "EARS C2",
    ),
    "farrington": (
        "max_age_s = 1209600\n" + LIMITS.format(1.0),
        {("cases", "town"): (WEEK_S, [float(10 + week % 3) for week in range(263)] + [60.0])},
        "",
        "exceedance score",
    ),
}


def test_there_is_a_case_for_every_kind() -> None:
    assert CASES.keys() == RULE_KINDS.keys()


@pytest.mark.parametrize("kind", RULE_KINDS)
def test_a_rule_that_is_told_in_toml_warns(tmp_path: Path, kind: str) -> None:
    body, readings, node, words = CASES[kind]
    (quantity, _) = next(iter(readings))
    told = warnings(tmp_path, rule_text(kind, quantity, body), readings, node=node)
    last = {(one.rule, one.subject): one for one in told}
    assert {one.level for one in last.values()} == {Level.YELLOW}
    assert {one.rule for one in last.values()} == {"it"}
    assert any(words in one.reason for one in last.values()), [one.reason for one in last.values()]


@pytest.mark.parametrize("kind", RULE_KINDS)
def test_the_same_rule_is_quiet_where_nothing_is_beyond_a_limit(tmp_path: Path, kind: str) -> None:
    body, readings, node, _ = CASES[kind]
    (quantity, _) = next(iter(readings))
    calm = re.sub(r"yellow = [\d.]+", "yellow = 1e6", body)
    assert warnings(tmp_path, rule_text(kind, quantity, calm), readings, node=node) == []


PARTS = (
    rule_text("threshold", "river_level", "alone = false\nmax_age_s = 1800\n" + LIMITS.format(2.0), name="high")
    + rule_text(
        "accumulation",
        "rain_amount",
        "alone = false\ninterval_s = 3600\nmax_age_s = 7200\n[rule.hours.1]\nyellow = 20.0\n",
        name="raining",
    )
    + '[[rule]]\nkind = "compound"\nname = "both"\nhazard = "flood"\nof = ["high", "raining"]\n[rule.groups]\nupper = ["weir", "rain-1"]\n'
)


@pytest.mark.parametrize(("rain_mm", "level"), [(25.0, [Level.YELLOW]), (5.0, [])])
def test_a_compound_warns_where_all_of_its_rules_do(tmp_path: Path, rain_mm: float, level: list[Level]) -> None:
    readings = {("river_level", "weir"): (300.0, [2.5]), ("rain_amount", "rain-1"): (3600.0, [rain_mm])}
    told = [one for one in warnings(tmp_path, PARTS, readings) if one.level > Level.NONE]
    assert [(one.rule, one.level) for one in told] == [("both", one) for one in level]


def test_a_part_that_is_not_alone_warns_of_nothing_by_itself_and_must_be_a_part(tmp_path: Path) -> None:
    assert [rule.name for rule in settings_of(tmp_path, PARTS).rules["flood"]] == ["both"]
    with pytest.raises(InputError, match=r"line \d+: \[\[rule\]\] number 1, alone: .*would never be judged"):
        settings_of(tmp_path, PARTS[: PARTS.index('[[rule]]\nkind = "accumulation"')])


def test_a_compound_may_name_a_rule_of_a_pack(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    names = [rule.name for rule in find_pack("flood").rules][:2]
    text = f'[[rule]]\nkind = "{COMPOUND}"\nname = "two"\nhazard = "flood"\nof = ["{names[0]}", "{names[1]}"]\nhow = "any"\n'
    path.write_text('packs = ["flood"]\n' + LEAST + text)
    assert "two" in [rule.name for rule in read_settings(path).rules["flood"]]


def test_a_compound_that_is_not_public_does_not_warn_the_public(tmp_path: Path) -> None:
    verified = PARTS.replace("alone = false\n", "alone = false\nverified = true\n")
    assert settings_of(tmp_path, verified).rules["flood"][0].verified
    assert (
        not settings_of(tmp_path, verified.replace('how = "all"', "").replace("of =", "public = false\nof ="))
        .rules["flood"][0]
        .verified
    )


def test_a_default_threshold_is_taken_by_its_name_with_its_source(tmp_path: Path) -> None:
    text = rule_text(
        "accumulation",
        "rain_rate",
        'limits = "library:rain_1h_hong_kong"\ninterval_s = 600\nmax_age_s = 1200\n',
        source=False,
    )
    (rule,) = settings_of(tmp_path, text).rules["trial"]
    assert "Hong Kong Observatory" in rule.source
    assert rule.verified
    told = warnings(tmp_path, text, {("rain_rate", "weir"): (600.0, [60.0] * 7)})
    assert [(one.level, one.public) for one in told] == [(Level.ORANGE, True)]


def test_several_sums_of_the_library_make_one_rule(tmp_path: Path) -> None:
    of = '["library:rain_3h_china", "library:rain_6h_china"]'
    body = f"limits = {of}\npublic = false\ninterval_s = 600\nmax_age_s = 1200\n"
    (rule,) = settings_of(tmp_path, rule_text("accumulation", "rain_amount", body, source=False)).rules["trial"]
    assert rule.span_s == 6 * 3600.0 + 1200.0
    assert not rule.verified


def test_a_threshold_of_the_coldest_warns_below_it(tmp_path: Path) -> None:
    unverified = next(name for name, one in thresholds().items() if one.statistic == "min")
    public = "" if thresholds()[unverified].verified else "public = false\n"
    text = rule_text("threshold", "wind_chill", f'limits = "library:{unverified}"\n{public}max_age_s = 600\n', source=False)
    assert [one.level for one in warnings(tmp_path, text, {("wind_chill", "weir"): (600.0, [-41.0])})] == [Level.YELLOW]


def test_of_a_minimum_that_has_one_step_low_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one limit nothing else says in which direction it is bad."""
    one_step = msgspec.structs.replace(thresholds()["wind_chill_canada"], at={"red": -40.0})
    monkeypatch.setattr("tocsin.pack.thresholds.thresholds", lambda: {"coldest": one_step})
    text = rule_text("threshold", "wind_chill", 'limits = "library:coldest"\npublic = false\nmax_age_s = 600\n', source=False)
    assert [one.level for one in warnings(tmp_path, text, {("wind_chill", "weir"): (600.0, [-41.0])})] == [Level.RED]


def test_an_unverified_default_threshold_is_refused_for_the_public_and_taken_for_operators(tmp_path: Path) -> None:
    body = 'limits = "library:{}"\ninterval_s = 600\nmax_age_s = 1200\n'
    (name,) = [name for name, one in thresholds().items() if name == "rain_3h_china" and not one.verified]
    text = rule_text("accumulation", "rain_amount", body.format(name), source=False)
    with pytest.raises(InputError, match=r"line \d+: \[\[rule\]\] number 1.*may not warn the public.*public *= *[Ff]alse"):
        settings_of(tmp_path, text)
    told = warnings(
        tmp_path, text.replace("interval_s", "public = false\ninterval_s"), {("rain_amount", "weir"): (600.0, [20.0] * 6)}
    )
    assert [(one.level, one.public) for one in told] == [(Level.RED, False)]


@pytest.mark.parametrize(
    ("kind", "quantity", "body", "words"),
    [
        ("k_of_n", "river_level", 'k = 4\nwithin_s = 9\nmax_age_s = 9\n[rule.groups]\nv = ["a", "b"]\n[rule.limits]\nyellow = 2\n', r"line \d+: .*number 1, k: rule it: k = 4; wanted 1 to 2"),
        ("k_of_n", "river_level", 'k = 1\nwithin_s = 9\nmax_age_s = 9\n[rule.groups]\nv = ["a", "a"]\n[rule.limits]\nyellow = 2\n', r"number 1, groups: .*each site in one group"),
        ("k_of_n", "river_level", "k = 1\nwithin_s = 9\nmax_age_s = 9\n[rule.limits]\nyellow = 2\n", r"groups is missing"),
        ("sta_lta", "ground_velocity", "step_s = 0.1\nshort_s = 30\nlong_s = 20\nmax_age_s = 5\n[rule.limits]\nyellow = 4\n", r"number 1, short_s: .*short_s = 30"),
        ("sta_lta", "ground_velocity", "step_s = 0.01\nshort_s = 1\nlong_s = 20\nmax_age_s = 5\n[rule.limits]\nyellow = 4\n", r"looks at 2001 readings of each site, and 300 are remembered; wanted \[node\] depth = 2001"),
        ("sta_lta", "ground_velocity", "step_s = 0\nshort_s = 1\nlong_s = 20\nmax_age_s = 5\n[rule.limits]\nyellow = 4\n", r"wanted step_s <= short_s"),
        ("cusum", "pressure", "over_s = 60\nmax_age_s = 60\n[rule.usual]\nweir = [1013.0, 0.0]\n[rule.limits]\nyellow = 5\n", r"number 1, usual: .*standard deviation > 0"),
        ("cusum", "pressure", 'side = "left"\nover_s = 60\nmax_age_s = 60\n[rule.usual]\nweir = [1013.0, 1.0]\n[rule.limits]\nyellow = 5\n', r"number 1, side: .*'above', 'below' or 'both'"),
        ("ewma", "pressure", "over_s = 60\nmax_age_s = 60\n[rule.usual]\nweir = [1013.0]\n[rule.limits]\nyellow = 5\n", r"number 1, usual: Expected `array` of length 2"),
        ("ears", "cases", 'method = "c4"\nmax_age_s = 60\n[rule.limits]\nyellow = 3\n', r"line \d+: .*number 1, method: .*'c4'; wanted one of c1, c2, c3"),
        ("farrington", "cases", 'method = "nufaily"\nmax_age_s = 60\n[rule.limits]\nyellow = 1\n', r"number 1, method: Invalid enum value 'nufaily'"),
        ("farrington", "cases", "max_age_s = 60\n[rule.method]\nyear = 5\n[rule.limits]\nyellow = 1\n", r"number 1, method: .*unknown field `year`"),
        ("farrington", "cases", "max_age_s = 60\n[rule.method]\nyears = 7\n[rule.limits]\nyellow = 1\n", r"wanted \[node\] depth = 368"),
        ("step_change", "pressure", "p_most = 0.7\nover_s = 60\nmax_age_s = 60\n[rule.limits]\nyellow = 1\n", r"number 1, p_most: .*0 < p <= 0.5"),
        ("threshold", "river_level", "max_age_s = 60\n[rule.limits]\nyellow = 1\n[rule.at.weir]\nyellow = 1\n", r"either `limits`"),
        ("threshold", "river_level", "max_age_s = nan\n[rule.limits]\nyellow = 1\n", r"number 1, max_age_s: .*wanted a finite number"),
        ("accumulation", "rain_amount", "interval_s = 60\nmax_age_s = 60\n[rule.hours.one]\nyellow = 1\n", r"number 1, hours: .*hours = 'one'; wanted a number of hours"),
        ("accumulation", "rain_amount", "interval_s = 60\nmax_age_s = 60\n", r"number 1, hours: .*hours is missing|hours is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_rule_is_said_with_line_key_got_and_wanted(
    tmp_path: Path, kind: str, quantity: str, body: str, words: str
) -> None:
    with pytest.raises(InputError) as fault:
        settings_of(tmp_path, rule_text(kind, quantity, body))
    assert re.search(r"^edge\.toml, line \d+: ", str(fault.value))
    assert re.search(words, str(fault.value)), str(fault.value)


@pytest.mark.parametrize(
    ("kind", "quantity", "body", "words"),
    [
        ("threshold", "river_level", 'limits = "library:nothing"\nmax_age_s = 60\n', r"no default threshold 'nothing'; there are rain_1h_hong_kong"),
        ("threshold", "river_level", 'limits = "rain_1h_hong_kong"\nmax_age_s = 60\n', r"number 1, limits: .*wanted numbers by level, or 'library:NAME'"),
        ("threshold", "rain_amount", 'limits = "library:rain_1h_hong_kong"\nmax_age_s = 60\n', r"number 1, limits: .*are of a sum; a threshold takes instant"),
        ("rise", "rain_amount", 'limits = "library:rain_1h_hong_kong"\nover_s = 9\nmax_age_s = 60\n', r"no default threshold is one for a rise"),
        ("threshold", "river_level", 'limits = "library:heat_index_us"\nmax_age_s = 60\n', r"is in degC, and river_level in m; convert"),
        ("threshold", "wind_chill", 'limits = "library:heat_index_us"\nverified = true\nmax_age_s = 60\n', r"whether it is verified, stand in the library"),
        ("accumulation", "rain_amount", 'limits = "library:rain_1h_hong_kong"\ninterval_s = 60\nmax_age_s = 60\n[rule.hours.1]\nyellow = 1\n', r"others beside them"),
        ("accumulation", "rain_amount", 'limits = ["library:rain_1h_hong_kong", "library:rain_1h_hong_kong"]\ninterval_s = 60\nmax_age_s = 60\n', r"wanted sums over different hours"),
        ("threshold", "river_level", "max_age_s = 60\n[rule.limits]\nyellow = 1\n", r"source is missing; wanted the document"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_name_of_the_library_is_said(tmp_path: Path, kind: str, quantity: str, body: str, words: str) -> None:
    with pytest.raises(InputError) as fault:
        settings_of(tmp_path, rule_text(kind, quantity, body, source=False))
    assert re.search(words, str(fault.value)), str(fault.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PARTS.replace('"high", "raining"', '"high", "snowing"').replace("alone = false\n", ""), r"number 3, of: .*'snowing'; wanted rules of this file or of a pack: high, raining"),
        (PARTS.replace('"high", "raining"', '"high", "high"').replace("alone = false\n", ""), r"number 3, of: .*each once"),
        (PARTS.replace('"high", "raining"', '"high"').replace("alone = false\n", ""), r"two or more"),
        (PARTS.replace('["weir", "rain-1"]', "[]"), r"number 3, groups: "),
        (PARTS + PARTS[PARTS.index('[[rule]]\nkind = "compound"') :].replace('name = "both"', 'name = "x"').replace('"raining"', '"both"'), r"number 4, of: .*'both'"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_compound_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as fault:
        settings_of(tmp_path, text)
    assert re.search(words, str(fault.value)), str(fault.value)


def test_a_node_reads_back_at_its_start_as_far_as_its_rules_look(tmp_path: Path) -> None:
    """EARS looks at twelve days; a node that began anew with the readings of two days would be blind for ten."""
    body, readings, _, _ = CASES["ears"]
    settings = settings_of(tmp_path, rule_text("ears", "cases", body))
    assert settings.remember_h > 12 * 24.0
    (step_s, values) = readings["cases", "town"]
    for given in (values[:-1], values[-1:]):
        edge = Edge(settings, clock=VirtualClock(START if given == values[-1:] else START - timedelta(days=1)))
        edge.node.restore(hours=settings.remember_h)
        end = START if given == values[-1:] else START - timedelta(days=1)
        edge.node.take(series(settings, "cases", "town", step_s, given, end))
        told = [entry.record for entry in edge.ledger.read() if isinstance(entry.record, Warning)]
        edge.close()
    assert told[-1].level == Level.YELLOW
