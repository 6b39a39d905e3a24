"""Futures are drawn from what is known, and a scenario that grows keeps those that it has."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.decision.futures import draw
from tocsin.pack import Analogue, Scenario, Spread, find_pack
from tocsin.vocabulary import InputError, Series

MODEL = find_pack("flood").models[0]
RAIN = {name: Series.constant(mm) for name, mm in (("drizzle", 2.0), ("cloudburst", 60.0))}


def scenario(members: int, **more: object) -> Scenario:
    knobs = {
        "rain_factor": Spread(0.5, 1.0, 2.0, "lognormal", sd=0.3),
        "level_offset_m": Spread(-0.5, 0.0, 0.5, "normal", sd=0.2),
        "manning_factor": Spread(0.7, 1.0, 1.5, "choice", values=(0.7, 1.0, 1.5), shares=(1.0, 2.0, 1.0)),
    }
    return Scenario(600.0, members, 4, knobs, **more)  # type: ignore[arg-type]


def test_a_scenario_that_grows_keeps_the_futures_that_it_has() -> None:
    many = draw(MODEL, scenario(50))
    assert draw(MODEL, scenario(13)) == many[:13]
    assert draw(MODEL, scenario(50), first=13) == many[13:]


def test_a_latin_hypercube_that_should_grow_is_refused() -> None:
    assert len(draw(MODEL, scenario(13, sampling="latin"))) == 13
    with pytest.raises(InputError, match="cannot be grown"):
        draw(MODEL, scenario(50, sampling="latin"), first=13)


def test_knobs_fall_as_their_shapes_say() -> None:
    futures = draw(MODEL, scenario(512))
    manning = np.array([f.knobs["manning_factor"] for f in futures])
    assert [(manning == v).sum() for v in (0.7, 1.0, 1.5)] == [128, 256, 128]
    rain = np.array([f.knobs["rain_factor"] for f in futures])
    assert 0.5 <= rain.min() < rain.max() <= 2.0
    # the cut at 0.5 and 2 is alike on both sides of the median in the logarithm, so half lies on each side of it
    assert ((rain < 1.0).sum(), {f.knobs["loss_mm_per_h"] for f in futures}) == (256, {0.0})


def test_each_future_has_one_of_the_storms_that_were_and_the_likelier_ones_more_often() -> None:
    storms = tuple(Analogue(name, {"rain": s}, share) for (name, s), share in zip(RAIN.items(), (3.0, 1.0), strict=True))
    futures = draw(MODEL, scenario(64, analogues=storms))
    assert [sum(f.analogue == name for f in futures) for name in RAIN] == [48, 16]
    assert all(f.series["rain"] is RAIN[f.analogue] for f in futures)
    (only,) = draw(MODEL, scenario(1, analogues=storms))
    assert (only.analogue, only.knobs["rain_factor"]) == ("drizzle", 1.0)


def test_a_source_that_nobody_knows_is_elsewhere_in_each_analogue_and_a_lake_is_not() -> None:
    leaks = tuple(
        Analogue(f"leak {k}", {f"release@-51.{k},-30.0": RAIN["drizzle"], "wind_from": RAIN["drizzle"]}, share)
        for k, share in ((1, 1.0), (2, 1.0))
    )
    gas = find_pack("chemical").models[0]
    futures = draw(gas, Scenario(3600.0, 8, 1, analogues=leaks))
    assert {name for f in futures for name in f.series} == {"release@-51.1,-30.0", "release@-51.2,-30.0", "wind_from"}
    assert all(len(f.series) == 2 for f in futures)
    lakes = tuple(Analogue(name, {f"level@{name}": RAIN["drizzle"]}) for name in ("north", "south"))
    with pytest.raises(InputError, match="level@north, level@south is not in all analogues"):
        draw(MODEL, scenario(8, analogues=lakes))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Spread(0.0, 1.0, 2.0, "normal"), "normal with sd = 0"),
        (lambda: Spread(-1.0, 0.0, 2.0, "lognormal", sd=1.0), "median of 0"),
        (lambda: Spread(0.0, 1.0, 2.0, "choice", values=(1.0,)), "choice of 1 values"),
        (lambda: Spread(0.0, 1.0, 2.0, "sample", values=(1.0, 3.0)), "leave 0..2"),
        (lambda: Spread(0.0, 1.0, 2.0, "choice", values=(1.0, 2.0), shares=(1.0,)), "wanted 2"),
        (lambda: Scenario(1.0, 1, -1), "seed -1"),
        (
            lambda: Scenario(1.0, 2, 1, analogues=(Analogue("a", RAIN), Analogue("b", {}))),
            "different forcings",
        ),
        (
            lambda: Scenario(1.0, 2, 1, {}, {"rain": RAIN["drizzle"]}, (Analogue("a", {"rain": RAIN["drizzle"]}),)),
            "is given by the analogues and besides",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(make, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=says):
        make()
