"""Time is asked of the Host; in a drill it jumps, and it jumps the same way each time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tocsin.host import ScaledClock, VirtualClock
from tocsin.vocabulary import InputError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def a_week(clock: VirtualClock) -> list[tuple[str, float]]:
    heard: list[tuple[str, float]] = []

    async def knock(name: str, every_s: float) -> None:
        while True:
            await clock.sleep(every_s)
            heard.append((name, (clock.now() - NOON).total_seconds()))

    tasks = [asyncio.create_task(knock("a", 3600.0)), asyncio.create_task(knock("b", 7200.0))]
    await clock.run(NOON + timedelta(days=7))
    for task in tasks:
        task.cancel()
    return heard


def test_a_week_of_virtual_time_is_the_same_each_time() -> None:
    first, second = (asyncio.run(a_week(VirtualClock(NOON))) for _ in range(2))
    assert first == second
    assert len(first) == 7 * 24 + 7 * 12


def test_those_who_wake_together_wake_in_the_order_in_which_they_fell_asleep() -> None:
    heard = asyncio.run(a_week(VirtualClock(NOON)))
    assert heard[:3] == [("a", 3600.0), ("b", 7200.0), ("a", 7200.0)]


def test_a_virtual_clock_stands_at_the_end_when_nobody_wakes_before_it() -> None:
    async def alone() -> datetime:
        clock = VirtualClock(NOON)
        await clock.run(NOON + timedelta(hours=1))
        return clock.now()

    assert asyncio.run(alone()) == NOON + timedelta(hours=1)


def test_a_scaled_clock_starts_where_it_is_told_and_never_goes_back() -> None:
    clock = ScaledClock(NOON, 1000.0)
    seen = [clock.now() for _ in range(100)]
    assert seen[0] >= NOON
    assert seen == sorted(seen)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_clock_that_stands_or_runs_backwards_is_refused(speed: float) -> None:
    with pytest.raises(InputError, match="scaled clock"):
        ScaledClock(NOON, speed)
