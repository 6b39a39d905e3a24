"""Water on the ground is moved towards its gauges when an assessment is made anew: in a whole platform, in virtual time, with a truth that is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_place import build_place, feature, geojson, lonlat
from msgspec import UNSET

from tocsin.edge.latest import microseconds
from tocsin.edge.state_update import StateUpdate
from tocsin.flows.following import Followed
from tocsin.flows.hazard_watch import Watched
from tocsin.flows.verify import score_ledger
from tocsin.host import VirtualClock
from tocsin.interfaces.serving import Platform, open_platform
from tocsin.pack import Scenario, Spread, find_pack
from tocsin.platform.forecasts import StoredForecast
from tocsin.platform.twin import Twin, open_twin
from tocsin.vocabulary import Note, Observations, Series

START = datetime(2026, 1, 1, tzinfo=UTC)
PACK = find_pack("flood")
MODEL, LEVEL = PACK.models[0], next(q for q in PACK.observes if q.unit == "m")
POSTS = {"a": (7.5, 6.5), "b": (8.5, 8.5), "c": (7.5, 10.5)}
LATER_S = 2_400.0
STORM = Scenario(
    3 * 3600.0,
    12,
    1,
    {"level_offset_m": Spread(-0.6, 0.0, 0.6, "uniform")},
    {"level@lake": Series.of([0.0, 1800.0], [0.0, 1.6])},
)
TRUTH = Series.of([0.0, 1800.0], [0.0, 2.7])  # 0.5 m above the highest of the futures


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    folder = tmp_path_factory.mktemp("moved")
    posts = [
        feature("Point", lonlat(*at), site=site, name=site, quantity=MODEL.makes.name, unit="m", error_sd=0.05)
        for site, at in POSTS.items()
    ]
    quay = feature("Point", lonlat(3.5, 8.5), site="quay", name="Quay", quantity=LEVEL.name, unit="m", water="lake")
    return open_twin(build_place(folder, "--gauges", geojson(folder / "gauges.geojson", [quay, *posts]), "--cell", "50"))


@pytest.fixture(scope="module")
def came(twin: Twin) -> Any:
    """The depth that comes, at 0, 1200 and 2400 s, (frame, place)."""
    import msgspec

    from tocsin.decision.futures import draw

    (future,) = draw(MODEL, msgspec.structs.replace(STORM, members=1, knobs={}, series={"level@lake": TRUTH}))
    return MODEL.play(twin.world(START), future, (), (0.0, 1200.0, LATER_S)).frames


@contextmanager
def platform_in(folder: Path, twin: Twin, update: StateUpdate) -> Iterator[Platform]:
    clock = VirtualClock(START)
    platform = open_platform(
        folder, twin=twin, watched=[Watched(PACK, lambda _w, _n: STORM)], clock=clock, purpose="exercise", frame_step_s=1200.0
    )
    platform.centre.watch("flood").state_update = update
    with closing(platform):
        yield platform


def drill(platform: Platform, twin: Twin, came: Any, wrong: float = 0.0) -> Followed:
    """An assessment, and 40 minutes later readings of what came: outside of all its futures."""
    centre, latest = platform.centre, platform.centre.latest
    centre.watch("flood").assess(())
    now = START + timedelta(seconds=LATER_S)
    centre.host.clock._now = now  # type: ignore[attr-defined]
    latest.take(Observations.of(LEVEL, ("quay",), [0], [microseconds(now)], [TRUTH.at(LATER_S)]))
    gauges = {g.site: g for g in twin.gauges}
    depth = [float(came[2, gauges[site].place]) + wrong * (-1.0) ** k for k, site in enumerate(POSTS)]
    assert min(came[2, gauges[site].place] for site in POSTS) > 0.2  # the water has come to all of them
    latest.take(Observations.of(MODEL.makes, tuple(POSTS), [0, 1, 2], [microseconds(now)] * 3, np.maximum(depth, 0.0)))
    watch = centre.watch("flood")
    watch.following.heard()
    lost = watch.follow()
    assert lost is not None
    assert lost.is_lost
    return lost


def begun(platform: Platform) -> Any:
    """The newest forecast, and its water at its first moment, (member, place)."""
    forecast = list(platform.centre.board.forecasts.values())[-1]
    return forecast, StoredForecast(platform.centre.folder / forecast.result).frame(0)


def test_a_gauge_on_the_ground_is_shown_before_it_has_said_anything(twin: Twin, tmp_path: Path) -> None:
    with platform_in(tmp_path, twin, StateUpdate()) as platform:
        told = {gauge.site: platform.centre.gauge_status(gauge, points=3) for gauge in platform.centre.gauges}
    assert set(told) == {"quay", *POSTS}
    assert all(told[site]["value"] is None for site in POSTS)


def test_it_goes_on_from_the_water_that_gauges_show_and_says_how_well_held_back_ones_were_told(
    twin: Twin, came: Any, tmp_path: Path
) -> None:
    with platform_in(tmp_path / "on", twin, StateUpdate(on=True, reach_m=400.0)) as platform:
        lost = drill(platform, twin, came)
        platform.centre.watch("flood").assess((lost.verification_id,), lost.anew, lost=lost)
        forecast, on = begun(platform)
        moved = forecast.moved
        assert (moved.gauges, moved.held_back, moved.unit) == (3, 3, "m")
        assert moved.crps_after < moved.crps_before
        said = score_ledger(platform.centre.ledger.read())
        assert said.forecasts[0].forecast == moved.forecast  # the new one has met no reading yet
    with platform_in(tmp_path / "off", twin, StateUpdate()) as platform:
        lost = drill(platform, twin, came)
        platform.centre.watch("flood").assess((lost.verification_id,), lost.anew, lost=lost)
        forecast, off = begun(platform)
        assert forecast.moved is UNSET
        assert not off[:, [g.place for g in twin.gauges if g.site in POSTS]].any()  # from the start: dry
    land = np.setdiff1d(np.arange(twin.grid.cells), twin.world(START).water("lake").place)
    far = {name: np.abs(state[:, land].mean(axis=0) - came[2, land]).mean() for name, state in (("on", on), ("off", off))}
    assert far["on"] < 0.5 * far["off"]


def test_where_held_back_gauges_contradict_it_the_water_is_not_moved_and_the_log_says_why(
    twin: Twin, came: Any, tmp_path: Path
) -> None:
    with platform_in(tmp_path / "centre", twin, StateUpdate(on=True, reach_m=400.0)) as platform:
        lost = drill(platform, twin, came, wrong=1.5)
        platform.centre.watch("flood").assess((lost.verification_id,), lost.anew, lost=lost)
        forecast, _ = begun(platform)
        assert forecast.moved is UNSET
        notes = [e.record.text for e in platform.centre.ledger.read() if isinstance(e.record, Note)]
        assert any("was not moved" in text and "held-back gauges are told worse" in text for text in notes), notes


def test_where_no_gauge_is_near_another_nothing_shows_that_it_helps(twin: Twin, came: Any, tmp_path: Path) -> None:
    with platform_in(tmp_path / "centre", twin, StateUpdate(on=True, reach_m=30.0)) as platform:
        lost = drill(platform, twin, came)
        platform.centre.watch("flood").assess((lost.verification_id,), lost.anew, lost=lost)
        assert begun(platform)[0].moved is UNSET
        notes = [e.record.text for e in platform.centre.ledger.read() if isinstance(e.record, Note)]
        assert any("no gauge is near another one" in text for text in notes), notes
