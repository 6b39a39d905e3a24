"""When to warn of a gas: guideline levels, what is dangerous to whoever is sent in, what may burn, and how fast it rises.

The levels are means over an hour; a sensor's reading is held against them as it comes, which warns earlier than the mean would.
No limit here warns the public by itself, not even those that were read at their source: IDLH is a level for grown workers who can run, and AIHA's guidelines leave out
the old, the sick and the very young.
"""

from __future__ import annotations

from collections.abc import Mapping

from tocsin.pack import Limits, Rule, rise, threshold
from tocsin.packs.chemical.quantities import GASES, LEL_SHARE
from tocsin.packs.chemical.substances import TOXIC, Substance
from tocsin.vocabulary import Level

MAX_AGE_S = 600.0
HOUR = 2  # the third of the five durations: 60 minutes
LEVELS = (Level.YELLOW, Level.ORANGE, Level.RED)


def _steps(guideline: str, at: Mapping[Level, float], gas: Substance) -> dict[Level, str]:
    return {colour: f"{guideline}-{LEVELS.index(colour) + 1} of {gas.name}" for colour in at}


def _above_aegl(gas: Substance) -> Rule:
    at = {colour: level[HOUR] for colour, level in zip(LEVELS, gas.levels, strict=True) if level is not None}
    return threshold(
        f"{gas.key}_above_aegl",
        GASES[gas.key],
        Limits(
            at, "ppm", f"AEGL-1, -2 and -3 for 60 minutes as yellow, orange and red: {gas.source}", called=_steps("AEGL", at, gas)
        ),
        max_age_s=MAX_AGE_S,
        meaning=f"so much {gas.name} that people who breathe it for an hour are harmed",
    )


def _above_erpg(gas: Substance, erpg: tuple[float, float, float]) -> Rule:
    at = {colour: ppm for colour, ppm in zip(LEVELS, erpg, strict=True) if ppm > 0.0}
    return threshold(
        f"{gas.key}_above_erpg",
        GASES[gas.key],
        Limits(at, "ppm", f"ERPG-1, -2 and -3 as yellow, orange and red: {gas.erpg_source}", called=_steps("ERPG", at, gas)),
        max_age_s=MAX_AGE_S,
        meaning=f"so much {gas.name} that nearly everybody who breathes it for an hour smells it, is harmed, or is in danger of life",
    )


def _above_idlh(gas: Substance, ppm: float) -> Rule:
    return threshold(
        f"{gas.key}_above_idlh",
        GASES[gas.key],
        Limits(
            {Level.RED: ppm},
            "ppm",
            f"immediately dangerous to life or health: {gas.idlh_source}",
            called={Level.RED: f"IDLH of {gas.name}"},
        ),
        max_age_s=MAX_AGE_S,
        meaning=f"nobody goes into this much {gas.name} without breathing apparatus",
    )


def _rising_fast(gas: Substance) -> Rule:
    assert gas.aegl2 is not None
    return rise(
        f"{gas.key}_rising_fast",
        GASES[gas.key],
        Limits(
            {Level.YELLOW: 6.0 * gas.aegl2[HOUR]},
            "ppm/h",
            "a choice of Tocsin (unverified): so fast that AEGL-2 is reached from clean air in ten minutes",
            called={Level.YELLOW: f"AEGL-2 of {gas.name} in ten minutes"},
        ),
        over_s=300.0,
        max_age_s=MAX_AGE_S,
        meaning=f"{gas.name} rises so fast that little time is left",
    )


MAY_BURN = threshold(
    "gas_may_burn",
    LEL_SHARE,
    Limits(
        {Level.YELLOW: 10.0, Level.ORANGE: 60.0, Level.RED: 100.0},
        "%",
        "10 %: 29 CFR 1910.146, hazardous atmosphere; 60 %: pockets may burn, as NOAA's ALOHA has it; all unverified",
        called=dict.fromkeys((Level.YELLOW, Level.ORANGE, Level.RED), "of the lower explosive limit"),
    ),
    max_age_s=MAX_AGE_S,
    meaning="gas may take fire: no sparks, no engines, away from here",
)

RULES: tuple[Rule, ...] = (
    *(_above_aegl(gas) for gas in TOXIC),
    *(_above_idlh(gas, gas.idlh_ppm) for gas in TOXIC if gas.idlh_ppm is not None),
    *(_above_erpg(gas, gas.erpg) for gas in TOXIC if gas.erpg is not None),
    *(_rising_fast(gas) for gas in TOXIC),
    MAY_BURN,
)
