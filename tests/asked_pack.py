"""A pack with two questions, for tests: how fast a count grows, and how warm it is in a place."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from tocsin.pack import Answer, Column, Knob, Pack, Question, Table, find_pack
from tocsin.vocabulary import Estimate, InputError, World


def growth(_world: World | None, table: Table, settings: Mapping[str, float]) -> Answer:
    """Mean and extremes of the temperature, and each day's, moved by a setting."""
    kept = ~np.isnat(table["time"]) & np.isfinite(table["temperature"])
    if not kept.any():
        raise InputError("growth: no row has both a time and a temperature")
    warm = table["temperature"][kept] + settings["warmer_degC"]
    sites = table["site"][kept] if "site" in table else np.full(warm.size, "")
    left_out = int((~kept).sum())
    return Answer(
        {"mean": Estimate(float(warm.mean()), float(warm.min()), float(np.median(warm)), float(warm.max()), "degC")},
        {"time": table["time"][kept], "warmth": warm, "site": sites},
        {"time": "time", "warmth": "degC", "site": "text"},
        (f"{left_out} rows were left out",) if left_out else (),
    )


WARMTH = Question(
    "warmth",
    "how warm it was",
    (
        Column("time", "time", "when", also=("date", "date of onset")),
        Column("temperature", "degC", "how warm", also=("t2m", "temp")),
        Column("site", "text", "where", needed=False),
        Column("cases", "cases", "how many", needed=False),
        Column("humidity", "1", "relative humidity", needed=False),
        Column("wind", "m/s", "how windy", needed=False),
    ),
    growth,
    "a test",
    "nothing but tests",
    {"warmer_degC": Knob("degC", -5.0, 0.0, 5.0, "added to each")},
)


def of_a_place(world: World | None, table: Table, settings: Mapping[str, float]) -> Answer:
    """How many cells the place has."""
    assert world is not None
    return Answer({"cells": Estimate(*[float(world.grid.cells)] * 4, "1")})


PLACE = Question("place", "how large", (Column("site", "text", "where"),), of_a_place, "a test", "tests", needs_twin=True)


def asked_pack() -> Pack:
    """The flood pack, with these questions."""
    return msgspec.structs.replace(find_pack("flood"), questions=(WARMTH, PLACE))
