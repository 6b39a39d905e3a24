"""Whom a hazard drives into which shelter: the nearest dry one with room, from when its first guest would be reached, for as long as they stay."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tocsin.decision.sheltered import sheltered_in
from tocsin.pack import find_pack
from tocsin.testing.tiny import Thing, TinyWorld
from tocsin.vocabulary import Footprint, InputError, Series

PACK = find_pack("flood")
FROM_S, STAY_S = 600.0, 86_400.0


class Two(TinyWorld):
    """Ten people live in each of the cells 6 and 7, and nobody elsewhere. The tiny world's own shelter, in cell 11, is always under water here."""

    def people(self, hour: float) -> NDArray[np.float64]:
        return np.where(np.isin(np.arange(24), (6, 7)), super().people(hour), 0.0)


def came(*cells: int, at_s: float = FROM_S) -> Footprint:
    """Two metres of water in some cells, and in cell 11, in the only future."""
    peak, arrival_s = np.zeros((1, 24), np.float32), np.full((1, 24), np.inf, np.float32)
    wet = [*cells, 11]
    peak[0, wet], arrival_s[0, wet] = 2.0, at_s + np.arange(len(wet))
    return Footprint(PACK.models[0].makes, 7_200.0, peak, arrival_s, np.full((1, 24), np.inf, np.float32))


def crowd(water: Footprint, *shelters: Thing, share: float = 1.0) -> dict[str, Series]:
    world = Two(things={"shelters": shelters})
    (told,) = sheltered_in(world, water, PACK.harm, hour=3.0, share=share, stay_s=STAY_S)
    return {name: series for name, series in told.items() if name != "shelter-1"}


def test_guests_come_when_the_first_would_be_reached_and_leave_when_their_stay_is_over() -> None:
    hall = crowd(came(6, 7), Thing("hall", 10, 100.0), share=0.5)["hall"]  # each value holds until the next
    assert (hall.time_s.tolist(), hall.value.tolist()) == ([0.0, FROM_S, FROM_S + STAY_S], [0.0, 10.0, 0.0])
    at_once = crowd(came(6, at_s=0.0), Thing("hall", 10, 100.0))["hall"]
    assert (at_once.time_s.tolist(), at_once.value.tolist()) == ([0.0, STAY_S], [10.0, 0.0])


def test_the_nearest_with_room_takes_them_and_what_is_full_or_under_water_does_not() -> None:
    near, far, wet = Thing("near", 9, 12.0), Thing("far", 10, 100.0), Thing("wet", 7, 100.0)
    guests = {name: series.value.max() for name, series in crowd(came(6, 7), near, far, wet).items()}
    assert guests == {"near": 12.0, "far": 8.0, "wet": 0.0}


def test_who_finds_no_place_is_in_none() -> None:
    assert crowd(came(6, 7), Thing("small", 9, 5.0))["small"].value.max() == 5.0
    assert crowd(came(), Thing("hall", 9, 5.0))["hall"].value.max() == 0.0


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="share 1.5"):
        crowd(came(6), Thing("hall", 9, 5.0), share=1.5)
    with pytest.raises(InputError, match="has none with places"):
        sheltered_in(Two(without=("assets",)), came(6), PACK.harm, hour=3.0, share=1.0, stay_s=STAY_S)
