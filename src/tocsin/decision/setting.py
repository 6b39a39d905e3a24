"""What a ranking is told beside the outcomes: the futures, what could be asked of each, who lives where, and the hard limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.futures import Foreseen
from tocsin.decision.groups import Groups
from tocsin.decision.limits import Limit
from tocsin.decision.outcomes import Outcomes
from tocsin.pack import IN_DANGER, Future, Knob, Model
from tocsin.vocabulary import Footprint, InputError, Series, World

Floats = NDArray[np.float64]

WITHIN_H = (1.0, 2.0, 3.0, 6.0, 12.0, 24.0)
ZONES_MOST = 20


class Signal(msgspec.Struct, frozen=True):
    """Something that one could ask for, and what it is in each future, (future,). `error` is the standard deviation of such a report.

    `words` name it ("the level of lake at its peak"). A question that is answered by yes (1) or no (0) has `yes` and `no` as clauses.
    """

    name: str
    words: str
    unit: str
    value: Floats
    error: float = 0.0
    yes: str = ""
    no: str = ""

    def beyond(self, at: float, *, above: bool) -> str:
        """The clause that says that it came out beyond a value."""
        if self.yes:
            return self.yes if above else self.no
        return f"{self.words} comes out {'above' if above else 'below'} {at:.3g}{f' {self.unit}' if self.unit not in ('', '1') else ''}"


class Setting(msgspec.Struct, frozen=True):
    """All that a ranking can use and need not have. `zone_people` is (zone,) and `group_people` (group,), as the outcomes name them.

    `harmed` is what those are called whom the hazard harms (`Harm.harmed_words`).
    """

    futures: tuple[Future, ...] = ()
    signals: tuple[Signal, ...] = ()
    zone_people: Floats | None = None
    group_people: Floats | None = None
    limits: tuple[Limit, ...] = ()
    remarks: tuple[str, ...] = ()
    harmed: str = IN_DANGER

    def check(self, outcomes: Outcomes) -> None:
        """Raise InputError where what is told here is not told of the futures, zones and groups of these outcomes."""
        count = outcomes.weight.size
        wrong = [
            f"signal {s.name}: {s.value.shape} values for {count} futures" for s in self.signals if s.value.shape != (count,)
        ]
        wrong += [f"signal {s.name}: a value is no number" for s in self.signals if not np.isfinite(s.value).all()]
        if self.futures and len(self.futures) != count:
            wrong.append(f"{len(self.futures)} futures, and outcomes of {count}")
        if self.zone_people is not None and self.zone_people.shape != (len(outcomes.zones),):
            wrong.append(f"people of {self.zone_people.shape} zones, and outcomes of {len(outcomes.zones)}")
        if self.group_people is not None and self.group_people.shape != (len(outcomes.groups),):
            wrong.append(f"people of {self.group_people.shape} groups, and outcomes of {len(outcomes.groups)}")
        if wrong:
            raise InputError(f"setting: {wrong[0]}; wanted one for each, in the order of the outcomes")


def setting_of(
    world: World,
    model: Model,
    foreseen: Foreseen,
    *,
    hour: float,
    groups: Groups,
    limits: Sequence[Limit] = (),
    harmed: str = IN_DANGER,
) -> Setting:
    """The setting of plans that are tried on what was foreseen, with the people as at an hour of the local day."""
    people, zones = world.people(hour), world.zones
    zone_people = np.bincount(zones.zone_of % (len(zones.name) + 1), people, minlength=len(zones.name) + 1)
    return Setting(
        foreseen.futures,
        signals_of(world, model.knobs, foreseen.futures, foreseen.footprint, hour=hour),
        zone_people.astype(np.float64),
        groups.people.sum(axis=0),
        tuple(limits),
        _unknown(world, groups),
        harmed,
    )


def _unknown(world: World, groups: Groups) -> tuple[str, ...]:
    """What this twin cannot tell, so that nobody takes a 0 for an answer."""
    told = []
    if not len(world.assets("buildings")):
        told.append("the twin has no buildings: a damage of 0 says nothing")
    if not len(world.roads):
        told.append("the twin has no streets: nobody is told to be cut off")
    if groups.missing:
        told.append(f"vulnerable groups of whom nothing is known here: {'; '.join(groups.missing)}")
    return tuple(told)


def signals_of(
    world: World, knobs: Mapping[str, Knob], futures: Sequence[Future], footprint: Footprint, *, hour: float
) -> tuple[Signal, ...]:
    """What one could ask for: how high each water rises, how much rain falls, every other knob, and where the hazard is by when.

    Of things that say the same (two gauges that one offset moves) the first is kept, and what does not differ between futures is left out.
    """
    found: list[Signal] = []
    for signal in (*_forcings(futures), *_knobs(knobs, futures), *_zones(world, footprint, hour)):
        if np.ptp(signal.value) > 0.0 and not any(_same(signal.value, other.value) for other in found):
            found.append(signal)
    return tuple(found)


def _same(a: Floats, b: Floats) -> bool:
    return bool(abs(np.corrcoef(a, b)[0, 1]) > 1.0 - 1e-9)


def _forcings(futures: Sequence[Future]) -> list[Signal]:
    """The forcings as they come out in each future, in the words of who measures them."""
    found = []
    for name in dict.fromkeys(name for future in futures for name in future.series):
        kind, _, place = name.partition("@")
        told = [(future.series.get(name), future) for future in futures]
        series = [(s, f) for s, f in told if s is not None]
        if len(series) < len(futures):
            continue
        match kind:
            case "level":
                value = [float(s.value.max()) + f.knobs.get("level_offset_m", 0.0) for s, f in series]
                found.append(Signal(name, f"the level of {place} at its peak", "m", np.array(value)))
            case "inflow":
                value = [float(s.value.max()) * f.knobs.get("inflow_factor", 1.0) for s, f in series]
                found.append(Signal(name, f"the inflow at {place} at its peak", "m3/s", np.array(value)))
            case "rain":
                value = [_fallen_mm(s, f.duration_s) * f.knobs.get("rain_factor", 1.0) for s, f in series]
                found.append(Signal(name, "the rain that falls", "mm", np.array(value)))
    return found


def _fallen_mm(rain: Series, duration_s: float) -> float:
    """The sum of a rain that is given in mm/h as steps."""
    until = np.append(rain.time_s[1:], np.inf).clip(0.0, duration_s)
    return float((rain.value * (until - rain.time_s.clip(0.0, duration_s))).sum() / 3600.0)


def _knobs(knobs: Mapping[str, Knob], futures: Sequence[Future]) -> list[Signal]:
    return [
        Signal(name, f"{name} ({knob.meaning})", knob.unit, np.array([f.knobs.get(name, knob.usual) for f in futures]))
        for name, knob in knobs.items()
    ]


def _zones(world: World, footprint: Footprint, hour: float) -> list[Signal]:
    """For the zones with most people: does the hazard reach a home there within so many hours? That time is asked for that is least sure."""
    people, zones = world.people(hour), world.zones
    counts = [(float(people[zones.places(name)].sum()), name) for name in zones.name]
    found = []
    for _, name in sorted((c for c in counts if c[0] > 0), key=lambda c: (-c[0], c[1]))[:ZONES_MOST]:
        places = zones.places(name)
        first_s = footprint.arrival_s[:, places[people[places] > 0]].min(axis=1)
        within = min(
            (h for h in WITHIN_H if h * 3600.0 <= footprint.duration_s),
            default=None,
            key=lambda h: abs((first_s <= h * 3600.0).mean() - 0.5),
        )
        if within is None:
            continue
        clause = f"homes in {name} within {within:g} h"
        found.append(
            Signal(
                f"reached@{name}",
                f"whether the hazard reaches {clause}",
                "",
                (first_s <= within * 3600.0).astype(np.float64),
                yes=f"the hazard reaches {clause}",
                no=f"the hazard does not reach {clause}",
            )
        )
    return found
