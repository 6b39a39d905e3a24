"""A library of default thresholds: each number with its unit, averaging time, region, edition and primary source, and if anybody read it.

A threshold is `verified` only where the text of the primary source was read and holds these numbers. From all others no rule for the
public can be made: `limits_of(..., public=True)` refuses.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

import msgspec

from tocsin.pack.ready_rules import accumulation
from tocsin.pack.ready_rules import threshold as beyond
from tocsin.pack.rule import Limits, Rule
from tocsin.vocabulary.errors import InputError, NotFound, Refused
from tocsin.vocabulary.level import Level
from tocsin.vocabulary.quantity import Quantity

FILE = "thresholds.toml"
WORDS = {level.word: level for level in Level if level > Level.NONE}


class Threshold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From which value on each level holds, over which time, where, and who says so.

    `printed` is what the source says, in its own words and units. `colours` says how its steps were matched with our levels, where
    they are not the source's own. `for_public` is false where the source speaks of grown workers: such a number warns the public no more than an unread one. `averaging_h` is the time that a "sum" or a "mean" is of; a "mean" is asked of the sensor or of a
    collector, since a rule judges the readings that it gets.
    """

    quantity: str
    unit: str
    statistic: Literal["instant", "max", "min", "mean", "sum"]
    at: Mapping[str, float]
    printed: str
    region: str
    title: str
    publisher: str
    where: str
    status: Literal["verified", "unverified"]
    averaging_h: float | None = None
    colours: str = ""
    edition: str = ""
    year: int | None = None
    for_public: bool = True

    def __post_init__(self) -> None:
        unknown = sorted(set(self.at) - set(WORDS))
        if unknown or not self.at:
            raise InputError(f"threshold of {self.quantity}: levels {list(self.at)}; wanted some of {', '.join(WORDS)}")
        if self.statistic in ("mean", "sum") and not (self.averaging_h is not None and self.averaging_h > 0):
            raise InputError(f"threshold of {self.quantity}: a {self.statistic} over {self.averaging_h} hours; wanted a time > 0")
        if not (self.printed and self.region and self.title and self.publisher and self.where):
            raise InputError(f"threshold of {self.quantity}: wanted printed, region, title, publisher and where, none empty")
        self.limits  # noqa: B018  its own checks: do the numbers rise or fall with the level?

    @property
    def verified(self) -> bool:
        """True if somebody read the primary source."""
        return self.status == "verified"

    @property
    def source(self) -> str:
        """The document, as a rule names it."""
        edition = f", {self.edition}" if self.edition else ""
        year = f" {self.year}" if self.year else ""
        return f"{self.publisher}{year}, {self.title}{edition}; {self.region}" + ("" if self.verified else " (unverified)")

    @property
    def limits(self) -> Limits:
        """What a ready-made rule takes."""
        return Limits({WORDS[word]: number for word, number in self.at.items()}, self.unit, self.source, self.verified)


@functools.cache
def thresholds() -> Mapping[str, Threshold]:
    """All default thresholds by name."""
    table = tomllib.loads(files("tocsin.pack").joinpath(FILE).read_text(encoding="utf-8"))
    return MappingProxyType({name: _decoded(name, one) for name, one in table.items()})


def _decoded(name: str, table: object) -> Threshold:
    try:
        return msgspec.convert(table, type=Threshold)
    except msgspec.ValidationError as fault:
        raise InputError(f"{FILE}, [{name}]: {fault}") from fault


def find_threshold(name: str) -> Threshold:
    """One of them; raises NotFound with the names that there are."""
    known = thresholds()
    if name not in known:
        raise NotFound(f"no default threshold {name!r}; there are {', '.join(known)}")
    return known[name]


def limits_of(name: str, quantity: Quantity, *, public: bool) -> Limits:
    """The limits of a default threshold for a quantity of a pack. For the `public` only if verified, and meant for it: otherwise it raises Refused."""
    found = find_threshold(name)
    if quantity.unit != found.unit:
        raise InputError(
            f"threshold {name}: is in {found.unit}, and {quantity.name} in {quantity.unit}; convert in the collector"
        )
    if public and not found.verified:
        raise Refused(
            f"threshold {name}: {found.source} was not compared with its primary source; it may not warn the public. "
            f"Read {found.where}, and set limits of your own, or make the rule with public=False"
        )
    if public and not found.for_public:
        raise Refused(
            f"threshold {name}: {found.source} is a limit for grown workers; it may not warn the public. Make the rule with public=False"
        )
    return found.limits


def default_rule(
    name: str, quantity: Quantity, of: Sequence[str], *, max_age_s: float, interval_s: float | None = None, public: bool = False
) -> Rule:
    """A rule made of default thresholds: an accumulation of sums over different hours, or one threshold of a value.

    `interval_s` is the time that one reading of a sum stands for. With `public` it refuses where one of them is unverified.
    """
    found = [find_threshold(one) for one in of]
    limits = [limits_of(one, quantity, public=public) for one in of]
    if found and all(one.statistic == "sum" for one in found):
        hours = {one.averaging_h: limit for one, limit in zip(found, limits, strict=True) if one.averaging_h is not None}
        if interval_s is None or len(hours) != len(found):
            raise InputError(f"rule {name}: sums of {list(of)}; wanted interval_s and a different number of hours for each")
        return accumulation(name, quantity, hours, interval_s=interval_s, max_age_s=max_age_s)
    if len(found) != 1:
        raise InputError(f"rule {name}: thresholds {list(of)}; wanted one, or several sums")
    return beyond(name, quantity, limits[0], max_age_s=max_age_s, falling=True if found[0].statistic == "min" else None)
