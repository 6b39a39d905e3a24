"""People who are crowded in shelters: they meet there instead of at home among their neighbours, as many as are there on the day."""

from __future__ import annotations

import numpy as np
import pytest
from tests.science.test_agents import crowd, plain

from tocsin.science.agents import Mixing, Shelters, Steps, spread_among
from tocsin.science.agents_steps import NEAR, NEW_IMPORTED, NEW_INFECTED, SHELTER
from tocsin.science.compartments import final_size
from tocsin.vocabulary import InputError

IN_SHELTER = Mixing(contacts=(0.0, 0.0, 0.0, 0.0, 10.0))
NEAR_AND_SHELTER = Mixing(contacts=(0.0, 0.0, 10.0, 0.0, 10.0))


def one_hall(guests: int, crowd_by_day: list[int]) -> Shelters:
    return Shelters(np.arange(guests), np.array([0, guests]), np.zeros(1, np.int64), np.array(crowd_by_day)[:, None])


def test_a_shelter_of_a_whole_town_ends_at_the_final_size_of_kermack_and_mckendrick() -> None:
    """As for all who mix in a town; the spread of the final size is that of von Bahr & Martin-Löf 1980."""
    count, seeds, runs, r0 = 20_000, 100, 4, 2.0
    ends = [
        spread_among(
            crowd(count), plain(r0 / 80.0), IN_SHELTER, Steps(), days=300, seeds=np.arange(seeds), seed=k,
            shelters=one_hall(count, [count] * 300),
        ).daily[:, [NEW_INFECTED, NEW_IMPORTED]].sum()
        for k in range(runs)
    ]  # fmt: skip
    z = 0.8
    for _ in range(200):
        z = 1.0 - (1.0 - seeds / count) * np.exp(-r0 * z)
    assert z == pytest.approx(final_size(r0), abs=0.01)
    doubt = np.sqrt(z * (1 - z) / count) / (1 - r0 * (1 - z)) / np.sqrt(runs)
    assert np.mean(ends) / count == pytest.approx(z, abs=4.0 * doubt)


def test_who_is_in_a_shelter_meets_nobody_outside_it_and_nobody_outside_meets_him() -> None:
    """The first 200 of 1,000 neighbours are in the shelter from day 5 to 24; the infected are among them, infectious from day 3 on."""
    days = [0] * 5 + [200] * 20 + [0] * 5
    who = spread_among(
        crowd(1_000), plain(0.05), NEAR_AND_SHELTER, Steps(), days=30, seeds=np.arange(20), seed=3, shelters=one_hall(200, days)
    ).who
    by, day, layer = who["infector"], who["infected_day"], who["layer"]
    there = (day >= 5) & (day < 25)
    assert (layer[there & (by >= 0)] == SHELTER).sum() > 50
    assert set(layer[(day >= 0) & ~there & (by >= 0)].tolist()) == {NEAR}
    in_hall = np.arange(1_000) < 200
    crossed = there & (by >= 0) & (in_hall != in_hall[np.maximum(by, 0)])
    assert not crossed.any()
    assert not (in_hall & there & (layer == NEAR)).any()


def test_only_so_many_guests_are_there_as_the_day_says() -> None:
    who = spread_among(
        crowd(1_000), plain(0.2), IN_SHELTER, Steps(), days=20, seeds=np.arange(5), seed=3, shelters=one_hall(300, [60] * 20)
    ).who
    assert (who["infected_day"][:60] >= 0).mean() > 0.9
    assert (who["infected_day"][60:] < 0).all()


def test_contacts_in_a_shelter_are_traced() -> None:
    """All have symptoms and are tested: the others of a small shelter are found, and the sixty beside it are not."""
    ill = plain(0.2, symptoms=(1.0,) * 10)
    steps = Steps(test=np.tile([1.0, 0.0, 0.0], (20, 1)), result_days=0, trace=np.tile([0.0] * 5 + [1.0], (20, 1)), trace_days=0)
    who = spread_among(
        crowd(100), ill, IN_SHELTER, steps, days=20, seeds=np.arange(3), seed=3, shelters=one_hall(40, [40] * 20)
    ).who
    assert (who["quarantine_from"][:40] >= 0).sum() > 20
    assert (who["quarantine_from"][40:] < 0).all()


@pytest.mark.parametrize(
    ("shelters", "says"),
    [
        (Shelters(np.array([0, 0]), np.array([0, 2]), np.zeros(1, np.int64), np.full((5, 1), 2)), "not different persons"),
        (Shelters(np.array([0, 1]), np.array([0, 2]), np.zeros(1, np.int64), np.full((5, 1), 3)), "0 up to a shelter's guests"),
        (Shelters(np.array([0, 1]), np.array([0, 2]), np.zeros(1, np.int64), np.full((4, 1), 2)), r"\(4, 1\) people in shelters"),
        (Shelters(np.array([0, 1]), np.array([0, 2]), np.ones(1, np.int64), np.full((5, 1), 2)), "zones of shelters"),
    ],
)
def test_shelters_that_cannot_be_are_refused(shelters: Shelters, says: str) -> None:
    with pytest.raises(InputError, match=says):
        spread_among(crowd(10), plain(0.1), IN_SHELTER, Steps(), days=5, seeds=np.arange(1), seed=1, shelters=shelters)
