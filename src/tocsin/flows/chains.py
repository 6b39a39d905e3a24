"""The path of the risk: what fails in each future and why, whom it leaves without what, and what is best broken.

Each function here is one step as a command, a notebook or the server calls it: plain values in, a value out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from tocsin.decision.chain_graph import Graph, graph_of
from tocsin.decision.chain_reading import Break, Way, best_breaks, likely_ways, link_weights, share_interval
from tocsin.decision.chains import Traced, broken_by, check_effect, figures, run, trace
from tocsin.decision.impact import estimate
from tocsin.flows.futures import open_futures
from tocsin.flows.information import NIGHT_H
from tocsin.pack import Effect, Pack
from tocsin.platform.forecasts import StoredForecast
from tocsin.platform.twin import Twin
from tocsin.science.chain import BY_HAZARD
from tocsin.science.sampling import keyed_uniform
from tocsin.vocabulary import Estimate, Footprint, InputError, World

Told = Callable[[str, int, int], None]
ARROW = "->"


class Point(msgspec.Struct, frozen=True):
    """A risk point: in which share of the futures it fails (90 % interval), how often by the hazard itself, and when, h, in the middle."""

    id: str
    name: str
    kind: str
    x_m: float
    y_m: float
    share: float
    low: float
    high: float
    by_hazard: float
    fails_h: float | None


class LinkUse(msgspec.Struct, frozen=True):
    """A link that failures ran along, in which share of the futures."""

    source: str
    target: str
    name: str
    assumed: bool
    share: float


class ChainReport(msgspec.Struct, frozen=True):
    """What risk chains mean, for people to read and programs to use. `undone` are the figures without what is done, on the same futures."""

    place: str
    made_up: bool
    hazards: tuple[str, ...]
    members: int
    seed: int
    hours: float
    hour: float
    points_by_kind: dict[str, int]
    links: int
    links_assumed: int
    done: tuple[str, ...]
    figures: dict[str, Estimate]
    undone: dict[str, Estimate] | None
    saved: dict[str, Estimate] | None
    ways: tuple[Way, ...]
    breaks: tuple[Break, ...]
    weights: tuple[Break, ...]
    points: tuple[Point, ...]
    used: tuple[LinkUse, ...]
    remarks: tuple[str, ...]


class GraphReport(msgspec.Struct, frozen=True):
    """What the graph of a place is made of."""

    made_up: bool
    hazards: tuple[str, ...]
    points_by_kind: dict[str, int]
    links_by_name: dict[str, dict[str, int]]
    exposures: tuple[dict[str, object], ...]
    services: tuple[dict[str, object], ...]
    verbs: tuple[str, ...]
    remarks: tuple[str, ...]


def describe_graph(world: World, packs: Sequence[Pack]) -> GraphReport:
    """The risk points of a place, their links and whom they serve, with all that was assumed."""
    graph = graph_of(world, packs)
    by_name = {
        link.name: {
            "links": int((graph.part == k).sum()),
            "assumed": int(graph.assumed[graph.part == k].sum()),
        }
        for k, link in enumerate(graph.chains.links)
    }
    return GraphReport(
        world.made_up,
        tuple(p.hazard for p in packs),
        dict(Counter(graph.kind.tolist())),
        by_name,
        tuple(
            {
                "kind": e.kind,
                "quantity": str(e.curve.quantity),
                "points": e.curve.points,
                "source": e.curve.source,
                "unverified": e.curve.unverified,
            }
            for e in graph.chains.exposures
        ),
        tuple(
            {"name": s.service.name, "kind": s.service.kind, "meaning": s.service.meaning, "assumed_share": s.assumed_share}
            for s in graph.served
        ),
        tuple(sorted(graph.chains.verbs)),
        graph.remarks,
    )


def saved_footprint(folder: Path, twin: Twin, hazard: str) -> Footprint:
    """The footprint of a saved forecast; raises InputError where it is of another hazard or another grid than the twin's."""
    stored = StoredForecast(folder)
    if stored.meta.hazard != hazard or stored.meta.grid != twin.grid:
        raise InputError(
            f"{folder}: is a forecast of {stored.meta.hazard} on {stored.meta.grid.rows} x {stored.meta.grid.cols} cells; wanted "
            f"{hazard} on the {twin.grid.rows} x {twin.grid.cols} cells of {twin.manifest.name}"
        )
    return stored.footprint()


