"""A plan goes through its file and stays the same plan; what is wrong in a file is told with its line, all of it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.decision.interpret import play
from tocsin.flows.plan_files import check_file, plan_from_toml, plan_to_toml, read_plan
from tocsin.flows.toml_lines import line_at, lines_of
from tocsin.pack import Action, Duration, Effect, Future, Plan, PlanLevel, Substitute, find_pack
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import InputError, Level

WORLD = TinyWorld()
MODEL = find_pack("flood").models[0]
HOUR = Duration(60.0, 60.0, 60.0)
words = st.text(max_size=12)
counts = st.integers(0, 99)
actions = st.builds(
    Action,
    name=words,
    do=words,
    role=words,
    duration=st.builds(Duration, st.just(1.0), st.just(2.0), st.just(9.5), st.sampled_from(["triangle", "lognormal"]), words),
    effects=st.lists(st.builds(Effect, words, words, st.floats(0, 9)), max_size=2).map(tuple),
    level=words,
    after=st.lists(words, max_size=2).map(tuple),
    when=words,
    cancel=words,
    cancel_on_leave=st.booleans(),
    otherwise=words,
    needs=st.dictionaries(words, counts, max_size=2),
    repeat_most=st.integers(1, 5),
    gradual=st.booleans(),
)
plans = st.builds(
    Plan,
    words,
    st.just("flood"),
    words,
    st.lists(actions, min_size=1, max_size=3).map(tuple),
    level=st.sampled_from([level for level in Level if level > 0]),
    levels=st.lists(
        st.builds(PlanLevel, words, st.sampled_from([x for x in Level if x > 0]), words, words, words, st.booleans()), max_size=2
    ).map(tuple),
    resources=st.dictionaries(words, counts, max_size=2),
    substitutes=st.dictionaries(
        words, st.lists(st.builds(Substitute, words, st.floats(0.1, 9)), min_size=1, max_size=2).map(tuple), max_size=2
    ),
)


@given(plans)
def test_a_plan_goes_through_its_file_and_stays_the_same_plan(plan: Plan) -> None:
    again = plan_from_toml(plan_to_toml(plan), where="here")
    assert again == plan
    assert again.digest() == plan.digest()


GOOD = """\
name = "quay"     # line 1
hazard = "flood"
summary = '''
[[actions]] is no action here
'''
basis = [
  "sheet 4", # ]
  "sheet 5",
]

[resources]
"fire crew" = 2

[[levels]]
name = "II"
level = "orange"
enter = 'level_m@lake >= 3 m for 15 min'

[[actions]]
name = "warn"
do = "x"
role = "police"
duration = { low_min = 10, usual_min = 15, high_min = 30 }

