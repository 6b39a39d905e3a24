"""One hazard drives people into shelters, where another spreads among them: futures of the one as the forcing of the other's."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from tocsin.decision.sheltered import sheltered_in
from tocsin.flows.futures import open_futures
from tocsin.flows.information import NIGHT_H
from tocsin.pack import Analogue, Model, Scenario
from tocsin.pack.chain import SHELTERED
from tocsin.platform.twin import Twin
from tocsin.vocabulary import InputError

SHELTER_SHARE = 0.15  # of those who have to leave, who ask for a public shelter: as in `tocsin evacuation simulate`, unverified
STAY_D = 7.0  # a planning assumption, unverified


def with_sheltered(
    twin: Twin,
    scenario: Scenario,
    model: Model,
    folder: Path,
    *,
    share: float = SHELTER_SHARE,
    stay_d: float = STAY_D,
    hour: float = NIGHT_H,
) -> Scenario:
    """A scenario in which each future has the people in shelters whom the future of the same number in `folder` drives there.

    The two hazards meet in the quantity `sheltered_people` alone: any model with a forcing of it that may be at a shelter will do. Both count from
    the same start. Raises InputError where the model has none, where the scenario has analogues, or where futures of the folder are not done.
    """
    name = next((n for n, drive in model.series.items() if drive.quantity == SHELTERED and "shelters" in drive.sorts), "")
    if not name:
        raise InputError(
            f"{model.name}: takes no people in shelters; wanted a model with a forcing of {SHELTERED.name} at a shelter (`tocsin pack show`)"
        )
    if scenario.analogues:
        raise InputError("scenario: has analogues, and people in shelters come as such; give one of the two")
    result = open_futures(twin, folder)
    numbers = [future.number for future in result.foreseen.futures]
    if numbers != list(range(len(numbers))) or len(numbers) < scenario.members:
        raise InputError(
            f"{folder}: futures {len(numbers)} are done, wanted number 0 to {scenario.members - 1} without a gap; run it on, or ask for fewer"
        )
    told = sheltered_in(
        result.world, result.foreseen.footprint, result.pack.harm, hour=hour, share=share, stay_s=stay_d * 86_400.0
    )
    return replace(
        scenario,
        paired=True,
        analogues=tuple(
            Analogue(
                f"{result.pack.hazard} {number}",
                {f"{name}{shelter}": series for shelter, series in told[number].items()},
                1.0,
                f"{folder.name}: {share:g} of those in danger ask for a shelter and stay {stay_d:g} days (unverified)",
            )
            for number in range(scenario.members)
        ),
    )