class Together(msgspec.Struct, frozen=True):
    """Hazards that meet in one place: their packs, their footprints with as many futures each, and how these belong together."""

    packs: tuple[Pack, ...]
    footprints: tuple[Footprint, ...]
    remarks: tuple[str, ...]


def kept_together(twin: Twin, folders: Sequence[Path], *, seed: int = 0, by_number: bool = False) -> Together:
    """The futures of several folders of `tocsin futures run`, one of each hazard, as futures in which all these hazards come.

    Hazards that have nothing to do with each other are put together by chance: a future of the one with any of the other, the same way for
    the same seed. `by_number` puts together those of one number, for hazards that one scenario drives with the same seed; a number that is
    not done in all folders is left out. Everything counts from the same start. Raises InputError where two folders are of one hazard.
    """
    kept = [open_futures(twin, folder) for folder in folders]
    hazards = [result.pack.hazard for result in kept]
    if not kept or len(set(hazards)) != len(hazards):
        raise InputError(f"chain: futures of {', '.join(hazards) or 'nothing'}; wanted one folder of each hazard")
    if by_number:
        numbers = [[future.number for future in result.foreseen.futures] for result in kept]
        common = sorted(set(numbers[0]).intersection(*numbers[1:]))
        rows = [[of.index(number) for number in common] for of in numbers]
        words = "put together by their numbers"
    else:
        counts = [result.foreseen.footprint.members for result in kept]
        rows = [_by_chance(counts[k], min(counts), seed, hazards[k] if k else "") for k in range(len(kept))]
        words = "put together by chance, as hazards that have nothing to do with each other"
    if not rows[0]:
        raise InputError("chain: the folders have no future of the same number; leave --by-number out, or run the missing ones")
    told = [f"the futures of {' and '.join(hazards)} are {words}"] if len(kept) > 1 else []
    told += [
        f"{len(rows[k])} of {result.foreseen.footprint.members} futures of {hazards[k]} are used: the others have no partner"
        for k, result in enumerate(kept)
        if len(rows[k]) < result.foreseen.footprint.members
    ]
    footprints = tuple(result.foreseen.footprint.futures(np.array(rows[k], np.int64)) for k, result in enumerate(kept))
    return Together(tuple(result.pack for result in kept), footprints, tuple(told))


def _by_chance(count: int, wanted: int, seed: int, hazard: str) -> list[int]:
    """Which futures of a hazard, in which order: those of the first hazard as they are, of each other one shuffled by its own name."""
    order = range(count) if not hazard else sorted(range(count), key=lambda k: keyed_uniform(seed, "together", hazard, str(k)))
    return list(order)[:wanted]


