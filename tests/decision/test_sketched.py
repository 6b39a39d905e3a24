"""Sketches of all futures help to compare, stand in no table, and cannot make a choice sure that is not."""

from __future__ import annotations

from functools import partial

import msgspec
import numpy as np
import pytest
from test_sharpen import HARM, MODEL, PLANS, WORLD, moving, rankings, storm

from tocsin.decision.compare import Racing, sharpen
from tocsin.pack import Model
from tocsin.packs.flood.model import sketched_water
from tocsin.testing.memory import OneByOne
from tocsin.vocabulary import Member

RUNS: list[int] = []


def noted(kind: str, world, future, effects, frame_s) -> Member:  # type: ignore[no-untyped-def]
    """A sketch that is good, upside down, or fails; and notes which future it was asked for."""
    RUNS.append(future.number)
    member = MODEL.run(world, future, effects, frame_s)
    if kind == "fails":
        raise FloatingPointError("the pencil broke")
    if kind == "upside down":
        peak = np.where(member.peak > 0.3, np.float32(0.0), np.float32(1.0))
        return msgspec.structs.replace(member, peak=peak, arrival_s=np.zeros_like(member.arrival_s))
    return msgspec.structs.replace(member, peak=np.float32(0.9) * member.peak)


def with_sketch(kind: str) -> Model:
    RUNS.clear()
    return msgspec.structs.replace(MODEL, sketch=lambda _world: partial(noted, kind))


def test_all_futures_are_sketched_once_for_each_thing_that_plans_do_to_the_water() -> None:
    looks = rankings(PLANS, 40, with_sketch("good"), racing=Racing())
    *_, middle, last = looks
    assert len(RUNS) == 3 * 40  # as it comes, and as each of two barriers leaves it
    assert sorted(set(RUNS)) == list(range(40))
    assert last.sketched is not None
    assert (last.sketched.futures, last.sketched.full) == (40, last.tried)
    assert last.sketched.correlation > 0.9
    assert "40 futures were sketched on coarser ground" in middle.doubt
    assert looks[0].sketched is None  # the first ranking does not wait for them


def test_no_figure_is_a_sketchs() -> None:
    plain = rankings(PLANS, 40)[-1]
    last = rankings(PLANS, 40, with_sketch("upside down"), racing=Racing())[-1]
    assert last.grounds is not None
    for name, harm in last.harm_by_future.items():
        whole = plain.harm_by_future[name][list(last.grounds.numbers)]
        np.testing.assert_array_equal(harm[np.isfinite(harm)], whole[np.isfinite(harm)])
    assert last.grounds.table.weight.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["good", "upside down", "fails"])
def test_whatever_the_sketch_what_is_claimed_of_all_futures_is_true(kind: str) -> None:
    whole = rankings(PLANS, 40)[-1]
    truth = {s.plan: 0.5 * s.harm.mean + 0.5 * s.cvar for s in whole.scores}
    last = rankings(PLANS, 40, with_sketch(kind), racing=Racing())[-1]
    assert truth[last.recommended] - min(truth.values()) <= last.gap + 1e-9
    assert min(truth, key=lambda name: truth[name]) not in {o.plan for o in last.out}
    if kind == "fails":
        assert last.sketched is None
        assert last.failed == ()


def test_asked_for_no_sketch_none_is_made() -> None:
    *_, last = sharpen(
        WORLD, with_sketch("good"), HARM, storm(32), PLANS, OneByOne(), hour=3.0, racing=Racing(within=0.0, sketch=False)
    )
    assert RUNS == []
    assert last.sketched is None


def test_where_the_plans_alone_say_which_is_best_nothing_is_sketched_and_few_futures_are_run() -> None:
    plans = [moving(0.2, "few"), moving(0.5, "half"), moving(0.9, "most"), PLANS[0]]
    last = rankings(plans, 200, with_sketch("good"), racing=Racing(within=0.0))[-1]
    assert last.recommended == "most"
    assert (last.gap, last.tried) == (0.0, 8)
    assert RUNS == []
    assert {o.plan for o in last.out} == {"few", "half", "wait"}
    assert "95% sure that over all 200 futures, of which 8 were run, no other plan is better" in last.doubt


def test_a_world_too_small_for_a_sketch_is_run_as_it_was() -> None:
    assert MODEL.sketched(WORLD) is None
    assert rankings(PLANS, 32, racing=Racing())[-1].sketched is None


def test_a_sketch_of_the_flood_is_told_on_the_worlds_cells_with_barriers_and_frames() -> None:
    from tocsin.decision.futures import draw
    from tocsin.pack import Effect

    future = draw(MODEL, storm(4))[0]
    sketch = msgspec.structs.replace(MODEL, run=partial(sketched_water, 1))
    for effects in ((), (Effect("raise_barrier", "gate", 3.0, 300.0),)):
        full, told = MODEL.play(WORLD, future, effects, (1800.0,)), sketch.play(WORLD, future, effects, (1800.0,))
        np.testing.assert_allclose(told.peak, full.peak, atol=0.011)  # cells with a film of 1 cm count as dry
        assert told.frames is not None
        assert full.frames is not None
        np.testing.assert_allclose(told.frames, full.frames, atol=0.011)