[[actions]]
name = "go"
do = "x"
role = "police"
level = "II"
duration = { low_min = 10, usual_min = 15, high_min = 30 }
when = 'flooded_share@low < 50 %'
needs = { "fire crew" = 1 }
"""


def test_each_part_of_a_file_has_its_line() -> None:
    lines = lines_of(GOOD)
    assert lines["name",] == 1
    assert lines["summary",] == 3
    assert lines["basis",] == 6
    assert lines["resources", "fire crew"] == 12
    assert lines["levels", 0, "enter"] == 17
    assert (lines["actions", 0], lines["actions", 1]) == (19, 25)
    assert lines["actions", 1, "when"] == 31
    assert line_at(lines, ("actions", 1, "cancel")) == 25
    assert line_at(lines, ("currency",)) == 1


keys = st.text("ab-_9 .\"'#[]=", min_size=1, max_size=4)


@given(
    st.recursive(st.one_of(st.integers(), st.text(max_size=9), st.booleans()), lambda v: st.lists(v, max_size=3), max_leaves=4),
    keys,
    keys,
)
def test_every_key_of_a_file_is_found_where_it_stands(value: Any, first: str, second: str) -> None:
    from tocsin.flows.plan_files import _key, _toml

    text = f"# [x]\n{_key(first)} = {_toml(value)} # = [\n\n[[{_key('t' + second)}]]\n{_key(second)}.k = [\n {_toml(value)},\n]\nlast = '''\n\\'''\n[end]\n"
    tomllib.loads(text)
    lines = lines_of(text)
    assert lines[first,] == 2
    assert lines["t" + second, 0] == 4
    assert lines["t" + second, 0, second, "k"] == 5
    assert lines["t" + second, 0, "last"] == 8
    assert lines["end",] == 10


def faults(text: str) -> list[str]:
    with pytest.raises(InputError) as told:
        check_file(read_plan(text, where="p.toml"), WORLD, MODEL)
    return str(told.value).splitlines()


def test_a_sound_file_has_no_fault() -> None:
    check_file(read_plan(GOOD, where="p.toml"), WORLD, MODEL)


def test_all_fields_that_are_wrong_are_told_with_their_lines() -> None:
    bad = GOOD.replace('role = "police"\nlevel', "role = 7\nlevels").replace("high_min = 30 }\nwhen", "high_min = true }\nwhen")
    bad = bad.replace('level = "orange"', 'level = "pink"').replace("usual_min = 15, high_min = 30 }\n\n", "high_min = 30 }\n\n")
    assert faults(bad) == [
        "p.toml, line 16: level 'II': level = 'pink'; wanted blue, yellow, orange, red",
        "p.toml, line 23: action 'warn': duration: Object missing required field `usual_min`",
        "p.toml, line 28: action 'go': role: Expected `str`, got `int`",
        f"p.toml, line 29: action 'go': no field 'levels'; there are: {', '.join(Action.__struct_fields__)}",
        "p.toml, line 30: action 'go': duration: Expected `float`, got `bool` - at `$.high_min`",
    ]


def test_all_that_could_never_be_carried_out_is_told_with_its_line() -> None:
    bad = GOOD.replace('fire crew" = 1', 'fire crew" = 9').replace("50 %", "50 m").replace("3 m for", "3 h for")
    told = faults(bad.replace('level = "II"', 'level = "III"'))
    assert [row.split(": ")[0] for row in told] == [
        "p.toml, line 14",
        "p.toml, line 17",
        "p.toml, line 29",
        "p.toml, line 31",
        "p.toml, line 32",
    ]
    assert "plan quay, level 'II': calls no action" in told[0]
    assert "level_m@lake is a length, 3 h is a time" in told[1]
    assert "plan quay, action 'go': no level 'III'; there are: II" in told[2]
    assert "column 19" in told[3]
    assert "needs 9 fire crew, the plan has 2" in told[4]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('[{ fact = "hours", op = "<", value = 6.0 }]', "when = 'hours < 6 h'"),
        ('[{ fact = "flooded_share@Ferry Quay", op = "<", value = 0.5 }]', "when = 'flooded_share@\"Ferry Quay\" < 50 %'"),
        (
            '[{ fact = "warning_level", op = ">=", value = 3 }, { fact = "level_m@lake", op = ">", value = 2.5 }]',
            "when = 'warning_level >= orange and level_m@lake > 2.5 m'",
        ),
        ('[{ fact = "flooded_share@O\'Hara", op = "<", value = 0.5 }]', 'when = "flooded_share@\\"O\'Hara\\" < 50 %"'),
    ],
)
def test_a_condition_of_the_old_kind_is_refused_with_the_line_to_write(old: str, new: str) -> None:
    (told,) = faults(GOOD.replace("when = 'flooded_share@low < 50 %'", f"when = {old}"))
    assert told == f"p.toml, line 31: action 'go': when was a list of conditions and is a trigger now; write: {new}"
    tomllib.loads(new)


def test_of_very_many_faults_the_first_fifty_are_told() -> None:
    many = GOOD + "".join(f"x{k} = 1\n" for k in range(60))
    told = faults(many)
    assert len(told) == 51
    assert told[-1] == "p.toml: and 10 more"


def test_the_guides_example_is_sound_and_does_what_the_guide_says() -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "guide" / "plans.md").read_text()
    text = next(block for block in re.findall(r"^```toml\n(.*?)^```", guide, re.MULTILINE | re.DOTALL) if "[[actions]]" in block)
    file = read_plan(text.replace("Ferry Quay", "low"), where="quay.toml")
    check_file(file, WORLD, MODEL)

    def high(name: str, time_s: float) -> float:
        return {"hours": time_s / 3600.0, "level_m@lake": 3.5, "rise_m_per_h@lake": 0.0, "flooded_share@low": 0.2}[name]

    course = play(file.plan, Future(0, 7, 86_400.0, {}), high)
    assert course.of("evacuate the quay").held == {"crew": 2, "bus": 3, "truck": 2}
    assert course.of("fetch them by boat").skipped
    assert course.of("patrol the dike").times == 12
