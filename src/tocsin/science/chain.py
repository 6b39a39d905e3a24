"""What fails when, and because of what: failures that run along the links of a network, in many futures at once.

A node fails when the hazard takes it, or when one of its needs is lost. A need is a group of links into the node, and it is lost when
`lost_from` of them have struck: 1 for a node that falls with any of them, 2 for a hospital with two feeders. A link strikes a while after
its source failed, with a probability. Loops do no harm: a node fails once, at the earliest moment, and later strikes find it failed.

The failures of a future are found in the order of time, as Dijkstra (1959) finds shortest ways; a need of k links is lost at the k-th
smallest strike, which no strike found later can undercut, so the answer is exact. Chance belongs to (seed, future, link): what is broken or
added elsewhere changes nobody else's luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.science.sampling import key_of
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

UNHARMED, BY_HAZARD = -2, -1  # the cause of a node that did not fail, and of one that the hazard took
NODES_MOST, LINKS_MOST, NEEDS_OF_MOST = 1_000_000, 10_000_000, 64
FUTURES_PER_PART = 256
_GAMMA = 0x9E3779B97F4A7C15


class Network(msgspec.Struct, frozen=True):
    """Nodes, the needs that they have, and the links that make up each need.

    `node_key`, `link_key` and `need_key` are 64-bit names that the luck belongs to: see `key_of`. A link runs from `source` (link,) into a
    need (link,); a need belongs to the node `need_of` (need,). Delays are triangles (low, usual, high), s: `delay_s` (link, 3) from the
    source's failure to the strike, `endurance_s` (need, 3) from the loss of the need to the node's failure (a battery, a full tank).
    """

    node_key: NDArray[np.uint64]
    source: Ints
    need: Ints
    probability: Floats
    delay_s: Floats
    link_key: NDArray[np.uint64]
    need_of: Ints
    lost_from: Ints
    endurance_s: Floats
    need_key: NDArray[np.uint64]

    def __post_init__(self) -> None:
        nodes, links, needs = self.node_key.size, self.source.size, self.need_of.size
        if nodes > NODES_MOST or links > LINKS_MOST:
            raise InputError(f"network: {nodes:,} nodes and {links:,} links; wanted at most {NODES_MOST:,} and {LINKS_MOST:,}")
        shapes = {self.need.shape, self.probability.shape, self.link_key.shape, self.delay_s.shape[:1]}
        need_shapes = {self.lost_from.shape, self.need_key.shape, self.endurance_s.shape[:1]}
        if (
            shapes != {(links,)}
            or need_shapes != {(needs,)}
            or self.delay_s.shape[1:] != (3,)
            or self.endurance_s.shape[1:] != (3,)
        ):
            raise InputError(
                f"network: link columns of {shapes}, need columns of {need_shapes}; wanted one length each, delays (., 3)"
            )
        for what, column, below in (("source", self.source, nodes), ("need", self.need, needs), ("need_of", self.need_of, nodes)):
            if column.size and not (column.min() >= 0 and column.max() < below):
                raise InputError(f"network: {what} runs {column.min()}..{column.max()}; wanted 0..{below - 1}")
        if not ((self.probability >= 0) & (self.probability <= 1)).all():
            raise InputError("network: a probability is no number of 0..1; correct the link")
        for what, triangles in (("delay_s", self.delay_s), ("endurance_s", self.endurance_s)):
            low, usual, high = triangles.T
            if not (np.isfinite(triangles).all() and ((low >= 0) & (low <= usual) & (usual <= high)).all()):
                raise InputError(f"network: {what} wanted 0 <= low <= usual <= high s, all finite; correct the link")
        if needs and not (self.lost_from.min() >= 1 and self.lost_from.max() <= NEEDS_OF_MOST):
            raise InputError(f"network: lost_from runs {self.lost_from.min()}..{self.lost_from.max()}; wanted 1..{NEEDS_OF_MOST}")

    @property
    def nodes(self) -> int:
        return int(self.node_key.size)

    @property
    def links(self) -> int:
        return int(self.source.size)

    @property
    def target(self) -> Ints:
        """The node that each link runs to, (link,)."""
        return np.asarray(self.need_of[self.need], np.int32)


class Broken(msgspec.Struct, frozen=True):
    """What is done about the chains, each column one number for all futures (1, n) or one for each (future, n); +inf means never.

    From `link_from_s` (., link) on a link does not strike any more; from `shield_from_s` (., node) on the hazard does not take a node any
    more; from `backup_from_s` (., need) on the loss of a need takes `backup_s` (., need) longer to bring the node down.
    """

    link_from_s: Floats
    shield_from_s: Floats
    backup_from_s: Floats
    backup_s: Floats

    @classmethod
    def nothing(cls, network: Network) -> Broken:
        """Nobody does anything."""
        needs = network.need_of.size
        return cls(
            np.full((1, network.links), np.inf),
            np.full((1, network.nodes), np.inf),
            np.full((1, needs), np.inf),
            np.zeros((1, needs)),
        )


class Fallen(msgspec.Struct, frozen=True):
    """When each node failed, (future, node) s, +inf where it did not; and its cause: a link, BY_HAZARD, or UNHARMED."""

    failed_s: Floats
    cause: Ints


def keys_of(names: Sequence[str]) -> NDArray[np.uint64]:
    """The keys of things by their names, so that their luck goes with the name and not with the place in a list."""
    return np.array([key_of(name) for name in names], np.uint64)


def luck_of(seed: int, futures: Sequence[int]) -> NDArray[np.uint64]:
    """What the chance of each future is keyed by, (future,): a future keeps its luck whichever others are asked with it."""
    numbers = np.array([(seed + _GAMMA * (number + 1)) % 2**64 for number in futures], np.uint64)
    return _mix(numbers)


def uniform(luck: NDArray[np.uint64], keys: NDArray[np.uint64]) -> Floats:
    """Numbers in [0, 1) that belong to each future and key, (future, key): the draw by which a link strikes, or the hazard takes a node."""
    return np.asarray((_mix(luck[:, None] ^ keys[None, :]) >> np.uint64(11)) * 2.0**-53, np.float64)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's output function, as in `chain_steps.mix`."""
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)


