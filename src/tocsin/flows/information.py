"""Know: what a twin and a pack are made of, what a hazard would do to the place, and what that means for people.

Each function here is one step of the information flow as a command, a notebook or the server calls it: plain values in, a value out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.futures import Done, Foreseen
from tocsin.decision.futures import foresee as run_futures
from tocsin.decision.impact import Impact, estimate, impact, ways_of
from tocsin.host import Compute
from tocsin.pack import Exposure, Link, Model, Pack, Scenario, Service, Spread, find_pack, senses_of
from tocsin.platform.compute import LocalCompute
from tocsin.platform.twin import Twin
from tocsin.platform.twin.manifest import check_files
from tocsin.vocabulary import Estimate, InputError, NotFound, World

NIGHT_H, DAY_H = 3.0, 12.0  # local hours at which the twin's night and day population hold in full
# What is not known of a knob that nobody set, where several futures are asked for: a tenth of the way from its usual value to each end
# of its range. A planning assumption, `unverified`; it is told with every result.
USUAL_SPREAD = 0.1
BALANCE_SHARE_MAX = 1e-6  # what kernels that keep a balance promise; more is told with the result
FRAME_BYTES_MAX = 2 * 10**9


class ForecastResult(msgspec.Struct, frozen=True):
    """A hazard on many futures of a place: what was asked, what came of it, and the world in which it was asked."""

    place: str
    pack: Pack
    model: Model
    scenario: Scenario
    asked: Mapping[str, str]
    world: World
    foreseen: Foreseen

    @property
    def made_up(self) -> bool:
        return self.world.made_up

    def field(self, which: str) -> NDArray[np.float32]:
        """The peak as one field, (row, col): "q05", "q50" or "q95" over the futures, or "chance" of danger, 0..1."""
        peak = self.foreseen.footprint.peak
        if which == "chance":
            values = self.pack.harm.share(peak).mean(axis=0)
        elif which in ("q05", "q50", "q95"):
            values = peak[0] if len(peak) == 1 else np.quantile(peak, int(which[1:]) / 100.0, axis=0)
        else:
            raise InputError(f"field {which!r}; wanted q05, q50, q95 or chance")
        return np.asarray(values, np.float32).reshape(self.world.grid.shape)


class ZoneRow(msgspec.Struct, frozen=True):
    """One zone: who is there, who is in danger, how likely anybody is, and when it begins."""

    zone: str
    people_night: float
    people_day: float
    in_danger_night: Estimate
    in_danger_day: Estimate
    chance: float
    first_arrival_h: float | None


class ForecastReport(msgspec.Struct, frozen=True):
    """What a forecast means, for people to read and programs to use."""

    place: str
    made_up: bool
    hazard: str
    model: str
    source: str
    limits: str
    asked: dict[str, str]
    members: int
    seed: int
    hours: float
    spreads: dict[str, tuple[float, float, float]]
    ground: dict[str, Estimate]
    night: dict[str, Estimate]
    day: dict[str, Estimate]
    zones: tuple[ZoneRow, ...]
    danger: str
    balance_error_share_worst: float | None
    remarks: tuple[str, ...]
    quantity: str
    unit: str
    words: dict[str, str]


def usual_spreads(model: Model) -> dict[str, Spread]:
    """What is not known of each knob where nobody says: see USUAL_SPREAD.

    A knob whose usual value is an end of its range (nothing soaks in) is a cautious choice or a switch: it stays there until somebody sets it.
    """
    return {
        name: Spread(
            knob.usual - USUAL_SPREAD * (knob.usual - knob.low), knob.usual, knob.usual + USUAL_SPREAD * (knob.high - knob.usual)
        )
        for name, knob in model.knobs.items()
        if knob.low < knob.usual < knob.high
    }


def frame_times_s(duration_s: float, members: int, cells: int, step_s: float) -> tuple[float, ...]:
    """The moments of which a run's futures are kept: every `step_s`, or at twice, four times, ... that where all of them together are too much
    for the memory (a flood of a day keeps each half hour, twenty futures of two months of an epidemic each 16 h). Only the peaks where not even two fit.
    """
    while True:
        times = np.arange(0.0, duration_s + 1.0, step_s)
        if times.size < 2:
            return ()
        if times.size * members * cells * 4 <= FRAME_BYTES_MAX:
            return tuple(times.tolist())
        step_s *= 2.0


def model_of(pack: Pack, name: str = "") -> Model:
    """A pack's model by name, or its first; raises NotFound with those that there are."""
    found = next((m for m in pack.models if name in ("", m.name)), None)
    if found is None:
        raise NotFound(f"pack {pack.hazard}: no model {name!r}; there are: {', '.join(m.name for m in pack.models) or 'none'}")
    return found


