"""What embers do in a wildfire's run: the knobs that say how many there are, and what a run tells of the fires that they started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Knob
from tocsin.science.fire_growth import FireProblem
from tocsin.science.fire_spots import SPOT_FIRES_MOST, Spotted, spread_with_embers
from tocsin.science.fire_spotting import Embers, Trees

EMBER_KNOBS = {
    "embers_per_gj": Knob(
        "1/GJ",
        0.0,
        0.001,
        0.1,
        "embers that leave for each GJ of heat, 0: none; pyretechnics' worked example has 0.001, its usual value is 5e-5 (unverified)",
    ),
    "ember_mean_m": Knob(
        "m",
        1.0,
        10.0,
        50.0,
        "their mean distance downwind, before it is multiplied by I^0.3 U^0.55 (I in kW/m, U in m/s; unverified)",
    ),
    "ember_survives_m": Knob(
        "m", 50.0, 200.0, 2_000.0, "of embers that come down this far away a share of 1/e is still alight (unverified)"
    ),
    "ember_delay_min": Knob(
        "min", 5.0, 20.0, 60.0, "from when an ember has come down until what it lit spreads as a front does (unverified)"
    ),
    "shade": Knob("1", 0.0, 0.5, 1.0, "of the ground where embers fall: 0 full sun, 1 under cloud, smoke or at night"),
    "air_temperature_degc": Knob("degC", -20.0, 25.0, 50.0, "of the air where none is told: warm fuel is easier to light"),
    "tree_diameter_cm": Knob(
        "cm",
        0.0,
        0.0,
        150.0,
        "trunks of trees that torch where crowns burn, taken for Douglas fir; 0: embers fly as from a surface fire",
    ),
    "torching_trees": Knob("1", 1.0, 1.0, 30.0, "how many of them torch at once"),
}


def run_with_embers(
    problem: FireProblem, knobs: Mapping[str, float], seed: int, *, duration_s: float, air_c: NDArray[np.float64]
) -> Spotted:
    """The fire with what its embers start; without embers where a knob says so."""
    return spread_with_embers(problem, embers_of(knobs), seed, duration_s=duration_s, air_c=air_c)


def embers_of(knobs: Mapping[str, float]) -> Embers:
    thick = knobs["tree_diameter_cm"]
    return Embers(
        per_gj=knobs["embers_per_gj"],
        mean_m=knobs["ember_mean_m"],
        survives_m=knobs["ember_survives_m"],
        delay_s=60.0 * knobs["ember_delay_min"],
        shade=knobs["shade"],
        trees=Trees(thick, knobs["torching_trees"]) if thick > 0.0 else None,
    )


def remarks(notes: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    """What a person has to know of the runs' embers and starts, in sentences."""
    told = []
    if cut := sum(one["spot_fires_cut"] > 0 for one in notes):
        told.append(
            f"in {cut} of {len(notes)} futures embers lit more than {SPOT_FIRES_MOST:,} fires; the later ones are left out, and the fire is larger than told"
        )
    if bare := max((one["starts_on_bare_ground"] for one in notes), default=0.0):
        told.append(f"{bare:g} of the cells that were to be set alight have nothing that burns")
    if any(one["embers"] == 0.0 for one in notes):
        told.append("no embers: a firebreak, a river or a road holds fires here that in a strong wind jump it")
    return tuple(told)
