"""How to read risk chains: the ways that failures most often take, and the link that is best broken, told with their doubt."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from tocsin.decision.chains import Traced, broken_by, figures, run
from tocsin.pack import Effect
from tocsin.science.chain import BY_HAZARD, Broken
from tocsin.science.risk import margin
from tocsin.vocabulary import World

Floats = NDArray[np.float64]
SURE = 0.9
TRIED_MOST = 200
BEGINNINGS_MOST = 20  # of one chain: longer ones are told in parts


class Way(msgspec.Struct, frozen=True):
    """A chain that failures took: its points from the hazard to the end, its links, in which share of the futures (90 % interval), and when.

    `after_h` is how long after the first point each fails, h, the mean of the futures in which it happens.
    """

    points: tuple[str, ...]
    names: tuple[str, ...]
    links: tuple[str, ...]
    assumed: bool
    share: float
    low: float
    high: float
    begins_h: float
    after_h: tuple[float, ...]


class Break(msgspec.Struct, frozen=True):
    """What breaking something would save: losses of a service by persons, fewer in the mean, with the interval that holds it at 90 %.

    `helps_share` is the share of the futures in which it saves anybody. `verb` is empty where no action is known and it is the link's weight.
    """

    verb: str
    target: str
    what: str
    saved: float
    low: float
    high: float
    helps_share: float
    used_share: float
    saved_by_service: dict[str, float]


def share_interval(count: int, total: int) -> tuple[float, float]:
    """The 90 % interval of a share of futures: Clopper & Pearson 1934, Biometrika 26:404-413."""
    tail = (1.0 - SURE) / 2.0
    low = 0.0 if count == 0 else float(beta.ppf(tail, count, total - count + 1))
    high = 1.0 if count == total else float(beta.ppf(1.0 - tail, count + 1, total - count))
    return low, high


def likely_ways(traced: Traced, *, most: int = 10) -> tuple[Way, ...]:
    """The chains of two points and more that happen in most futures, most frequent first.

    A chain runs back along the causes from any point that failed; one that is only the beginning of a longer chain in all its futures is not
    told beside it. Where redundancy was lost, the cause is the supply that was lost last.
    """
    network, cause = traced.graph.network, traced.cause
    members = len(cause)
    future, node = np.nonzero(cause >= 0)
    if not future.size:
        return ()
    # the way back of every failure, all at once: a hash of the links on it names the way
    at, name = node.copy(), network.node_key[node].copy()
    for _ in range(network.nodes):
        link = cause[future, at]
        moving = link >= 0
        if not moving.any():
            break
        name[moving] = (name[moving] * np.uint64(0x100000001B3)) ^ network.link_key[link[moving]]
        at[moving] = network.source[link[moving]]
    names, which, counts = np.unique(name, return_inverse=True, return_counts=True)
    first = np.unique(which, return_index=True)[1]
    links_of = {k: _links_to(traced, int(future[first[k]]), int(node[first[k]])) for k in _most_frequent(counts, most)}
    told: list[Way] = []
    kept: list[tuple[int, list[int]]] = []
    for k, links in sorted(links_of.items(), key=lambda w: (-counts[w[0]], -len(w[1]), names[w[0]])):
        if any(count == counts[k] and longer[: len(links)] == links for count, longer in kept):
            continue
        kept.append((int(counts[k]), links))
        told.append(_way(traced, links, future[which == k], members))
        if len(told) == most:
            break
    return tuple(told)


def _most_frequent(counts: NDArray[np.int64], most: int) -> list[int]:
    """As many as can be asked for, and those that may be beginnings of others: the most frequent ways, by number."""
    chosen: list[int] = np.argsort(-counts, kind="stable")[: most * BEGINNINGS_MOST].tolist()
    return chosen


def _links_to(traced: Traced, future: int, point: int) -> list[int]:
    """The links by which a point failed in one future, from the hazard on."""
    links: list[int] = []
    while (link := int(traced.cause[future, point])) >= 0:
        links.append(link)
        point = int(traced.graph.network.source[link])
    return links[::-1]


def _way(traced: Traced, links: list[int], futures: NDArray[np.int64], members: int) -> Way:
    graph, network = traced.graph, traced.graph.network
    points = [int(network.source[links[0]]), *(int(network.target[link]) for link in links)]
    when = traced.failed_s[futures][:, points] / 3600.0
    low, high = share_interval(futures.size, members)
    return Way(
        tuple(graph.nodes[p] for p in points),
        tuple(graph.name[p] for p in points),
        tuple(graph.chains.links[graph.part[link]].name for link in links),
        bool(graph.assumed[links].any()),
        futures.size / members,
        low,
        high,
        float(when[:, 0].mean()),
        tuple((when - when[:, :1]).mean(axis=0).tolist()),
    )


def losses(traced: Traced, world: World, *, hour: float) -> dict[str, Floats]:
    """Persons without each service, (future,)."""
    told = figures(traced, world, hour=hour)
    return {name: values for name, values in told.figures.items() if told.units[name] == "persons"}


def best_breaks(
    traced: Traced,
    world: World,
    *,
    hour: float,
    from_s: float = 0.0,
    most: int = 10,
    workers: int = 1,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[Break, ...]:
    """The actions that would save most, one at a time, in the same futures with the same luck: the best link to break, and with what.

    Each action of the packs on each point that fails is tried, done from `from_s` on; of more than 200 those at the points that fail most
    often. Ties go by name.
    """
    graph = traced.graph
    out_share = np.isfinite(traced.failed_s).mean(axis=0)
    options: dict[tuple[str, int], tuple[float, str]] = {}
    hit_share = (traced.cause == BY_HAZARD).mean(axis=0)
    for exposure in graph.chains.exposures:
        for verb in exposure.shielded_by:
            for point in np.flatnonzero((graph.kind == exposure.kind) & (hit_share > 0)).tolist():
                options[verb, point] = (float(hit_share[point]), f"keep the hazard out of {graph.nodes[point]}")
    used = np.bincount(traced.cause[traced.cause >= 0], minlength=graph.network.links) / max(1, len(traced.cause))
    for number, link in enumerate(graph.chains.links):
        for verb in (*link.broken_by, *link.held_by):
            for k in np.flatnonzero((graph.part == number) & (used > 0)).tolist():
                point = int(graph.network.target[k])
                words = f"{link.name}: {graph.link_name(k)}"
                before = options.get((verb, point))
                if before is None or words not in before[1]:
                    share, told = before or (0.0, "")
                    options[verb, point] = (max(share, float(used[k])), f"{told}; {words}" if told else words)
    tried = sorted(options, key=lambda o: (-options[o][0], -out_share[o[1]], o[0], graph.nodes[o[1]]))[:TRIED_MOST]
    before_by = losses(traced, world, hour=hour)
    found = []
    for done, (verb, point) in enumerate(tried, start=1):
        effect = Effect(verb, graph.nodes[point], 24.0, from_s)
        found.append(_break(traced, world, before_by, effect, options[verb, point], hour, workers))
        if on_done is not None:
            on_done(done, len(tried))
    return tuple(sorted(found, key=lambda b: (-b.saved, b.verb, b.target))[:most])


def link_weights(traced: Traced, world: World, *, hour: float, most: int = 10, workers: int = 1) -> tuple[Break, ...]:
    """What each link weighs: the losses that would not be if it never struck, whether anybody can break it or not."""
    graph = traced.graph
    used = np.bincount(traced.cause[traced.cause >= 0], minlength=graph.network.links) / max(1, len(traced.cause))
    tried = sorted(np.flatnonzero(used > 0).tolist(), key=lambda k: (-used[k], graph.link_name(k)))[:TRIED_MOST]
    before_by = losses(traced, world, hour=hour)
    found = []
    for link in tried:
        link_from = np.array(traced.broken.link_from_s)
        link_from[:, link] = 0.0
        broken = msgspec.structs.replace(traced.broken, link_from_s=link_from)
        after = run(graph, traced.taken_s, traced.luck, traced.duration_s, broken, workers=workers)
        words = graph.chains.links[graph.part[link]].name
        found.append(_saved("", graph.link_name(link), words, float(used[link]), before_by, losses(after, world, hour=hour)))
    return tuple(sorted(found, key=lambda b: (-b.saved, b.target, b.what))[:most])


def _break(
    traced: Traced,
    world: World,
    before_by: dict[str, Floats],
    effect: Effect,
    option: tuple[float, str],
    hour: float,
    workers: int,
) -> Break:
    """One action more than what is done already, tried on the same futures."""
    graph, done = traced.graph, traced.broken
    more = broken_by(graph, [[effect]], len(traced.luck))
    broken = Broken(
        np.minimum(done.link_from_s, more.link_from_s),
        np.minimum(done.shield_from_s, more.shield_from_s),
        np.minimum(done.backup_from_s, more.backup_from_s),
        done.backup_s + more.backup_s,
    )
    after = run(graph, traced.taken_s, traced.luck, traced.duration_s, broken, workers=workers)
    return _saved(effect.verb, effect.target, option[1], option[0], before_by, losses(after, world, hour=hour))


def _saved(verb: str, target: str, what: str, used: float, before_by: dict[str, Floats], after_by: dict[str, Floats]) -> Break:
    """The paired difference over the futures, with its bootstrap interval; zeros where no service is known."""
    by_service = {name: before - after_by[name] for name, before in before_by.items()}
    if not by_service:
        return Break(verb, target, what, 0.0, 0.0, 0.0, 0.0, used, {})
    difference = np.sum(list(by_service.values()), axis=0)
    saved, low, high = margin(np.zeros(difference.size), difference, np.random.default_rng(0), sure=SURE)
    return Break(
        verb,
        target,
        what,
        saved,
        low,
        high,
        float((difference > 0).mean()),
        used,
        {n: float(d.mean()) for n, d in by_service.items()},
    )
