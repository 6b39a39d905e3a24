"""Risk chains of a place: what the hazard takes out in each future, what that takes out in turn, and who is left without what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.chain_graph import Graph, Served, graph_of
from tocsin.decision.impact import Ways, closing_s, ways_of
from tocsin.pack import Effect, Future, Pack
from tocsin.pack.chain import ACCESS
from tocsin.science.chain import UNHARMED, Broken, Fallen, keys_of, luck_of, spread, uniform
from tocsin.science.reach import last_way_out_s
from tocsin.vocabulary import Footprint, InputError, World

Floats = NDArray[np.float64]
CELLS_MOST = 300_000_000  # futures x nodes: 3.6 GB of times and causes


class Services(msgspec.Struct, frozen=True):
    """Figures (future,) by name, in `units`."""

    figures: Mapping[str, Floats]
    units: Mapping[str, str]


class Traced(msgspec.Struct, frozen=True):
    """What failed when, and why, in each future: `failed_s` and `cause` (future, node); a failure after the run's end is none.

    `taken_s` is when the hazard would take each node, before anything is done about it, and `broken` what was done.
    """

    graph: Graph
    luck: NDArray[np.uint64]
    duration_s: float
    taken_s: Floats
    broken: Broken
    failed_s: Floats
    cause: NDArray[np.int32]


def trace(
    world: World,
    packs: Sequence[Pack],
    footprints: Sequence[Footprint],
    *,
    effects: Sequence[Sequence[Effect]] = (),
    seed: int = 0,
    futures: Sequence[int] | None = None,
    graph: Graph | None = None,
    ways: Ways | None = None,
    workers: int = 1,
) -> Traced:
    """Let the failures run in each future of the footprints, all of the same futures, e.g. one of water and one of smoke.

    `effects` is what is done, by future, or once for all; `futures` are the numbers that the luck belongs to, 0, 1, 2, ... if not given.
    Raises InputError where footprints do not fit together or an effect's target is no risk point.
    """
    if not footprints or len({f.members for f in footprints}) != 1:
        raise InputError(
            f"chain: footprints of {[f.members for f in footprints]} futures; wanted one or more, of the same futures"
        )
    graph = graph or graph_of(world, packs)
    members, duration_s = footprints[0].members, max(f.duration_s for f in footprints)
    if members * len(graph.nodes) > CELLS_MOST:
        raise InputError(
            f"chain: {members:,} futures of {len(graph.nodes):,} risk points; wanted at most {CELLS_MOST:,} together"
        )
    luck = luck_of(seed, range(members) if futures is None else futures)
    taken = taken_s(world, graph, packs, footprints, luck, ways=ways)
    return run(graph, taken, luck, duration_s, broken_by(graph, effects, members), workers=workers)


def run(graph: Graph, taken: Floats, luck: NDArray[np.uint64], duration_s: float, broken: Broken, *, workers: int = 1) -> Traced:
    """The failures, given when the hazard takes each node and what was done; what fails after the end has not failed."""
    fallen: Fallen = spread(graph.network, taken, luck, broken, workers=workers)
    late = fallen.failed_s > duration_s
    return Traced(
        graph,
        luck,
        duration_s,
        taken,
        broken,
        np.where(late, np.inf, fallen.failed_s),
        np.where(late, np.int32(UNHARMED), fallen.cause),
    )


def taken_s(
    world: World,
    graph: Graph,
    packs: Sequence[Pack],
    footprints: Sequence[Footprint],
    luck: NDArray[np.uint64],
    *,
    ways: Ways | None = None,
) -> Floats:
    """When the hazards take each node, (future, node): at their arrival, if the node's luck is below the curve at the peak.

    A curve may be over what the model makes or over a companion of it (a flood's speed); the arrival is the hazard's.

    The depth that does it may come later than the first water, so this is the early end. The luck is the node's own in each future, so a plan
    that lowers the water spares nodes and fells none. Raises InputError where a footprint is no number where an asset stands.
    """
    taken = np.full((len(luck), len(graph.nodes)), np.inf)
    for footprint in footprints:
        peaks = {footprint.quantity.name: footprint.peak, **footprint.companions}
        for exposure in graph.chains.exposures:
            if (quantity := exposure.curve.quantity.name) not in peaks:
                continue
            here = np.flatnonzero((graph.kind == exposure.kind) & (graph.place >= 0))
            if not here.size:
                continue
            arrival_s = footprint.arrival_s[:, graph.place[here]].astype(np.float64)
            peak = peaks[quantity][:, graph.place[here]]
            if np.isnan(peak).any() or np.isnan(arrival_s).any():
                bad = graph.nodes[here[np.flatnonzero(np.isnan(peak).any(axis=0) | np.isnan(arrival_s).any(axis=0))[0]]]
                raise InputError(f"chain: {quantity} is no number at {bad}; run the model again, or mend the terrain")
            u = uniform(luck, keys_of([f"{quantity}|{graph.nodes[k]}" for k in here]))
            came = u < exposure.curve.share(peak)
            taken[:, here] = np.minimum(taken[:, here], np.where(came, arrival_s, np.inf))
    _close_ways(world, graph, packs, footprints, taken, ways)
    return taken


def _close_ways(
    world: World, graph: Graph, packs: Sequence[Pack], footprints: Sequence[Footprint], taken: Floats, ways: Ways | None
) -> None:
    """When the last street from each asset out of the twin closes; never where none leads there when all is dry."""
    access = np.flatnonzero((graph.kind == ACCESS) & (graph.place >= 0))
    roads = world.roads
    if not access.size or not len(roads):
        return
    for footprint in footprints:
        harm = next((p.harm for p in packs if p.harm.danger.name == footprint.quantity.name and p.harm.road_speed), None)
        if harm is None:
            continue
        ways = ways or ways_of(world)
        node = ways.node_of[graph.place[access]]
        edges, open_s = ways.exits[: ways.edges], np.full(ways.edges, np.inf)
        ends = roads.source, roads.target
        dry = last_way_out_s(*ends, np.full(len(roads), np.inf), edges, open_s, roads.node_x_m.size)[node]
        for member in range(footprint.members):
            closes_s = closing_s(roads, harm, footprint.peak[member], footprint.arrival_s[member])
            if np.isinf(closes_s).all():
                continue
            until = last_way_out_s(*ends, closes_s, edges, open_s, roads.node_x_m.size)[node]
            until = np.where(dry == np.inf, np.maximum(until, 0.0), np.inf)
            taken[member, access] = np.minimum(taken[member, access], until)


def check_effect(graph: Graph, effect: Effect) -> None:
    """Raise InputError where an effect has a verb that no chain knows, or a target that is no risk point."""
    verbs = graph.chains.verbs
    if effect.verb not in verbs:
        raise InputError(f"chain: no effect {effect.verb!r}; there are: {', '.join(sorted(verbs)) or 'none'}")
    graph.targets(effect)
    if not 0 < effect.amount < np.inf:
        raise InputError(f"chain: {effect.verb} {effect.target}: amount {effect.amount}; wanted more than 0")


def broken_by(graph: Graph, effects: Sequence[Sequence[Effect]], members: int) -> Broken:
    """What effects do to the chains; those with a verb that no chain knows do nothing to it. By future, or once for all."""
    if len(effects) not in (0, 1, members):
        raise InputError(f"chain: effects of {len(effects)} futures; wanted 0, 1 or {members}")
    network, chains = graph.network, graph.chains
    count = max(1, len(effects))
    link_from, shield_from = np.full((count, network.links), np.inf), np.full((count, network.nodes), np.inf)
    backup_from, backup = np.full((count, network.need_of.size), np.inf), np.zeros((count, network.need_of.size))
    part_of_need = np.zeros(network.need_of.size, np.int32)
    part_of_need[network.need] = graph.part
    shields = {verb: {e.kind for e in chains.exposures if verb in e.shielded_by} for verb in chains.verbs}
    breaks = {verb: [k for k, link in enumerate(chains.links) if verb in link.broken_by] for verb in chains.verbs}
    holds = {verb: [k for k, link in enumerate(chains.links) if verb in link.held_by] for verb in chains.verbs}
    for future, done in enumerate(effects):
        for effect in done:
            if effect.verb not in chains.verbs:
                continue
            start_s = max(0.0, effect.start_s)
            at = np.array(graph.targets(effect))
            kept = at[np.isin(graph.kind[at], list(shields[effect.verb]))]
            shield_from[future, kept] = np.minimum(shield_from[future, kept], start_s)
            cut = np.flatnonzero(np.isin(network.target, at) & np.isin(graph.part, breaks[effect.verb]))
            link_from[future, cut] = np.minimum(link_from[future, cut], start_s)
            held = np.flatnonzero(np.isin(network.need_of, at) & np.isin(part_of_need, holds[effect.verb]))
            backup_from[future, held] = np.minimum(backup_from[future, held], start_s)
            backup[future, held] += effect.amount * 3600.0
    return Broken(link_from, shield_from, backup_from, backup)


def lost_s(served: Served, failed_s: Floats) -> Floats:
    """When each group of people loses a service, (future, group): when the last of its suppliers fails."""
    padded = np.concatenate(
        [failed_s, np.full((len(failed_s), 1), -np.inf)], axis=1
    )  # node -1 is the padding: it is out at all times
    return np.asarray(padded[:, served.suppliers].max(axis=2))


def persons_of(graph: Graph, people: Floats) -> tuple[Floats, ...]:
    """How many of the people (place,) each group of each service has, in the order of `graph.served`."""
    counted = []
    for served in graph.served:
        known = served.group >= 0
        counted.append(np.bincount(served.group[known], people[known], minlength=len(served.suppliers)).astype(np.float64))
    return tuple(counted)


def figure_units(graph: Graph) -> dict[str, str]:
    """The units of the figures that a graph has, in the order in which they are told."""
    units: dict[str, str] = {}
    for served in graph.served:
        units[served.service.name], units[f"{served.service.name}_hours"] = "persons", "person hours"
    return units | {f"{kind}_out": kind for kind in dict.fromkeys(graph.kind.tolist()) if kind != ACCESS}


def figures(traced: Traced, world: World, *, hour: float, persons: Sequence[Floats] | None = None) -> Services:
    """Who is without what by the end, how long, and how many assets of each kind are out, (future,).

    A person without power and water counts once in each. Nothing is repaired within a run, so what is lost stays lost. `persons` are of
    `persons_of`, where the caller has them: they are the same for all futures.
    """
    graph = traced.graph
    if persons is None:
        persons = persons_of(graph, world.people(hour))
    told: dict[str, Floats] = {}
    for served, count in zip(graph.served, persons, strict=True):
        at_s = lost_s(served, traced.failed_s)
        told[served.service.name] = np.isfinite(at_s) @ count
        hours = np.where(np.isfinite(at_s), traced.duration_s - at_s, 0.0) / 3600.0
        told[f"{served.service.name}_hours"] = hours @ count
    out, units = np.isfinite(traced.failed_s), figure_units(graph)
    for kind in dict.fromkeys(graph.kind.tolist()):
        if kind != ACCESS:
            told[f"{kind}_out"] = out[:, graph.kind == kind].sum(axis=1).astype(float)
    return Services(told, units)


def hits_of(
    world: World, pack: Pack, footprint: Footprint, futures: Sequence[Future], *, graph: Graph, ways: Ways | None = None
) -> Floats:
    """When the hazard takes each node, (future, node): the same for all plans that leave this footprint as it is; see `service_figures`."""
    return taken_s(world, graph, [pack], [footprint], luck_of(0, [f.seed for f in futures]), ways=ways)


def service_figures(
    world: World,
    pack: Pack,
    footprint: Footprint,
    plan_effects_by_future: Sequence[Sequence[Effect]],
    futures: Sequence[Future],
    *,
    hour: float = 3.0,
    graph: Graph | None = None,
    ways: Ways | None = None,
    hits: Floats | None = None,
    persons: Sequence[Floats] | None = None,
) -> Services:
    """What one plan leaves of the services in each future, for the comparison of plans. A future keeps its luck whatever the plan.

    `graph`, `ways`, `persons` (of `persons_of`) and, for plans that share a footprint, `hits` (of `hits_of`) are the same for all plans: give
    them where several are compared, since the streets of a city are searched once for each future.
    """
    graph = graph or graph_of(world, [pack])
    if hits is None:
        hits = hits_of(world, pack, footprint, futures, graph=graph, ways=ways)
    luck = luck_of(0, [f.seed for f in futures])
    traced = run(graph, hits, luck, footprint.duration_s, broken_by(graph, plan_effects_by_future, len(luck)))
    return figures(traced, world, hour=hour, persons=persons)