def spread(
    network: Network, taken_s: ArrayLike, luck: NDArray[np.uint64], broken: Broken | None = None, *, workers: int = 1
) -> Fallen:
    """Let the failures run. `taken_s` (future, node) is when the hazard takes each node, +inf where it does not; `luck` is of `luck_of`.

    The same answer whatever the number of workers. Raises InputError where a time is no number.
    """
    from tocsin.science.chain_steps import spread_part

    taken = np.ascontiguousarray(taken_s, np.float64)
    broken = broken or Broken.nothing(network)
    if taken.ndim != 2 or taken.shape[1] != network.nodes:
        raise InputError(f"chain: taken_s has the shape {taken.shape}; wanted (future, {network.nodes})")
    futures = len(taken)
    if luck.shape != (futures,):
        raise InputError(f"chain: luck of {luck.shape} for {futures} futures; wanted one number each")
    columns = {
        "taken_s": (taken, network.nodes),
        "link_from_s": (broken.link_from_s, network.links),
        "shield_from_s": (broken.shield_from_s, network.nodes),
        "backup_from_s": (broken.backup_from_s, network.need_of.size),
        "backup_s": (broken.backup_s, network.need_of.size),
    }
    for what, (column, width) in columns.items():
        if column.ndim != 2 or column.shape[1] != width or column.shape[0] not in (1, futures):
            raise InputError(f"chain: {what} has the shape {column.shape}; wanted (1 or {futures}, {width})")
        if np.isnan(column).any() or (column.size and column.min() < 0):
            raise InputError(f"chain: {what} holds NaN or less than 0 s; wanted a time from 0 on, or +inf for never")
    if not np.isfinite(broken.backup_s).all():
        raise InputError("chain: backup_s is endless; wanted a number of s: break the links instead")
    order = np.argsort(network.source, kind="stable").astype(np.int32)
    first = np.searchsorted(network.source[order], np.arange(network.nodes + 1)).astype(np.int64)
    slot = np.append(0, np.cumsum(network.lost_from)).astype(np.int64)
    failed_s = np.empty((futures, network.nodes))
    cause = np.empty((futures, network.nodes), np.int32)
    parts = [(a, min(a + FUTURES_PER_PART, futures)) for a in range(0, futures, FUTURES_PER_PART)]

    def run(part: tuple[int, int]) -> None:
        spread_part(
            *part,
            luck,
            first,
            order,
            network.need,
            network.probability,
            network.delay_s,
            network.link_key,
            network.need_of,
            network.lost_from,
            network.endurance_s,
            network.need_key,
            slot,
            *(np.ascontiguousarray(column, np.float64) for column, _ in columns.values()),
            failed_s,
            cause,
        )

    if workers > 1 and len(parts) > 1:
        with ThreadPoolExecutor(workers, thread_name_prefix="tocsin-chain") as pool:
            list(pool.map(run, parts))
    else:
        for part in parts:
            run(part)
    failed_s.setflags(write=False)
    cause.setflags(write=False)
    return Fallen(failed_s, cause)