def trace_chains(
    place: str,
    world: World,
    packs: Sequence[Pack],
    footprints: Sequence[Footprint],
    *,
    effects: Sequence[Effect] = (),
    broken_links: Sequence[str] = (),
    hour: float = NIGHT_H,
    seed: int = 0,
    most: int = 10,
    workers: int = 1,
    remarks: Sequence[str] = (),
    on_progress: Told | None = None,
) -> ChainReport:
    """Trace the chains through all futures, with what is done, and without it for comparison; then try what would help most.

    `broken_links` name links by their ends: "substations:north -> pumping_stations:3". Raises InputError for a link, target or verb that is
    not there. `remarks` are told with the graph's own.
    """
    tell = on_progress or _silent
    tell("graph", 0, 1)
    graph = graph_of(world, packs)
    for effect in effects:
        check_effect(graph, effect)
    links = [link for text in broken_links for link in links_between(graph, text)]
    tell("graph", 1, 1)
    undone = trace(world, packs, footprints, seed=seed, graph=graph, workers=workers)
    traced = undone
    if effects or links:
        broken = broken_by(graph, [list(effects)], len(undone.luck))
        broken.link_from_s[:, links] = 0.0
        traced = run(graph, undone.taken_s, undone.luck, undone.duration_s, broken, workers=workers)
    told = figures(traced, world, hour=hour)
    before = figures(undone, world, hour=hour)
    tell("what would help", 0, 1)
    breaks = best_breaks(
        traced, world, hour=hour, most=most, workers=workers, on_done=lambda done, total: tell("what would help", done, total)
    )
    is_acted = traced is not undone
    return ChainReport(
        place=place,
        made_up=world.made_up,
        hazards=tuple(p.hazard for p in packs),
        members=len(traced.luck),
        seed=seed,
        hours=traced.duration_s / 3600.0,
        hour=hour,
        points_by_kind=dict(Counter(graph.kind.tolist())),
        links=graph.network.links,
        links_assumed=int(graph.assumed.sum()),
        done=(
            *(f"{e.verb} {e.target} from {e.start_s / 3600.0:g} h" for e in effects),
            *(f"break {text}" for text in broken_links),
        ),
        figures={name: estimate(values, told.units[name]) for name, values in told.figures.items()},
        undone={name: estimate(values, before.units[name]) for name, values in before.figures.items()} if is_acted else None,
        saved={name: estimate(before.figures[name] - values, told.units[name]) for name, values in told.figures.items()}
        if is_acted
        else None,
        ways=likely_ways(traced, most=most),
        breaks=breaks,
        weights=link_weights(traced, world, hour=hour, most=most, workers=workers),
        points=_points(traced),
        used=_used(traced),
        remarks=(*remarks, *graph.remarks),
    )


def _silent(_task: str, _done: int, _total: int) -> None:
    pass


def links_between(graph: Graph, text: str) -> list[int]:
    """The links that "A -> B" names; raises InputError with those that there are from A or into B."""
    source, arrow, target = (part.strip() for part in text.partition(ARROW))
    if not (source and arrow and target):
        raise InputError(f"link {text[:80]!r}: wanted SOURCE -> TARGET, each as kind:id, e.g. 'substations:north -> hospitals:1'")
    network = graph.network
    ends = graph.node(source), graph.node(target)
    found = np.flatnonzero((network.source == ends[0]) & (network.target == ends[1])).tolist()
    if not found:
        near = np.flatnonzero((network.source == ends[0]) | (network.target == ends[1])).tolist()
        known = ", ".join(graph.link_name(link) for link in near[:5]) or "none"
        raise InputError(f"link {text[:80]!r}: there is none between the two; from the one or into the other: {known}")
    return found


def _points(traced: Traced) -> tuple[Point, ...]:
    """All that fail in some future, most often first."""
    graph, members = traced.graph, len(traced.luck)
    out = np.isfinite(traced.failed_s)
    count, by_hazard = out.sum(axis=0), (traced.cause == BY_HAZARD).mean(axis=0)
    rows = []
    for k in sorted(np.flatnonzero(count).tolist(), key=lambda k: (-count[k], graph.nodes[k])):
        low, high = share_interval(int(count[k]), members)
        rows.append(
            Point(
                graph.nodes[k],
                graph.name[k],
                str(graph.kind[k]),
                float(graph.x_m[k]),
                float(graph.y_m[k]),
                float(count[k]) / members,
                low,
                high,
                float(by_hazard[k]),
                float(np.median(traced.failed_s[out[:, k], k])) / 3600.0,
            )
        )
    return tuple(rows)


def _used(traced: Traced) -> tuple[LinkUse, ...]:
    graph = traced.graph
    count = np.bincount(traced.cause[traced.cause >= 0], minlength=graph.network.links)
    order = sorted(np.flatnonzero(count).tolist(), key=lambda k: (-count[k], graph.link_name(k)))
    return tuple(
        LinkUse(
            graph.nodes[graph.network.source[k]],
            graph.nodes[graph.network.target[k]],
            graph.chains.links[graph.part[k]].name,
            bool(graph.assumed[k]),
            float(count[k]) / len(traced.luck),
        )
        for k in order
    )
