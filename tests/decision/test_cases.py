"""Past cases are found by what they share with what happens now, and say in what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.decision.cases import PastCase, Situation, alike, cases_of, find_case
from tocsin.flows.cases import all_cases, read_cases
from tocsin.pack import find_packs
from tocsin.vocabulary import InputError, NotFound

HISTORY = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "cases" / "historical_emergencies.json"

RAIN = PastCase(
    "rain",
    "City rain",
    "flood",
    "2021-07-20",
    {"rain_max_1h_mm": 200.0},
    chain=("rain>metro_flood",),
    lessons=("stop the metro early",),
)
RIVER = PastCase("river", "River flood", "flood", "2021-07-14", {"level_m": 5.75}, chain=("rain>bridge_clogging",))
FIRE = PastCase("fire", "Town fire", "wildfire", "2018-11-08")
ALL = (FIRE, RIVER, RAIN)


def test_likeness_is_the_mean_of_what_both_sides_tell() -> None:
    (first, second) = alike(ALL, Situation("flood", {"rain_max_1h_mm": 20.0}))
    assert (first.case, first.likeness, first.compared) == (RIVER, 1.0, 1)  # tells no rain, so only the hazard counts
    assert (second.case, second.likeness, second.compared) == (RAIN, 0.5, 2)  # a tenth of the rain is as unlike as can be


def test_a_case_that_tells_more_comes_before_one_that_only_shares_the_hazard() -> None:
    (first, second) = alike(ALL, Situation("flood", {"rain_max_1h_mm": 180.0}))
    assert (first.case, first.compared, second.case, second.compared) == (RAIN, 2, RIVER, 1)
    assert first.likeness < second.likeness == 1.0


def test_a_case_says_in_what_it_is_alike() -> None:
    second = alike(ALL, Situation("flood", {"rain_max_1h_mm": 20.0}))[1]
    assert second.why == ("also flood", "rain_max_1h_mm 20 here, 200 then")


def test_the_nearer_number_is_the_liker_case() -> None:
    near, far = (PastCase(name, name, "flood", "2020", {"level_m": level}) for name, level in (("near", 5.0), ("far", 2.0)))
    assert [one.case.id for one in alike((far, near), Situation("flood", {"level_m": 5.35}))] == ["near", "far"]


def test_words_and_steps_of_the_chain_are_found() -> None:
    assert alike(ALL, Situation(text="Metro under water"))[0].case is RAIN
    found = alike(ALL, Situation(chain=("rain>metro_flood",)))
    assert (found[0].case, found[0].likeness) == (RAIN, 1.0)
    assert (found[1].case, found[1].likeness) == (RIVER, pytest.approx(1 / 3))


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6))
def test_a_likeness_is_a_share_and_the_same_both_ways(a: float, b: float) -> None:
    def like(mine: float, theirs: float) -> float:
        found = alike((PastCase("x", "x", "flood", "2020", {"q_m": theirs}),), Situation(observed={"q_m": mine}))
        return found[0].likeness if found else 0.0

    assert 0.0 <= like(a, b) <= 1.0
    assert like(a, b) == pytest.approx(like(b, a), abs=1e-12)


def test_the_packs_bring_their_cases_and_name_plans_that_there_are() -> None:
    packs = find_packs()
    assert {"flood/Ahr valley flash flood", "flood/Porto Alegre flood"} <= {case.id for case in cases_of(packs)}
    assert all(case.says for case in cases_of(packs))


def test_a_case_that_is_not_there_is_told_with_what_is_near() -> None:
    with pytest.raises(NotFound, match="near it: river"):
        find_case(ALL, "rive")


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to compare"):
        Situation(text=" ")
    with pytest.raises(InputError, match="wanted a number"):
        Situation("flood", {"level_m": float("nan")})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is no JSON"),
        (b"{}", "wanted a list"),
        (b"[1]", "case 1: is a int"),
        (b'[{"id": "a", "name": "b", "domain": "flood"}]', "case 1: when = None"),
        (b'[{"id": "a", "name": "b", "domain": "flood", "start": "2020", "chain": "x"}]', "chain = 'x'"),
        (b'[{"id": "a", "name": "b", "domain": "flood", "start": "2020", "impact": []}]', "impact: is a list"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_case(content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_cases(content, where="cases.json")


def test_two_cases_of_one_id_are_refused() -> None:
    row = {"id": "a", "name": "b", "domain": "flood", "start": "2020"}
    with pytest.raises(InputError, match="stands in x.json too"):
        all_cases([("x.json", json.dumps([row]).encode()), ("y.json", json.dumps([row]).encode())])


@pytest.mark.real_data
@pytest.mark.skipif(not HISTORY.is_file(), reason="../shared/data/cases is not there")
def test_the_history_is_read_whole_and_a_metro_flood_finds_zhengzhou() -> None:
    cases = read_cases(HISTORY.read_bytes(), where=str(HISTORY))
    assert len(cases) == 29
    found = alike(cases, Situation("flood", {"rain_max_1h_mm": 150.0}, text="metro tunnel"))
    assert found[0].case.id == "zhengzhou-2021"
