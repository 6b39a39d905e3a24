"""A forecast written down: its fields saved, and the record that says where they lie, what they are of, and on which scenario they rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.decision.futures import Foreseen
from tocsin.flows.common import Common
from tocsin.flows.words import ways_words
from tocsin.pack import Model, Scenario
from tocsin.platform.forecasts import fields_digest, save_forecast
from tocsin.vocabulary import Forecast, World

FORECASTS = "forecasts"


def forecast_of(
    common: Common,
    hazard: str,
    model: Model,
    world: World,
    scenario: Scenario,
    foreseen: Foreseen,
    figures: dict[str, Any],
    cause: tuple[str, ...],
    words: Mapping[str, str],
) -> Forecast:
    """The record of a forecast; its fields are on the disk when this returns. `words` are those of whoever asked, and come last."""
    result = f"{FORECASTS}/{world.time:%Y%m%dT%H%M%S}-{fields_digest(foreseen.footprint)[:12]}"
    stored = save_forecast(
        common.folder / result,
        foreseen.footprint,
        grid=world.grid,
        hazard=hazard,
        model=model.name,
        made_up=world.made_up,
        frame_s=foreseen.frame_s,
        frames=foreseen.frames,
    )
    return Forecast(
        time=world.time,
        subject=common.twin.manifest.name,
        cause=cause,
        hazard=hazard,
        model=model.name,
        source=model.source,
        members=foreseen.footprint.members,
        seed=scenario.seed,
        duration_s=scenario.duration_s,
        scenario=said_of(scenario, model) | dict(words),
        impact=figures,
        result=result,
        digest=stored.meta.digest,
    )


def said_of(scenario: Scenario, model: Model) -> dict[str, str]:
    """A scenario in words, by knob and forcing."""
    said = {
        name: f"{s.low:g} to {s.high:g}, usually {s.usual:g} {model.knobs[name].unit}"
        for name, s in scenario.knobs.items()
        if s.low < s.high
    }
    said |= {name: f"{s.usual:g}" for name, s in scenario.knobs.items() if s.low == s.high}
    said |= {
        name: f"{series.value.min():g} to {series.value.max():g} at {series.value.size} times"
        for name, series in scenario.series.items()
    }
    return said | ways_words(scenario)
