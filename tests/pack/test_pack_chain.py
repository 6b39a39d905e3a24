"""What packs say of risk chains: refused where it is nonsense, and put together where they agree."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tocsin.pack import LIFELINES, Exposure, Link, Service, find_pack
from tocsin.pack.chain import together
from tocsin.pack.model import Spread
from tocsin.vocabulary import InputError, PackFault

LINK: dict[str, Any] = {"name": "power for pumps", "source_kind": "substations", "target_kind": "pumps", "source": "a utility"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": ""}, "a source of its numbers"),
        ({"probability": 1.5}, "probability 1.5; wanted 0..1"),
        ({"probability": float("nan")}, "probability nan"),
        ({"delay_h": Spread(-1.0, 0.0, 0.0)}, "wanted 0 or more"),
        ({"lost_from": 2}, "lost when 2 of 1 supplies are"),
        ({"reach_m": 0.0}, "reach_m"),
    ],
)
def test_a_link_that_cannot_be_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Link(**(LINK | change))


def test_what_two_packs_say_alike_is_said_once() -> None:
    chains = together({"flood": LIFELINES, "wildfire": (*LIFELINES, Link(**LINK))})
    assert len(chains.links) == len(together({"flood": LIFELINES}).links) + 1


def test_packs_that_contradict_each_other_are_refused_by_name() -> None:
    with pytest.raises(PackFault, match="packs flood and wildfire: both have the link 'power for pumps'"):
        together({"flood": (Link(**LINK),), "wildfire": (Link(**(LINK | {"probability": 0.5})),)})


def test_a_service_is_named_so_that_a_table_can_carry_it() -> None:
    with pytest.raises(InputError, match="words_joined_by_underscores"):
        Service("people without power", "substations", "x")


def test_every_number_of_the_flood_packs_chains_names_where_it_is_from() -> None:
    chain = find_pack("flood").chain
    assert all(part.source for part in chain if isinstance(part, Link))
    assert all(part.curve.source for part in chain if isinstance(part, Exposure))
    assert {"substations", "pumping_stations", "hospitals"} <= {part.kind for part in chain if isinstance(part, Exposure)}


def test_the_chains_of_a_pack_are_data_that_can_be_written_and_read() -> None:
    for part in find_pack("flood").chain:
        assert msgspec.convert(msgspec.to_builtins(part), type(part)) == part