def foresee(
    twin: Twin,
    hazard: str,
    scenario: Scenario,
    *,
    time: datetime,
    model: str = "",
    asked: Mapping[str, str] | None = None,
    compute: Compute | None = None,
    frame_s: Sequence[float] = (),
    on_done: Done | None = None,
) -> ForecastResult:
    """Simulate a hazard on the scenario's futures. `asked` is the scenario in the words of who asked, for the record."""
    pack = find_pack(hazard)
    chosen = model_of(pack, model)
    needed = len(frame_s) * scenario.members * twin.grid.cells * 4
    if needed > FRAME_BYTES_MAX:
        raise InputError(
            f"frames: {len(frame_s)} of {scenario.members} futures of {twin.grid.cells:,} cells take {needed / 1e9:.1f} GB; "
            f"wanted at most {FRAME_BYTES_MAX / 1e9:g} GB: fewer frames or futures"
        )
    world = twin.world(time)
    foreseen = run_futures(world, chosen, scenario, compute or LocalCompute(), frame_s=frame_s, on_done=on_done)
    return ForecastResult(twin.manifest.name, pack, chosen, scenario, dict(asked or {}), world, foreseen)


def report_of(result: ForecastResult) -> ForecastReport:
    """What the forecast means: ground, people by night and by day, houses, streets, services, zone by zone, with the doubt."""
    world, footprint, harm = result.world, result.foreseen.footprint, result.pack.harm
    ways = ways_of(world)
    night = impact(world, footprint, harm, hour=NIGHT_H, ways=ways)
    day = impact(world, footprint, harm, hour=DAY_H, ways=ways)
    errors = [abs(notes["balance_error_share"]) for notes in result.foreseen.notes if "balance_error_share" in notes]
    remarks = [*night.remarks, *result.model.remarks(result.foreseen.notes)]
    spreads = {name: (s.low, s.usual, s.high) for name, s in result.scenario.knobs.items() if s.low < s.high}
    if errors and max(errors) > BALANCE_SHARE_MAX:
        remarks.append(
            f"the worst future lost or made {max(errors):.0e} of what it moves; wanted {BALANCE_SHARE_MAX:.0e} or less: look at it with care"
        )
    if result.scenario.members == 1:
        remarks.append("one future at usual values: it tells no uncertainty; ask for several, e.g. --members 50")
    return ForecastReport(
        place=result.place,
        made_up=result.made_up,
        hazard=result.pack.hazard,
        model=result.model.name,
        source=result.model.source,
        limits=result.model.limits,
        asked=dict(result.asked),
        members=result.scenario.members,
        seed=result.scenario.seed,
        hours=result.scenario.duration_s / 3600.0,
        spreads=spreads,
        ground=_ground(result),
        night=night.estimates(),
        day=day.estimates(),
        zones=_zones(result, night, day),
        danger=harm.told(),
        balance_error_share_worst=max(errors) if errors else None,
        remarks=tuple(remarks),
        quantity=footprint.quantity.name,
        unit=footprint.quantity.unit,
        words=dict(harm.words),
    )


def land_of(result: ForecastResult) -> NDArray[np.bool_]:
    """The places at which the hazard counts, (cell,): not the water bodies that the twin knows, where they are full of it whatever happens."""
    land = np.ones(result.world.grid.cells, bool)
    if not result.pack.harm.over_water:
        for name in result.world.waters():
            land[result.world.water(name).place] = False
    return land


def _ground(result: ForecastResult) -> dict[str, Estimate]:
    """How much ground is reached and how strongly; in danger where the hazard makes places so."""
    footprint, world, land = result.foreseen.footprint, result.world, land_of(result)
    peak = footprint.peak[:, land]
    wet = np.isfinite(footprint.arrival_s[:, land])
    count = np.maximum(wet.sum(axis=1), 1)
    unit, harm, cell_km2 = footprint.quantity.unit, result.pack.harm, world.grid.cell_m**2 / 1e6
    found = {"ground_reached": estimate(wet.sum(axis=1) * cell_km2, "km2")}
    if harm.danger_from is not None:
        found["ground_in_danger"] = estimate(harm.dangerous(peak).sum(axis=1) * cell_km2, "km2")
    return found | {
        "peak_mean_where_reached": estimate(np.where(wet, peak, 0.0).sum(axis=1) / count, unit),
        "peak_highest": estimate(peak.max(axis=1, initial=0.0).astype(np.float64), unit),
    }


def _zones(result: ForecastResult, night: Impact, day: Impact) -> tuple[ZoneRow, ...]:
    """Zone by zone, the most people in danger first."""
    world, footprint = result.world, result.foreseen.footprint
    harm = result.pack.harm
    people_night, people_day = world.people(harm.hour(NIGHT_H)), world.people(harm.hour(DAY_H))
    lived = people_night + people_day > 0
    rows = []
    for number, name in enumerate(night.zones):
        here = world.zones.places(name)
        here = here[lived[here]]
        first_s = footprint.arrival_s[:, here].min(axis=1, initial=np.inf)
        came = np.isfinite(first_s)
        rows.append(
            ZoneRow(
                name,
                float(people_night[here].sum()),
                float(people_day[here].sum()),
                estimate(night.danger_by_zone[:, number], "persons"),
                estimate(day.danger_by_zone[:, number], "persons"),
                float((np.maximum(night.danger_by_zone[:, number], day.danger_by_zone[:, number]) >= 0.5).mean()),
                float(np.median(first_s[came])) / 3600.0 if came.any() else None,
            )
        )
    return tuple(sorted(rows, key=lambda r: (-max(r.in_danger_night.mean, r.in_danger_day.mean), r.zone)))


