"""The graph of risk points of a place: its assets, what each needs by what packs and the twin say, and whom each serves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tocsin.pack import Effect, Link, Pack, Service
from tocsin.pack.chain import ACCESS, PLACED, Chains, together
from tocsin.science.chain import Network, keys_of
from tocsin.vocabulary import Dependency, InputError, World

Floats = NDArray[np.float64]
HOUR_S = 3600.0
NAMES_TOLD = 5


class Served(msgspec.Struct, frozen=True):
    """Whom a service reaches: `group` (place,) numbers the people of each cell, -1 where nobody lives or nothing serves.

    A group is without the service when all its `suppliers` (group, most), nodes padded with -1, have failed.
    """

    service: Service
    suppliers: NDArray[np.int32]
    group: NDArray[np.int32]
    assumed_share: float


class Graph(msgspec.Struct, frozen=True):
    """Risk points (node), links between them, and whom they serve. `part` (link,) numbers the link's kind in `chains.links`.

    `assumed` (link,) is true where the twin did not say which needs which and the nearest was taken.
    """

    chains: Chains
    nodes: tuple[str, ...]
    name: tuple[str, ...]
    kind: NDArray[np.str_]
    x_m: Floats
    y_m: Floats
    place: NDArray[np.int64]
    network: Network
    part: NDArray[np.int32]
    assumed: NDArray[np.bool_]
    served: tuple[Served, ...]
    remarks: tuple[str, ...]

    def node(self, name: str) -> int:
        """A node's number by its name, kind:id; raises InputError with some that there are."""
        try:
            return self.nodes.index(name)
        except ValueError:
            known = ", ".join(self.nodes[:NAMES_TOLD]) or "none"
            raise InputError(f"chain: no risk point {name[:80]!r}; there are {len(self.nodes):,}: {known}, ...") from None

    def targets(self, effect: Effect) -> list[int]:
        """The nodes that an effect acts on: one by its name, all of a kind, or "all"; raises InputError where there is none."""
        if effect.target == "all":
            return list(range(len(self.nodes)))
        of_kind = np.flatnonzero(self.kind == effect.target).tolist()
        return of_kind or [self.node(effect.target)]

    def link_name(self, link: int) -> str:
        """A link as people read it."""
        target = int(self.network.target[link])
        return f"{self.nodes[self.network.source[link]]} -> {self.nodes[target]}"


class _Rows:
    """Links and needs as they are gathered."""

    def __init__(self, nodes: Mapping[str, int]) -> None:
        self.number = nodes
        self.source: list[int] = []
        self.need: list[int] = []
        self.probability: list[float] = []
        self.delay_s: list[tuple[float, float, float]] = []
        self.keys: list[str] = []
        self.part: list[int] = []
        self.assumed: list[bool] = []
        self.need_of: list[int] = []
        self.lost_from: list[int] = []
        self.endurance_s: list[tuple[float, float, float]] = []
        self.need_keys: list[str] = []

    def add(self, part: int, link: Link, target: str, rows: Sequence[Dependency], *, assumed: bool) -> None:
        """One need of `target`, made up by its suppliers. With more suppliers than the pack has in mind, as many more may be lost."""
        spared = link.supplies - link.lost_from
        endurance_h = next((r.endurance_h for r in rows if r.endurance_h is not None), None)
        need = len(self.need_of)
        self.need_of.append(self.number[target])
        self.lost_from.append(max(1, len(rows) - spared))
        self.endurance_s.append(_seconds(link.endurance_h, endurance_h))
        self.need_keys.append(f"{link.name}|{target}")
        for row in rows:
            self.source.append(self.number[row.source])
            self.need.append(need)
            self.probability.append(link.probability if row.probability is None else row.probability)
            self.delay_s.append(_seconds(link.delay_h, row.delay_h))
            self.keys.append(f"{link.name}|{row.source}|{target}")
            self.part.append(part)
            self.assumed.append(assumed)

    def network(self, nodes: Sequence[str]) -> Network:
        return Network(
            node_key=keys_of(nodes),
            source=np.array(self.source, np.int32),
            need=np.array(self.need, np.int32),
            probability=np.array(self.probability, np.float64),
            delay_s=np.array(self.delay_s, np.float64).reshape(-1, 3),
            link_key=keys_of(self.keys),
            need_of=np.array(self.need_of, np.int32),
            lost_from=np.array(self.lost_from, np.int32),
            endurance_s=np.array(self.endurance_s, np.float64).reshape(-1, 3),
            need_key=keys_of(self.need_keys),
        )


