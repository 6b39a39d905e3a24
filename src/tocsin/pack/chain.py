"""What a pack says of risk chains: which things its hazard takes out, which things need which, and whom they serve.

Packs know nothing of each other. They meet in the kinds of assets (`substations`, `hospitals`) and in quantities: one pack says that water
takes out a substation, another that smoke takes out a line, a third that a hospital needs a substation, and the chains run through all three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tocsin.pack.model import Spread
from tocsin.vocabulary.curve import Curve
from tocsin.vocabulary.errors import InputError, PackFault
from tocsin.vocabulary.quantity import Quantity

AT_ONCE = Spread(0.0, 0.0, 0.0)
ACCESS = (
    "road access"  # the kind of what every hospital has: a street out of the twin. It is lost when the hazard closes the last one
)
SHELTERED = Quantity("sheltered_people", "persons", 0.0, 10_000_000.0)
"""People in shelters. Who takes people out of a hazard's way makes it; a pack to whose hazard it matters that people are crowded takes it as a forcing."""
PLACED = "zones"  # as a target in a twin's own links: whom an asset serves


class Exposure(msgspec.Struct, frozen=True):
    """How a hazard takes out assets of a kind: the probability that one fails, by the peak of a quantity where it stands.

    An asset fails when the hazard arrives at it, and is kept by any of `shielded_by` (verbs of effects) that was done before. Only where
    `curve.unverified` is false has somebody held the numbers to their publication.
    """

    kind: str
    curve: Curve
    shielded_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called where parts are listed."""
        return f"{self.curve.quantity.name} at {self.kind}"


class Link(msgspec.Struct, frozen=True):
    """What assets of one kind need from another, in general; a twin's own links say which needs which.

    Where the twin says nothing, each target is taken to be supplied by its `supplies` nearest sources within `reach_m`, and every result
    tells that it was assumed. The need is lost when `lost_from` supplies have struck; a supply strikes with `probability`, `delay_h` after it
    failed; the target fails `endurance_h` after the need was lost (a battery, a full tank). `broken_by` are the verbs of effects that make the
    target do without; `held_by` those that make it last `amount` hours longer.
    """

    name: str
    source_kind: str
    target_kind: str
    source: str
    probability: float = 1.0
    delay_h: Spread = AT_ONCE
    endurance_h: Spread = AT_ONCE
    supplies: int = 1
    lost_from: int = 1
    reach_m: float = float("inf")
    broken_by: tuple[str, ...] = ()
    held_by: tuple[str, ...] = ()
    unverified: bool = True

    def __post_init__(self) -> None:
        where = f"link {self.name!r}"
        if not (self.name and self.source_kind and self.target_kind and self.source):
            raise InputError(f"{where}: wanted a name, source_kind, target_kind and a source of its numbers, none empty")
        if not 0.0 <= self.probability <= 1.0:
            raise InputError(f"{where}: probability {self.probability}; wanted 0..1")
        if self.delay_h.low < 0 or self.endurance_h.low < 0:
            raise InputError(
                f"{where}: delay_h from {self.delay_h.low}, endurance_h from {self.endurance_h.low}; wanted 0 or more"
            )
        if not 1 <= self.lost_from <= self.supplies:
            raise InputError(f"{where}: lost when {self.lost_from} of {self.supplies} supplies are; wanted 1..{self.supplies}")
        if not self.reach_m > 0:
            raise InputError(f"{where}: reach_m {self.reach_m}; wanted more than 0")


class Service(msgspec.Struct, frozen=True):
    """What people lose when assets of a kind fail: each person is served by the nearest one, where the twin does not say by which."""

    name: str
    kind: str
    meaning: str

    def __post_init__(self) -> None:
        if not (self.name and self.name.replace("_", "").isalnum() and self.kind and self.meaning):
            raise InputError(
                f"service {self.name!r} of {self.kind!r}: wanted a words_joined_by_underscores name, a kind and a meaning"
            )


ChainPart = Exposure | Link | Service


class Chains(msgspec.Struct, frozen=True):
    """What several packs say together, each thing once."""

    exposures: tuple[Exposure, ...]
    links: tuple[Link, ...]
    services: tuple[Service, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds of assets that are named, in the order of their names."""
        named = {e.kind for e in self.exposures} | {s.kind for s in self.services}
        return tuple(sorted(named.union(*({link.source_kind, link.target_kind} for link in self.links))))

    @property
    def verbs(self) -> frozenset[str]:
        """The verbs of effects that act on a chain."""
        told = [e.shielded_by for e in self.exposures] + [v for link in self.links for v in (link.broken_by, link.held_by)]
        return frozenset(verb for verbs in told for verb in verbs)


def together(packs: Mapping[str, Iterable[ChainPart]]) -> Chains:
    """What packs (by hazard) say, each thing once; raises PackFault where two say different things under one name."""
    said: dict[tuple[type, str], tuple[str, ChainPart]] = {}
    for hazard, parts in packs.items():
        for part in parts:
            before, same = said.setdefault((type(part), part.name), (hazard, part))
            if same != part:
                raise PackFault(
                    f"packs {before} and {hazard}: both have the {type(part).__name__.lower()} {part.name!r}, and not the same one; "
                    "rename one of the two, or let them agree"
                )
    parts = [part for _, part in said.values()]
    return Chains(
        tuple(p for p in parts if isinstance(p, Exposure)),
        tuple(p for p in parts if isinstance(p, Link)),
        tuple(p for p in parts if isinstance(p, Service)),
    )