def describe_twin(twin: Twin, *, verify: bool = False) -> dict[str, Any]:
    """What a twin is made of, as plain data. `verify` checks every file first; raises InputError at one that was changed."""
    manifest = twin.manifest
    if verify:
        check_files(twin.folder, manifest)
    ground = twin.field("elevation")
    return {
        "name": manifest.name,
        "made_up": manifest.made_up,
        "created": manifest.created,
        "crs": twin.grid.crs,
        "rows": twin.grid.rows,
        "cols": twin.grid.cols,
        "cell_m": twin.grid.cell_m,
        "time_zone": manifest.time_zone,
        "extent_lonlat": list(manifest.extent_lonlat),
        "ground_m": {"low": float(np.min(ground)), "high": float(np.max(ground))},
        "fields": list(twin.field_names()),
        "counts": manifest.counts,
        "waters": [msgspec.to_builtins(water) for water in manifest.waters],
        "zones": list(twin.zones.name),
        "lines": [{"name": line.name, "sort": line.sort, "crest_m": line.crest_m} for line in twin.lines.values()],
        "assets": {kind: len(twin.assets(kind)) for kind in twin.asset_kinds()},
        "gauges": [
            {"site": g.site, "name": g.name, "quantity": g.quantity, "lon": g.lon, "lat": g.lat, "zero_m": g.zero_m}
            for g in twin.gauges
        ],
        "sources": [msgspec.to_builtins(source) for source in manifest.sources],
        "remarks": list(manifest.remarks),
        "verified": len(manifest.files) if verify else 0,
    }


def describe_pack(pack: Pack) -> dict[str, Any]:
    """A pack as plain data: what it reads, what it makes, what it rests on."""
    return {
        "hazard": pack.hazard,
        "observes": [{"name": q.name, "unit": q.unit, "low": q.low, "high": q.high} for q in pack.observes],
        "rules": [
            {"name": r.name, "reads": str(r.reads), "meaning": r.meaning, "source": r.source, "verified": r.verified}
            for r in pack.rules
        ],
        "models": [
            {
                "name": m.name,
                "makes": str(m.makes),
                "reads": [str(q) for q in m.reads],
                "series": {name: d.quantity.unit for name, d in m.series.items()},
                "drives": {
                    n: {
                        "quantity": d.quantity.name,
                        "unit": d.quantity.unit,
                        "low": d.quantity.low,
                        "high": d.quantity.high,
                        "place": d.place,
                        "stepwise": d.stepwise,
                        "meaning": d.meaning,
                        "has_usual": d.usual is not None,
                    }
                    for n, d in m.series.items()
                },
                "knobs": {
                    n: {"unit": k.unit, "low": k.low, "usual": k.usual, "high": k.high, "meaning": k.meaning}
                    for n, k in m.knobs.items()
                },
                "acts_on": sorted(m.acts_on),
                "verbs": {n: {"target": v.target, "unit": v.unit, "meaning": v.meaning} for n, v in m.acts_on.items()},
                "source": m.source,
                "limits": m.limits,
            }
            for m in pack.models
        ],
        "outlook": pack.outlook is not None,
        "facts": [
            {"name": f.name, "unit": f.unit, "place": f.place, "observed": f.observed, "meaning": f.meaning} for f in pack.facts
        ],
        "senses": [
            {
                "quantity": s.quantity.name,
                "of": s.told(),
                "error": s.error.told(),
                "unit": s.quantity.unit,
                "source": s.error.source,
            }
            for s in (senses_of(pack, pack.models[0]) if pack.models else ())
        ],
        "questions": [{"name": q.name, "meaning": q.meaning, "needs_twin": q.needs_twin} for q in pack.questions],
        "harm": {
            "danger": str(pack.harm.danger),
            "danger_from": pack.harm.danger_from,
            "danger_source": pack.harm.danger_source,
            "worth_per_m2": dict(pack.harm.worth_per_m2),
            "worth_unit": pack.harm.worth_unit,
            "worth_source": pack.harm.worth_source,
            "road_speed": None if pack.harm.road_speed is None else pack.harm.road_speed.source,
            "damage": {
                sort: {"source": c.source, "valid": c.valid, "unverified": c.unverified} for sort, c in pack.harm.damage.items()
            },
        },
        "chain": {
            "exposures": [p.name for p in pack.chain if isinstance(p, Exposure)],
            "links": {p.name: p.source for p in pack.chain if isinstance(p, Link)},
            "services": {p.name: p.meaning for p in pack.chain if isinstance(p, Service)},
        },
        "knowledge": list(pack.knowledge),
        "cases": [{"name": c.name, "when": c.when, "source": c.source} for c in pack.cases],
    }
