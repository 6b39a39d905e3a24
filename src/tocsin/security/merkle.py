"""A tree of hashes over a list that only grows: one root stands for all lines, and a short path proves one of them.

Hashes, paths and their checks are those of RFC 6962, section 2.1, and RFC 9162, section 2.1 (which says the same with checks
that are spelt out step by step), with SHA-256.

A node of the tree is named (level, place): it stands over the 2^level lines from place * 2^level on. Complete nodes never change,
so they can be stored once, at `position`, in the order in which they come to be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from tocsin.vocabulary.errors import InputError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Node = Callable[[int, int], bytes]
"""Gives the hash of the complete node (level, place)."""


def leaf_hash(line: bytes) -> bytes:
    """The hash of one line; its prefix keeps a line from ever passing as a node."""
    return hashlib.sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two nodes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def position(level: int, place: int) -> int:
    """How many complete nodes came to be before this one.

    When line number n (from 0) is added, 2n - popcount(n) nodes are there; its own hash is next, then the parents.
    >>> [position(0, 0), position(0, 1), position(1, 0), position(0, 2)]
    [0, 1, 2, 3]
    """
    last = ((place + 1) << level) - 1
    return 2 * last - last.bit_count() + level


def _levels(size: int) -> Iterable[int]:
    """The levels of the complete nodes that cover `size` lines, from the left."""
    return (level for level in reversed(range(size.bit_length())) if size >> level & 1)


class Frontier:
    """The complete nodes on the right edge of the tree: all that is needed to add a line and to know the root."""

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self._size, self._peaks = size, list(peaks)
        if size < 0 or len(self._peaks) != size.bit_count():
            raise InputError(f"tree of {size} lines: {len(self._peaks)} nodes on its edge; wanted {max(size, 0).bit_count()}")

    @classmethod
    def load(cls, size: int, node: Node) -> Frontier:
        """The frontier of the first `size` lines."""
        peaks, begin = [], 0
        for level in _levels(size):
            peaks.append(node(level, begin >> level))
            begin += 1 << level
        return cls(size, peaks)

    @property
    def size(self) -> int:
        return self._size

    def append(self, leaf: bytes) -> list[bytes]:
        """Add a line's hash; return the nodes that are now complete, in the order of their positions."""
        made = [leaf]
        for _ in range((~self._size & (self._size + 1)).bit_length() - 1):
            made.append(node_hash(self._peaks.pop(), made[-1]))
        self._peaks.append(made[-1])
        self._size += 1
        return made

    def root(self) -> bytes:
        """The hash that stands for all lines."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def _root_of(begin: int, size: int, node: Node) -> bytes:
    """The root over `size` lines from `begin` on, where `begin` is a multiple of the smallest power of 2 that is >= `size`."""
    peaks = []
    for level in _levels(size):
        peaks.append(node(level, begin >> level))
        begin += 1 << level
    return Frontier(size, peaks).root()


def _split(size: int) -> int:
    """The largest power of 2 that is smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, node: Node) -> tuple[bytes, ...]:
    """The path from line `index` (from 0) to the root of the first `size` lines. RFC 6962, section 2.1.1."""
    if not 0 <= index < size:
        raise InputError(f"inclusion proof of line {index} in a tree of {size}: no such line; wanted 0 to {size - 1}")
    path: list[bytes] = []
    begin = 0
    while size > 1:
        left = _split(size)
        if index < left:
            path.append(_root_of(begin + left, size - left, node))
            size = left
        else:
            path.append(_root_of(begin, left, node))
            begin, index, size = begin + left, index - left, size - left
    return tuple(reversed(path))


def consistency_proof(old: int, new: int, node: Node) -> tuple[bytes, ...]:
    """What shows that the first `old` of `new` lines are as they were. RFC 6962, section 2.1.2."""
    if not 0 <= old <= new:
        raise InputError(f"consistency proof from {old} to {new} lines: wanted 0 <= old <= new")
    if old in (0, new):
        return ()
    path: list[bytes] = []
    begin, whole = 0, True
    while old != new:
        left = _split(new)
        if old <= left:
            path.append(_root_of(begin + left, new - left, node))
            new = left
        else:
            path.append(_root_of(begin, left, node))
            begin, old, new, whole = begin + left, old - left, new - left, False
    if not whole:
        path.append(_root_of(begin, new, node))
    return tuple(reversed(path))


def _are_hashes(values: Iterable[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)


def inclusion_holds(*, leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """True if `path` leads from the line's hash to the root. RFC 9162, section 2.1.3.2."""
    if not 0 <= index < size or not _are_hashes((leaf, root, *path)):
        return False
    at, last, found = index, size - 1, leaf
    for other in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(other, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, other)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def consistency_holds(*, old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """True if the tree of `new` lines begins with the tree of `old` lines. RFC 9162, section 2.1.4.2."""
    if not 0 <= old <= new or not _are_hashes((old_root, new_root, *path)):
        return False
    if old == new:
        return not path and old_root == new_root and (old > 0 or old_root == EMPTY_ROOT)
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    steps = list(path)
    if old & (old - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_found = new_found = steps[0]
    for other in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_found, new_found = node_hash(other, old_found), node_hash(other, new_found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new_found = node_hash(new_found, other)
        at, last = at >> 1, last >> 1
    return last == 0 and old_found == old_root and new_found == new_root
