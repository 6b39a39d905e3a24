"""Hashes, paths and their checks, against published vectors and against the RFC's own recursive definitions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.security.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_holds,
    consistency_proof,
    inclusion_holds,
    inclusion_proof,
    leaf_hash,
    node_hash,
    position,
)
from tocsin.vocabulary import InputError

# Test vectors of Certificate Transparency: google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc, and
# transparency-dev/merkle, proof/verify_test.go, commit 02194e9afb6c1d95b5381350007963aa70fff472.
INPUTS = [
    bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
H5F = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
H6B = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
H96 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
HBC = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
HCA = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
H0E = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
HB0 = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
INCLUSION = [  # (line from 1, size, path)
    (1, 1, []),
    (1, 8, [H96, H5F, H6B]),
    (6, 8, [HBC, HCA, ROOTS[3]]),
    (3, 3, [ROOTS[1]]),
    (2, 5, [ROOTS[0], H5F, HBC]),
]
CONSISTENCY = [
    (1, 1, []),
    (1, 8, [H96, H5F, H6B]),
    (6, 8, [H0E, HCA, ROOTS[3]]),
    (2, 5, [H5F, HBC]),
    (6, 7, [H0E, HB0, ROOTS[3]]),
]


class Tree:
    """All nodes of a tree, kept in the order in which they came, as the store keeps them."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.frontier, self.nodes = Frontier(), list[bytes]()
        for line in lines:
            self.nodes += self.frontier.append(leaf_hash(line))

    def node(self, level: int, place: int) -> bytes:
        return self.nodes[position(level, place)]