def _seconds(spread: object, told_h: float | None) -> tuple[float, float, float]:
    low, usual, high = (told_h,) * 3 if told_h is not None else (getattr(spread, end) for end in ("low", "usual", "high"))
    return low * HOUR_S, usual * HOUR_S, high * HOUR_S


def graph_of(world: World, packs: Sequence[Pack]) -> Graph:
    """The graph of a place by what `packs` say. Raises PackFault where they contradict each other."""
    chains = together({pack.hazard: pack.chain for pack in packs})
    remarks: list[str] = []
    nodes: dict[str, int] = {}
    columns: list[tuple[str, str, float, float, int]] = []  # name, kind, x, y, place
    for kind in chains.kinds:
        if kind == ACCESS:
            continue
        assets = world.assets(kind)
        for k, one in enumerate(assets.id):
            nodes[f"{kind}:{one}"] = len(nodes)
            columns.append((assets.name[k], kind, float(assets.x_m[k]), float(assets.y_m[k]), int(assets.place[k])))
        if not len(assets) and any(kind in (link.source_kind, link.target_kind) for link in chains.links):
            remarks.append(f"the twin has no {kind.replace('_', ' ')}: no chain runs through them")
    for target_kind in dict.fromkeys(link.target_kind for link in chains.links if link.source_kind == ACCESS):
        for one, number in [(n, k) for n, k in nodes.items() if columns[k][1] == target_kind]:
            nodes[f"{ACCESS}:{one.partition(':')[2]}"] = len(nodes)
            columns.append((f"the way to {columns[number][0] or one}", ACCESS, *columns[number][2:]))
    if any(c[1] == ACCESS for c in columns) and not len(world.roads):
        remarks.append("the twin has no roads: that a hospital is cut off is not told")
    told = _told(world, chains, nodes, remarks)
    rows = _Rows(nodes)
    x_m, y_m = (np.array([c[axis] for c in columns], np.float64) for axis in (2, 3))
    kinds = np.array([c[1] for c in columns], np.str_) if columns else np.empty(0, "U1")
    for part, link in enumerate(chains.links):
        for target, given in told.get(link.name, {}).items():
            rows.add(part, link, target, given, assumed=False)
        guessed = 0
        for target, near in _nearest(link, list(nodes), kinds, x_m, y_m):
            if target not in told.get(link.name, {}):
                rows.add(part, link, target, [Dependency(link.name, source, target) for source in near], assumed=True)
                guessed += 1
        if guessed and link.source_kind != ACCESS:
            remarks.append(
                f"{link.name}: assumed for {guessed:,} {link.target_kind.replace('_', ' ')} that each hangs on the nearest "
                f"{link.source_kind.replace('_', ' ')}, since the twin does not say"
            )
    served = tuple(
        s for s in (_served(world, service, nodes, kinds, x_m, y_m, told, remarks) for service in chains.services) if s
    )
    remarks += [f"{link.name}: {link.source}" for k, link in enumerate(chains.links) if link.unverified and k in rows.part]
    there = set(kinds.tolist())
    remarks += [f"{e.name}: {e.curve.source} (unverified)" for e in chains.exposures if e.curve.unverified and e.kind in there]
    return Graph(
        chains,
        tuple(nodes),
        tuple(c[0] for c in columns),
        kinds,
        x_m,
        y_m,
        np.array([c[4] for c in columns], np.int64),
        rows.network(list(nodes)),
        np.array(rows.part, np.int32),
        np.array(rows.assumed, bool),
        served,
        tuple(remarks),
    )


