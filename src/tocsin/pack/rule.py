"""A rule judges columns: windows of all sites at once go in, a level for each site comes out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.level import Level
from tocsin.vocabulary.quantity import Quantity
from tocsin.vocabulary.world import Window


class Verdict(msgspec.Struct, frozen=True):
    """What a rule says of each site: `level` (site,) int8 of Level, the number it judged by, and the sentence why.

    A site that the rule cannot judge for want of readings is BLIND, never NONE.
    """

    level: NDArray[np.int8]
    value: NDArray[np.float64]
    reason: tuple[str, ...]


class Limits(msgspec.Struct, frozen=True):
    """Warning limits as data: from which value on each level holds, with the document that says so.

    `verified` is true only where somebody compared the numbers with the primary source; only then may the public be warned.
    `local` limits are set by those who answer for the place, e.g. a gauge's flood stage. `called` is what the document calls its steps
    ("AEGL-2 of chlorine"): a warning then says it.
    """

    at: Mapping[Level, float]
    unit: str
    source: str
    verified: bool = False
    called: Mapping[Level, str] = {}

    def __post_init__(self) -> None:
        levels = sorted(self.at)
        if not levels or levels[0] < Level.BLUE:
            raise InputError(f"limits [{self.unit}]: levels {levels}; wanted one or more of blue, yellow, orange, red")
        values = [self.at[level] for level in levels]
        rising = all(a < b for a, b in itertools.pairwise(values))
        falling = all(a > b for a, b in itertools.pairwise(values))
        if not (np.isfinite(values).all() and (rising or falling)):
            raise InputError(f"limits [{self.unit}]: {values} neither rise nor fall with the level")
        if not self.source:
            raise InputError(f"limits [{self.unit}]: no source; name the document")


class Rule(msgspec.Struct, frozen=True):
    """(window, level before) -> verdict. Pure and cheap: it runs at the edge on ten sensors and on the platform on many.

    `before` is the level that each site had, (site,) int8, for hysteresis. `meaning` is what the operator reads about the rule.
    `by_site` promises that a site's verdict rests on its own row alone: then readings of some sites need a look at these only.

    `is_quiet` may save most of the work: given the newest few readings of the span, (site,) bool, where these alone show that `judge`
    would answer NONE if the level before was NONE. It may be False wherever it cannot tell.

    A rule that reads more than one quantity names the others in `also`, and `judge_all` takes a window of each, by its name; the
    verdict is for the sites of `reads`. `judge` then knows nothing of the others.
    """

    name: str
    reads: Quantity
    span_s: float
    judge: Callable[[Window, NDArray[np.int8]], Verdict]
    meaning: str
    source: str
    verified: bool
    by_site: bool = False
    is_quiet: Callable[[Window], NDArray[np.bool_]] | None = None
    also: tuple[Quantity, ...] = ()
    judge_all: Callable[[Mapping[str, Window], NDArray[np.int8]], Verdict] | None = None

    def __post_init__(self) -> None:
        if bool(self.also) != (self.judge_all is not None):
            raise InputError(f"rule {self.name}: also = {self.also} and judge_all = {self.judge_all}; wanted both or none")
