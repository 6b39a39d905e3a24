"""Rankings come early and sharpen; hazard runs are shared, spent where they count, and what fails is told."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tocsin.decision.compare import Compared, Racing, compare, sharpen
from tocsin.decision.futures import foresee
from tocsin.decision.limits import limit_of
from tocsin.pack import Action, Duration, Effect, Plan, Scenario, Spread, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.testing.memory import OneByOne
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import InputError, Member, Series

PACK = find_pack("flood")
MODEL, HARM, WORLD = PACK.models[0], PACK.harm, TinyWorld(np.tile(np.linspace(0.0, 1.5, 6), (4, 1)))
SPREADS = {"level_offset_m": Spread(-0.6, 0.0, 0.6, "uniform")}


def storm(members: int) -> Scenario:
    return Scenario(3600.0, members, 1, SPREADS, {"level@lake": Series.of([0.0, 1800.0], [0.0, 1.6])})


def moving(share: float, name: str) -> Plan:
    go = Action("go", "go", "police", Duration(1.0, 2.0, 4.0), (Effect("move_population", "low", share),))
    return Plan(name, "flood", "", (go,))


def raising(minutes: float, name: str) -> Plan:
    lasts = Duration(minutes, minutes, minutes)
    return Plan(name, "flood", "", (Action("raise", "raise", "fire", lasts, (Effect("raise_barrier", "gate", 3.0),)),))


WAIT = Plan("wait", "flood", "", (Action("watch", "watch", "operator", Duration(60.0, 60.0, 60.0)),))
PLANS = [WAIT, moving(0.2, "few"), moving(0.9, "most"), raising(55.0, "too late"), raising(5.0, "gate")]


def rankings(plans: list[Plan], members: int, model: object = MODEL, **more: object) -> list[Compared]:
    return list(sharpen(WORLD, model, HARM, storm(members), plans, OneByOne(), hour=3.0, **more))  # type: ignore[arg-type]


def test_the_last_ranking_of_all_pairs_is_that_of_all_futures_run_beforehand() -> None:
    *_, last = rankings(PLANS, 24)
    seen = foresee(WORLD, MODEL, storm(24), LocalCompute(2))
    whole = compare(WORLD, MODEL, HARM, seen, PLANS, LocalCompute(2), hour=3.0)
    assert [s.plan for s in last.scores] == [s.plan for s in whole.scores]
    for name, harm in whole.harm_by_future.items():
        np.testing.assert_array_equal(last.harm_by_future[name], harm)
    assert last.foreseen is not None
    np.testing.assert_array_equal(last.foreseen.footprint.peak, seen.footprint.peak)
    assert last.hazard_runs == whole.hazard_runs == 24 * 3  # the hazard as it comes, and as each of two barriers leaves it


def test_the_first_ranking_comes_after_a_few_futures_and_others_follow() -> None:
    looks = rankings(PLANS, 64)
    assert looks[0].tried <= 8
    assert [look.finished for look in looks] == [False] * (len(looks) - 1) + [True]
    tried = [look.tried for look in looks]
    assert tried == sorted(tried)
    assert looks[-1].tried == 64


def test_a_race_needs_fewer_runs_and_chooses_what_all_pairs_choose() -> None:
    whole = rankings(PLANS, 128)[-1]
    raced = rankings(PLANS, 128, racing=Racing())[-1]
    assert raced.recommended == whole.recommended
    assert raced.hazard_runs < 0.7 * whole.hazard_runs
    assert {"wait"} <= {o.plan for o in raced.out} <= {"wait", "few", "too late", "most"}
    assert raced.gap <= 0.02 * 60.0
    assert "95 % sure that over all 128 futures" in raced.doubt.replace("95% sure", "95 % sure")
    # what is claimed is true: no plan is better over all futures than the one that was chosen, by more than the gap
    scores = {s.plan: 0.5 * s.harm.mean + 0.5 * s.cvar for s in whole.scores}
    assert scores[raced.recommended] - min(scores.values()) <= raced.gap


def test_a_plan_that_is_out_is_tried_no_more_and_stays_in_the_ranking() -> None:
    raced = rankings(PLANS, 128, racing=Racing(within=0.0))[-1]
    gone = raced.out[0]
    tried = int(np.isfinite(raced.harm_by_future[gone.plan]).sum())
    assert tried < raced.tried
    assert gone.after <= tried
    assert {s.plan for s in raced.scores} == {p.name for p in PLANS}
    assert raced.courses[gone.plan].count(None) == raced.tried - tried


def test_where_there_are_hard_limits_no_plan_leaves_the_race() -> None:
    last = rankings(PLANS[:3], 48, racing=Racing(), limits=(limit_of("people_in_danger <= 5"),))[-1]
    assert last.out == ()
    assert all(np.isfinite(harm).all() for harm in last.harm_by_future.values())


def test_while_not_all_is_run_a_plan_that_the_race_has_ahead_is_named_beside_the_one_that_leads_by_its_own_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = "by an estimate that trusts few bad futures less, wait"
    asked = Racing(within=0.0, sketch=False)
    monkeypatch.setattr("tocsin.science.race.Race.best", lambda _self: 0)
    looks = rankings(PLANS, 48, racing=asked)
    assert looks[0].recommended != "wait"
    assert words in looks[0].doubt
    whole = rankings(PLANS, 48)
    assert not any(words in look.doubt for look in whole)  # every plan goes through every future, and no race has anyone ahead
    monkeypatch.setattr(
        "tocsin.science.race.Race.best", lambda _self: next(k for k, p in enumerate(PLANS) if p.name == whole[-1].recommended)
    )
    assert words not in rankings(PLANS, 48, racing=asked)[0].doubt


def test_closing_stops_the_work() -> None:
    runs = 0

    def counted(world, future, effects, frame_s) -> Member:  # type: ignore[no-untyped-def]
        nonlocal runs
        runs += 1
        return MODEL.run(world, future, effects, frame_s)

    looks = sharpen(WORLD, msgspec.structs.replace(MODEL, run=counted), HARM, storm(64), PLANS[:3], OneByOne(), hour=3.0)
    next(looks)
    looks.close()
    assert runs <= 10


def failing(numbers: set[int], *, when_changed: bool = False):  # type: ignore[no-untyped-def]
    def run(world, future, effects, frame_s) -> Member:  # type: ignore[no-untyped-def]
        if future.number in numbers and bool(effects) >= when_changed:
            raise FloatingPointError("water ran uphill")
        return MODEL.run(world, future, effects, frame_s)

    return msgspec.structs.replace(MODEL, run=run)


@pytest.mark.parametrize("racing", [None, Racing()])
def test_a_future_that_fails_is_told_with_its_number_and_seed_and_left_out(racing: Racing | None) -> None:
    last = rankings(PLANS[:3], 48, failing({5}), racing=racing)[-1]
    (failure,) = last.failed
    assert (failure.number, failure.seed) == (5, 1_000_003 + 5)
    assert "water ran uphill" in failure.reason
    assert f"1 of 48 futures could not be played and are left out: number 5 (seed {failure.seed})" in last.doubt
    assert last.futures == 47
    assert last.foreseen is not None
    assert 5 not in [f.number for f in last.foreseen.futures]


def test_a_run_that_fails_only_as_a_plan_changes_it_is_told_too() -> None:
    last = rankings(PLANS, 32, failing({9}, when_changed=True))[-1]
    assert "as changed by raise_barrier: FloatingPointError" in last.failed[0].reason
    assert np.isnan(last.harm_by_future["gate"]).sum() == 1
    assert np.isfinite(last.harm_by_future["wait"]).all()


def test_when_more_than_a_twentieth_of_the_futures_fail_all_stops_and_says_why() -> None:
    model = failing({1, 2, 3, 5})
    for run in (lambda: rankings(PLANS[:2], 48, model), lambda: foresee(WORLD, model, storm(48), OneByOne())):
        with pytest.raises(Exception, match=r"3 of 48 failed, wanted at most 5%: number 1 \(seed 1000004\)"):
            run()
    assert len(foresee(WORLD, model, storm(48), OneByOne(), failed_share_most=0.1).failed) == 4


def test_futures_that_failed_before_are_told_by_the_comparison_after() -> None:
    seen = foresee(WORLD, failing({3}), storm(40), OneByOne())
    done = compare(WORLD, MODEL, HARM, seen, PLANS[:3], OneByOne(), hour=3.0)
    assert "1 of 40 futures could not be played" in done.doubt
    assert done.harm_by_future["wait"].size == 39
    whole = compare(WORLD, MODEL, HARM, foresee(WORLD, MODEL, storm(40), OneByOne()), PLANS[:3], OneByOne(), hour=3.0)
    np.testing.assert_array_equal(done.harm_by_future["wait"], np.delete(whole.harm_by_future["wait"], 3))


def test_one_plan_that_acts_on_the_hazard_is_tried_in_every_future() -> None:
    for racing in (None, Racing()):
        last = rankings([raising(5.0, "gate")], 20, racing=racing)[-1]
        assert np.isfinite(last.harm_by_future["gate"]).sum() == 20


@pytest.mark.parametrize(("sure", "within"), [(0.4, None), (1.0, None), (0.9, -1.0), (0.9, float("nan"))])
def test_a_race_that_could_not_be_meant_is_refused(sure: float, within: float | None) -> None:
    with pytest.raises(InputError, match="race:"):
        Racing(sure, within)