def _told(world: World, chains: Chains, nodes: Mapping[str, int], remarks: list[str]) -> dict[str, dict[str, list[Dependency]]]:
    """What the twin says, by link and target; rows that no pack understands are told and left out."""
    links = {link.name: link for link in chains.links}
    services = {service.name: service for service in chains.services}
    zones = set(world.zones.name)
    found: dict[str, dict[str, list[Dependency]]] = defaultdict(lambda: defaultdict(list))
    strange: list[str] = []
    for row in world.dependencies():
        ends = row.source.partition(":")[0], row.target.partition(":")[0]
        link, service = links.get(row.link), services.get(row.link)
        if link is not None:
            fits = ends == (link.source_kind, link.target_kind) and {row.source, row.target} <= nodes.keys()
        else:
            fits = service is not None and ends == (service.kind, PLACED) and row.source in nodes
            fits = fits and row.target.partition(":")[2] in zones
        if fits:
            found[row.link][row.target].append(row)
        else:
            strange.append(f"{row.link} ({row.source} -> {row.target})")
    if strange:
        remarks.append(
            f"{len(strange):,} of the twin's dependencies fit no link or service of the packs and were not used, e.g. {strange[0]}"
        )
    return found


def _nearest(
    link: Link, nodes: Sequence[str], kinds: NDArray[np.str_], x_m: Floats, y_m: Floats
) -> Iterator[tuple[str, list[str]]]:
    """Each target of a link with its nearest sources within reach; a way belongs to its own target alone."""
    sources: list[int] = np.flatnonzero(kinds == link.source_kind).tolist()
    targets: list[int] = np.flatnonzero(kinds == link.target_kind).tolist()
    if link.source_kind == ACCESS:
        own = {nodes[k].partition(":")[2]: nodes[k] for k in sources}
        yield from ((nodes[k], [own[nodes[k].partition(":")[2]]]) for k in targets if nodes[k].partition(":")[2] in own)
        return
    if not sources or not targets:
        return
    tree = cKDTree(np.column_stack([x_m[sources], y_m[sources]]))
    count = min(link.supplies + (link.source_kind == link.target_kind), len(sources))
    away_m, near = tree.query(np.column_stack([x_m[targets], y_m[targets]]), k=[*range(1, count + 1)])
    for row, target in enumerate(targets):
        chosen = [nodes[sources[k]] for k, far in zip(near[row], away_m[row], strict=True) if far <= link.reach_m]
        chosen = [one for one in chosen if one != nodes[target]][: link.supplies]
        if chosen:
            yield nodes[target], chosen


def _served(
    world: World,
    service: Service,
    nodes: Mapping[str, int],
    kinds: NDArray[np.str_],
    x_m: Floats,
    y_m: Floats,
    told: Mapping[str, Mapping[str, Sequence[Dependency]]],
    remarks: list[str],
) -> Served | None:
    """Which cells a service reaches by which nodes; None where the twin has none of its kind."""
    own = np.flatnonzero(kinds == service.kind)
    if not own.size:
        return None
    grid = world.grid
    lived = np.flatnonzero(world.people(3.0) + world.people(12.0) > 0)
    _, near = cKDTree(np.column_stack([x_m[own], y_m[own]])).query(np.column_stack(grid.centre(lived)).reshape(-1, 2))
    group = np.full(grid.cells, -1, np.int32)
    group[lived] = near
    suppliers = [[int(k)] for k in own]
    zones = 0
    for target, rows in told.get(service.name, {}).items():
        here = world.zones.places(target.partition(":")[2])
        here = here[group[here] >= 0]
        group[here] = len(suppliers)
        suppliers.append([nodes[row.source] for row in rows])
        zones += here.size
    most = max(len(s) for s in suppliers)
    share = 1.0 - zones / lived.size if lived.size else 0.0
    if share > 0:
        remarks.append(
            f"{service.name}: {share:.0%} of the cells that people live in are taken to be served by the nearest of the "
            f"{own.size:,} {service.kind.replace('_', ' ')}, since the twin does not say"
        )
    padded = np.array([s + [-1] * (most - len(s)) for s in suppliers], np.int32)
    return Served(service, padded, group, share)
