"""Who listens hears what is told; who listens slowly loses the oldest and is told so."""

from __future__ import annotations

import asyncio
import threading

from tocsin.flows.bus import QUEUE_LENGTH, Bus


def test_a_listener_hears_what_another_thread_tells() -> None:
    async def hear() -> tuple[str, object]:
        bus = Bus()
        with bus.listen() as queue:
            threading.Thread(target=bus.tell, args=("record", {"number": 1})).start()
            return await asyncio.wait_for(queue.get(), 5)

    assert asyncio.run(hear()) == ("record", {"number": 1})


def test_a_slow_listener_loses_the_oldest_and_hears_of_it() -> None:
    async def hear() -> list[tuple[str, object]]:
        bus = Bus()
        with bus.listen() as queue:
            for number in range(QUEUE_LENGTH + 1):
                bus.tell("record", number)
            await asyncio.sleep(0)
            return [queue.get_nowait() for _ in range(queue.qsize())]

    heard = asyncio.run(hear())
    assert len(heard) <= QUEUE_LENGTH
    assert heard[-1] == ("record", QUEUE_LENGTH)
    assert ("lost", {}) in heard


def test_nobody_is_told_after_the_listening_ended() -> None:
    async def hear() -> int:
        bus = Bus()
        with bus.listen() as queue:
            pass
        bus.tell("record", 1)
        await asyncio.sleep(0)
        return queue.qsize()

    assert asyncio.run(hear()) == 0
