"""A finished comparison is ranked again with other weights, without any run, as one can do by hand."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tocsin.decision.compare import Compared, compare, reweighed
from tocsin.decision.futures import foresee
from tocsin.decision.observe import Sighting, look
from tocsin.pack import Action, Duration, Effect, Plan, Scenario, Spread, find_pack
from tocsin.testing.memory import OneByOne
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import InputError, Series

PACK = find_pack("flood")
MODEL, HARM, WORLD = PACK.models[0], PACK.harm, TinyWorld(np.tile(np.linspace(0.0, 1.5, 6), (4, 1)))
STORM = Scenario(
    3600.0, 16, 1, {"level_offset_m": Spread(-0.6, 0.0, 0.6, "uniform")}, {"level@lake": Series.of([0.0, 1800.0], [0.0, 1.6])}
)
WAIT = Plan("wait", "flood", "", (Action("watch", "watch", "operator", Duration(60.0, 60.0, 60.0)),))
GO = Plan("go", "flood", "", (Action("go", "go", "police", Duration(1.0, 2.0, 4.0), (Effect("move_population", "low", 0.5),)),))


@pytest.fixture(scope="module")
def compared() -> Compared:
    return compare(WORLD, MODEL, HARM, foresee(WORLD, MODEL, STORM, OneByOne()), [WAIT, GO], OneByOne(), hour=3.0)


def test_a_reading_that_speaks_for_the_deep_futures_moves_the_harm_as_by_hand(compared: Compared) -> None:
    seen = compared.foreseen
    assert seen is not None
    looked = look(MODEL, seen, [Sighting("quay", "level@lake", 1800.0, 2.1, 0.1)])
    after = reweighed(compared, dict(zip((f.number for f in seen.futures), looked.weight, strict=True)))
    for name in ("wait", "go"):
        before, now = (next(s for s in c.scores if s.plan == name) for c in (compared, after))
        assert now.harm.mean == pytest.approx(
            sum(w * h for w, h in zip(looked.weight, compared.harm_by_future[name], strict=True))
        )
        assert now.harm.mean > before.harm.mean
        assert sum(after.harm_by_zone[name].values()) == pytest.approx(now.harm.mean)
    assert after.hazard_runs == compared.hazard_runs
    assert after.courses is compared.courses


def test_one_future_alone_is_told_as_that_future(compared: Compared) -> None:
    after = reweighed(compared, {5: 3.0})
    for score in after.scores:
        assert score.harm.mean == score.harm.low == score.harm.high == score.cvar == compared.harm_by_future[score.plan][5]
        assert score.futures == 1


def test_equal_weights_are_the_ranking_that_was(compared: Compared) -> None:
    after = reweighed(compared, dict.fromkeys(range(16), 1.0))
    assert after.scores == compared.scores
    assert after.harm_by_zone == compared.harm_by_zone
    assert (after.recommended, after.reason, after.doubt) == (compared.recommended, compared.reason, compared.doubt)


@pytest.mark.parametrize("weight", [{}, {99: 1.0}, {0: -1.0, 1: 2.0}, {0: float("nan")}])
def test_weights_that_say_nothing_are_refused(compared: Compared, weight: dict[int, float]) -> None:
    with pytest.raises(InputError, match="reweigh: weights of 16 futures"):
        reweighed(compared, weight)


def test_a_comparison_without_its_table_is_refused(compared: Compared) -> None:
    with pytest.raises(InputError, match="compare again"):
        reweighed(msgspec.structs.replace(compared, grounds=None), {0: 1.0})