def split(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def naive_root(lines: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not lines:
        return EMPTY_ROOT
    if len(lines) == 1:
        return leaf_hash(lines[0])
    k = split(len(lines))
    return node_hash(naive_root(lines[:k]), naive_root(lines[k:]))


def naive_path(m: int, lines: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1, word for word."""
    if len(lines) == 1:
        return []
    k = split(len(lines))
    if m < k:
        return [*naive_path(m, lines[:k]), naive_root(lines[k:])]
    return [*naive_path(m - k, lines[k:]), naive_root(lines[:k])]


def naive_subproof(m: int, lines: Sequence[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2, word for word."""
    if m == len(lines):
        return [] if whole else [naive_root(lines)]
    k = split(len(lines))
    if m <= k:
        return [*naive_subproof(m, lines[:k], whole), naive_root(lines[k:])]
    return [*naive_subproof(m - k, lines[k:], False), naive_root(lines[:k])]


def test_roots_are_those_of_certificate_transparency() -> None:
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT
    for line, root in zip(INPUTS, ROOTS, strict=True):
        frontier.append(leaf_hash(line))
        assert frontier.root().hex() == root


@pytest.mark.parametrize(("line", "size", "path"), INCLUSION)
def test_inclusion_paths_are_those_of_certificate_transparency(line: int, size: int, path: list[str]) -> None:
    found = inclusion_proof(line - 1, size, Tree(INPUTS).node)
    assert [step.hex() for step in found] == path
    assert inclusion_holds(
        leaf=leaf_hash(INPUTS[line - 1]), index=line - 1, size=size, path=found, root=bytes.fromhex(ROOTS[size - 1])
    )


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCY)
def test_consistency_paths_are_those_of_certificate_transparency(old: int, new: int, path: list[str]) -> None:
    found = consistency_proof(old, new, Tree(INPUTS).node)
    roots = {"old_root": bytes.fromhex(ROOTS[old - 1]), "new_root": bytes.fromhex(ROOTS[new - 1])}
    assert [step.hex() for step in found] == path
    assert consistency_holds(old=old, new=new, path=found, **roots)


LINES = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


@given(lines=LINES, data=st.data())
@settings(deadline=None)
def test_any_tree_is_that_of_the_recursive_definition(lines: list[bytes], data: st.DataObject) -> None:
    tree = Tree(lines)
    assert tree.frontier.root() == naive_root(lines)
    size = data.draw(st.integers(1, len(lines)))
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(index, size, tree.node)
    assert list(path) == naive_path(index, lines[:size])
    assert inclusion_holds(leaf=leaf_hash(lines[index]), index=index, size=size, path=path, root=naive_root(lines[:size]))
    growth = consistency_proof(size, len(lines), tree.node)
    assert list(growth) == naive_subproof(size, lines, True)
    assert consistency_holds(old=size, new=len(lines), old_root=naive_root(lines[:size]), new_root=naive_root(lines), path=growth)


@given(lines=LINES, data=st.data())
@settings(deadline=None)
def test_a_frontier_that_was_loaded_goes_on_as_if_it_had_never_stopped(lines: list[bytes], data: st.DataObject) -> None:
    stop = data.draw(st.integers(0, len(lines)))
    frontier = Frontier.load(stop, Tree(lines[:stop]).node)
    for line in lines[stop:]:
        frontier.append(leaf_hash(line))
    assert frontier.root() == naive_root(lines)


@given(lines=st.lists(st.binary(min_size=1, max_size=4), min_size=2, max_size=40, unique=True), data=st.data())
@settings(deadline=None)
def test_no_other_line_index_size_path_or_root_is_taken(lines: list[bytes], data: st.DataObject) -> None:
    tree, size = Tree(lines), len(lines)
    index = data.draw(st.integers(0, size - 1))
    right = {
        "leaf": leaf_hash(lines[index]),
        "index": index,
        "size": size,
        "path": inclusion_proof(index, size, tree.node),
        "root": tree.frontier.root(),
    }
    path = right["path"]
    at = data.draw(st.integers(0, len(path) - 1))
    flipped = bytes([path[at][0] ^ 8]) + path[at][1:]
    for wrong in (
        {"leaf": leaf_hash(b"another")},
        {"index": index - 1},
        {"index": index + 1},
        {"index": index ^ 2},
        {"index": -1},
        {"size": size * 2},
        {"size": size // 2},
        {"size": 0},
        {"root": EMPTY_ROOT},
        {"root": b"short"},
        {"leaf": b"short"},
        {"path": (*path, b"")},
        {"path": (*path, right["root"])},
        {"path": (right["root"], *path)},
        {"path": path[:-1]},
        {"path": (*path[:at], flipped, *path[at + 1 :])},
    ):
        assert not inclusion_holds(**(right | wrong)), wrong


@given(lines=st.lists(st.binary(min_size=1, max_size=4), min_size=2, max_size=40, unique=True), data=st.data())
@settings(deadline=None)
def test_no_other_past_or_future_is_taken(lines: list[bytes], data: st.DataObject) -> None:
    tree, new = Tree(lines), len(lines)
    old = data.draw(st.integers(1, new - 1))
    path = consistency_proof(old, new, tree.node)
    right = {"old": old, "new": new, "old_root": naive_root(lines[:old]), "new_root": naive_root(lines), "path": path}
    at = data.draw(st.integers(0, len(path) - 1))
    flipped = bytes([path[at][0] ^ 16]) + path[at][1:]
    for wrong in (
        {"old": old - 1},
        {"old": old + 1},
        {"old": old ^ 2},
        {"new": new * 2},
        {"new": new // 2},
        {"old_root": b"short"},
        {"new_root": EMPTY_ROOT},
        {"old_root": right["new_root"], "new_root": right["old_root"]},
        {"path": ()},
        {"path": (*path, b"")},
        {"path": (*path, right["old_root"])},
        {"path": (right["new_root"], *path)},
        {"path": path[:-1]},
        {"path": (*path[:at], flipped, *path[at + 1 :])},
    ):
        assert not consistency_holds(**(right | wrong)), wrong


def test_every_ledger_begins_with_an_empty_one_and_with_itself() -> None:
    root = Tree(INPUTS).frontier.root()
    assert consistency_holds(old=0, new=8, old_root=EMPTY_ROOT, new_root=root, path=())
    assert consistency_holds(old=8, new=8, old_root=root, new_root=root, path=())
    assert consistency_holds(old=0, new=0, old_root=EMPTY_ROOT, new_root=EMPTY_ROOT, path=())
    assert not consistency_holds(old=0, new=8, old_root=root, new_root=root, path=())
    assert not consistency_holds(old=0, new=0, old_root=root, new_root=root, path=())
    assert not consistency_holds(old=9, new=8, old_root=root, new_root=root, path=())


def test_nodes_are_counted_in_the_order_in_which_they_come() -> None:
    tree = Tree([bytes([k]) for k in range(37)])
    assert position(0, 37) == len(tree.nodes)
    assert tree.node(2, 1) == naive_root([bytes([k]) for k in range(4, 8)])


def test_a_proof_in_a_tree_of_a_million_reads_few_nodes() -> None:
    asked: list[tuple[int, int]] = []

    def node(level: int, place: int) -> bytes:
        asked.append((level, place))
        return bytes(32)

    for index in (0, 524_287, 999_999):
        asked.clear()
        assert len(inclusion_proof(index, 1_000_000, node)) <= 20
        assert len(asked) <= 40
    asked.clear()
    consistency_proof(777_777, 1_000_000, node)
    assert len(asked) <= 40


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_line_that_is_not_there_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(InputError, match="no such line"):
        inclusion_proof(index, size, Tree(INPUTS).node)


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_a_ledger_does_not_grow_backwards(old: int, new: int) -> None:
    with pytest.raises(InputError, match="0 <= old <= new"):
        consistency_proof(old, new, Tree(INPUTS).node)


def test_an_edge_that_does_not_fit_its_size_is_refused() -> None:
    with pytest.raises(InputError, match="wanted 2"):
        Frontier(3, [bytes(32)])
