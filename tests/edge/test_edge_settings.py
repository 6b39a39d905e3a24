"""edge.toml: the example works, and what is wrong is said with line, key, got and wanted."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tocsin.edge.actions import Command, LogLine
from tocsin.edge.collectors import find_collectors
from tocsin.edge.rule_settings import COMPOUND, RULE_KINDS
from tocsin.edge.settings import Settings, read_settings
from tocsin.vocabulary import InputError, Level, NotFound, Window

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "edge.toml"
LEAST = '[node]\nname = "n"\ndata = "d"\n'
QUANTITY = '[[quantity]]\nname = "river_level"\nunit = "m"\n'
RULE = (
    '[[rule]]\nkind = "threshold"\nname = "high"\nhazard = "flood"\nquantity = "river_level"\nsource = "a test"\n'
    "max_age_s = 600\n[rule.limits]\nyellow = 1.0\nred = 2.0\n"
)


def read(folder: Path, text: str) -> Settings:
    path = folder / "edge.toml"
    path.write_text(text)
    return read_settings(path, kinds=find_collectors())


def test_the_example_of_the_guide_is_in_order() -> None:
    settings = read_settings(EXAMPLE, kinds=find_collectors())
    assert settings.data == EXAMPLE.parent / "data"
    assert [rule.name for rule in settings.rules["flood"]] == ["river_high", "river_rising_fast", "heavy_rain"]
    assert [action.kind for action in settings.actions] == ["log", "webhook", "mqtt", "command"]
    assert settings.collectors[0].name == "logger files"
    assert settings.checks[0].gap_s == 1800.0
    assert settings.expected[0].sites == ("weir", "quay")


def test_the_example_shows_every_kind_of_rule_and_every_section() -> None:
    text = EXAMPLE.read_text()
    assert {*re.findall(r'kind = "(\w+)"', text)} >= {*RULE_KINDS, COMPOUND}
    for section in ("[node]", "[spool]", "[uplink]", "[[quantity]]", "[[expect]]", "[[collector]]", "[[check]]", "[[action]]"):
        assert f"\n{section}\n" in text


def test_every_line_of_the_example_says_something_that_is_read(tmp_path: Path) -> None:
    """A key that is taken away, or spelt otherwise, is missed or refused: none is there for show."""
    lines = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"[a-z_]+ = ", line):
            spoilt = [*lines[:number], line.replace(" = ", "_x = ", 1), *lines[number + 1 :]]
            with pytest.raises(InputError):
                read(tmp_path, "\n".join(spoilt))


def test_the_least_that_is_a_node(tmp_path: Path) -> None:
    settings = read(tmp_path, LEAST)
    assert (settings.node.tick_s, settings.uplink, settings.rules) == (60.0, None, {})


def test_a_rule_of_data_is_the_rule_of_the_pack_kit(tmp_path: Path) -> None:
    (rule,) = read(tmp_path, LEAST + QUANTITY + RULE).rules["flood"]
    window = Window(rule.reads, ("a", "b"), np.array([[60.0], [60.0]]), np.array([[2.5], [0.5]]), np.ones((2, 1), bool))
    verdict = rule.judge(window, np.zeros(2, np.int8))
    assert verdict.level.tolist() == [Level.RED, Level.NONE]
    assert not rule.verified


@pytest.mark.parametrize(("more", "verified"), [("verified = true\n", True), ("verified = true\npublic = false\n", False)])
def test_only_a_rule_that_is_verified_and_public_warns_the_public(tmp_path: Path, more: str, verified: bool) -> None:
    text = LEAST + QUANTITY + RULE.replace("max_age_s", more + "max_age_s")
    assert read(tmp_path, text).rules["flood"][0].verified == verified


def test_a_pack_brings_its_quantities_and_rules(tmp_path: Path) -> None:
    settings = read(tmp_path, 'packs = ["flood"]\n' + LEAST)
    assert "river_level" in settings.quantities
    assert "river_rising_fast" in [rule.name for rule in settings.rules["flood"]]


def test_levels_of_an_action_are_words(tmp_path: Path) -> None:
    text = (
        LEAST
        + '[[action]]\nkind = "log"\nname = "l"\nfrom = "red"\n[[action]]\nkind = "command"\nname = "c"\nargv = ["/bin/true"]\n'
    )
    log, command = read(tmp_path, text).actions
    assert isinstance(log, LogLine)
    assert log.from_ == "red"
    assert isinstance(command, Command)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[node\n", r"edge.toml: cannot be read as TOML: .*line 1"),
        ("", r"no \[node\]"),
        (LEAST + "[nodes]\nx = 1\n", r"line 4: \[nodes\]: unknown section; did you mean 'node'"),
        (LEAST + "tick = 3\n", r"line 4: \[node\], tick: unknown key; did you mean 'tick_s'"),
        (LEAST + 'tick_s = "3"\n', r"line 4: \[node\], tick_s: Expected `float`, got `str`"),
        (LEAST + "tick_s = -3\n", r"line 1: \[node\]: .*tick_s > 0"),
        ('[node]\nname = "a b"\ndata = "d"\n', r"name = 'a b'; wanted 1 to 64 letters"),
        ('[node]\nname = "a"\n', r"line 1: \[node\]: data is missing"),
        (LEAST + 'purpose = "real"\n', r"line 4: \[node\], purpose: Invalid enum value 'real'"),
        ("node = 3\n", r"line 1: \[node\]: wanted one \[node\]"),
        (LEAST + '[quantity]\nname = "x"\n', r"line 4: \[quantity\]: wanted \[\[quantity\]\] with two brackets"),
        (LEAST + QUANTITY + QUANTITY, r"line 8: \[\[quantity\]\] number 2, name: 'river_level' is named twice"),
        (LEAST + QUANTITY + "low = 3\nhigh = 1\n", r"line 4: .*low = 3.* is not below high"),
        (LEAST + '[[expect]]\nquantity = "level"\nsites = []\n', r"line 5: .*quantity: got 'level'; there are none"),
        (LEAST + '[spool]\nkeep_mb = 1\n', r"line 4: \[spool\]: segment_mb = 16, keep_mb = 1"),
        (LEAST + '[uplink]\nurl = "tocsin.example.org"\n', r"\[uplink\]: url = 'tocsin.example.org'; wanted https"),
        (LEAST + '[uplink]\nurl = "https://x"\nbatch_kb = 0\n', r"batch_kb in 1..16384"),
        (LEAST + '[uplink]\nurl = "https://x"\ncompression = "lzma"\n', r"line 6: .*compression: Invalid enum value"),
        (LEAST + QUANTITY + RULE.replace('"threshold"', '"treshold"'), r"line 8: \[\[rule\]\] number 1, kind: .*wanted one of threshold"),
        (LEAST + QUANTITY + RULE.replace("max_age_s", "max_age"), r"line 13: .*max_age: unknown key; did you mean 'max_age_s'"),
        (LEAST + QUANTITY + RULE.replace("yellow", "pink"), r"level 'pink'; wanted blue"),
        (LEAST + QUANTITY + RULE.replace("red = 2.0", "red = 0.5\norange = 3"), r"neither rise nor fall"),
        (LEAST + QUANTITY + RULE.replace("[rule.limits]\nyellow = 1.0\nred = 2.0\n", ""), r"either `limits`"),
        (LEAST + QUANTITY + RULE + RULE, r"two rules are named 'high'"),
        (LEAST + QUANTITY + RULE.replace('"river_level"', '"level"'), r"got 'level'; there are river_level"),
        (LEAST + '[[collector]]\nkind = "pigeon"\nname = "p"\n', r"line 5: .*kind = 'pigeon'; wanted one of .*files"),
        (LEAST + '[[action]]\nkind = "bell"\nname = "p"\n', r"line 5: .*kind = 'bell'; wanted one of log"),
        (LEAST + '[[action]]\nkind = "log"\nname = "l"\ncolour = 1\n', r"line 7: .*colour: unknown key"),
        (LEAST + '[[action]]\nkind = "log"\nname = "l"\n' * 2, r"line 9: .*number 2, name: 'l' is there twice"),
        ('packs = ["unicorn"]\n' + LEAST, r"line 1: packs: no pack for 'unicorn'"),
        ('packs = "flood"\n' + LEAST, r"line 1: packs.*wanted a list of names"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as fault:
        read(tmp_path, text)
    assert re.search(words, str(fault.value)), str(fault.value)


def test_two_checks_of_one_quantity_are_refused(tmp_path: Path) -> None:
    check = '[[check]]\nquantity = "river_level"\ninterval_s = 60\nsource = "s"\nsensor_span = [0.0, 9.0]\n'
    assert read(tmp_path, LEAST + QUANTITY + check).checks[0].interval_s == 60
    with pytest.raises(InputError, match="'river_level' is there twice"):
        read(tmp_path, LEAST + QUANTITY + check + check)
    with pytest.raises(InputError, match=r"line 7: .*low < high"):
        read(tmp_path, LEAST + QUANTITY + check.replace("9.0]", "-9.0]"))
    with pytest.raises(InputError, match=r"spike: unknown key; did you mean 'spike_fail'|spike: unknown key"):
        read(tmp_path, LEAST + QUANTITY + check + "spike = 3\n")


def test_a_file_that_is_not_there_or_too_large_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="no such file"):
        read_settings(tmp_path / "edge.toml")
    monkeypatch.setattr("tocsin.edge.settings.FILE_BYTES_MOST", 10)
    with pytest.raises(InputError, match="wanted at most 10"):
        read(tmp_path, LEAST)
