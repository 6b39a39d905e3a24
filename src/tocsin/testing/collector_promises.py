"""What every collector promises. Subclass with a `stage` fixture, a source that is played, and each promise is tested.

A stage says how its source sends something good and something hostile, and what it has heard and holds open. What a kind of source
cannot tell, as how much was acknowledged by who polls, is None, and that promise says nothing then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from datetime import timedelta
from typing import Any, Protocol

import msgspec
import numpy as np
import pytest

from tocsin.edge.collect import CONVERSIONS, Batch, Collector
from tocsin.edge.latest import microseconds
from tocsin.host import Host
from tocsin.vocabulary import Flag, Observations

WAIT_S = 20.0
LULL_S = 0.2
UNITS = frozenset(unit for pair in CONVERSIONS for unit in pair) | {"%", "hPa", "V", "1"}
# What strangers send, by accident and on purpose.
HOSTILE = (
    b"",
    b"\x00\xff\xfe\x80",
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b"null",
    b"[]",
    b'"text"',
    b'{"value": NaN}',
    b'{"value": 1e999, "site": "weir", "time": "2026-03-01T00:00:00Z"}',
    b'{"value": {"a": 1}, "site": "weir", "time": "2026-03-01T00:00:00Z"}',
    b'{"value": true, "site": "weir", "time": "2026-03-01T00:00:00Z"}',
    b'{"value": 1, "site": "a\\u0000b", "time": "2026-03-01T00:00:00Z"}',
    b'{"value": 1, "site": "' + b"x" * 5_000 + b'", "time": "2026-03-01T00:00:00Z"}',
    b'{"value": 1, "site": "weir", "time": "yesterday"}',
    b'{"value": 1, "site": "weir", "time": -99999999999999999999999}',
    b'{"value": 1, "site": "weir", "time": "9999999-01-01"}',
    b"1; DROP TABLE readings; --",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    b"a,b\r\n1\r\n\x00,\r\n",
    b"9" * 400,
)


class Stage(Protocol):
    """A collector, and the source that it reads."""

    @property
    def collector(self) -> Collector: ...
    @property
    def host(self) -> Host: ...
    async def send(self, number: int) -> None:
        """Have the source tell one more thing; each number is another. A device that is refused sends it again by itself."""
        ...

    async def send_hostile(self, payload: bytes) -> None:
        """Have the source tell these bytes, as far as it can."""
        ...

    def acknowledged(self) -> int | None:
        """How many of the good things the source has heard to be safe."""
        ...

    def connections(self) -> int | None:
        """How many connections, listeners or clients the collector holds open."""
        ...


class CollectorPromises:
    """The promises. `stage` is a function that gives an open stage, to be closed by its context."""

    @pytest.fixture
    def stage(self) -> Callable[[], AbstractAsyncContextManager[Stage]]:
        raise NotImplementedError("give the promises a `stage` fixture")

    def test_it_is_settings_with_a_name_that_stay_as_they_are(
        self, stage: Callable[[], AbstractAsyncContextManager[Stage]]
    ) -> None:
        async def check(on: Stage) -> None:
            collector = on.collector
            assert isinstance(collector, msgspec.Struct)
            assert collector.name
            assert collector.name == collector.name.strip()
            with pytest.raises(AttributeError):
                collector.name = "another"  # type: ignore[misc]

        run(stage, check)

    def test_a_setting_that_it_does_not_know_is_refused(self, stage: Callable[[], AbstractAsyncContextManager[Stage]]) -> None:
        async def check(on: Stage) -> None:
            assert isinstance(on.collector, msgspec.Struct)
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert({**msgspec.to_builtins(on.collector), "no_such_setting": 1}, type=type(on.collector))

        run(stage, check)

    def test_what_it_gives_is_readings_with_utc_times_and_known_units_or_bulletins(
        self, stage: Callable[[], AbstractAsyncContextManager[Stage]]
    ) -> None:
        async def check(on: Stage) -> None:
            async with aclosing(on.collector.batches(on.host)) as batches:
                await on.send(1)
                batch = await following(batches)
            if isinstance(batch, Observations):
                assert batch.quantity.unit in UNITS
                assert batch.time_us.min() >= 0
                assert batch.arrived_us.max() <= microseconds(on.host.clock.now())
                assert ((batch.flag == Flag.MISSING) == np.isnan(batch.value)).all()
                assert all(site.strip() and site.isprintable() for site in batch.sites)
            else:
                moments = [moment for one in batch for moment in (one.time, one.begins, one.ends) if moment is not None]
                assert all(moment.utcoffset() == timedelta(0) for moment in moments)
                assert all(one.source == on.collector.name and one.subject and one.revision for one in batch)

        run(stage, check)

    def test_it_acknowledges_only_when_the_next_batch_is_asked_for(
        self, stage: Callable[[], AbstractAsyncContextManager[Stage]]
    ) -> None:
        async def check(on: Stage) -> None:
            async with aclosing(on.collector.batches(on.host)) as batches:
                await on.send(1)
                await following(batches)
                await asyncio.sleep(LULL_S)
                if on.acknowledged() is None:
                    return
                assert on.acknowledged() == 0
                waiting = asyncio.ensure_future(following(batches))
                await until(lambda: on.acknowledged() == 1)
                await on.send(2)
                await waiting

        run(stage, check)

    def test_what_was_not_acknowledged_comes_again(self, stage: Callable[[], AbstractAsyncContextManager[Stage]]) -> None:
        async def check(on: Stage) -> None:
            async with aclosing(on.collector.batches(on.host)) as batches:
                await on.send(1)
                first = await following(batches)
            async with aclosing(on.collector.batches(on.host)) as batches:
                again = await following(batches)
            assert told_by(again) == told_by(first)

        run(stage, check)

    def test_nothing_hostile_ends_it_or_keeps_the_good_from_coming(
        self, stage: Callable[[], AbstractAsyncContextManager[Stage]]
    ) -> None:
        async def check(on: Stage) -> None:
            batches = on.collector.batches(on.host)
            seen = 0
            try:
                for number, payload in enumerate(HOSTILE, 1):
                    await on.send_hostile(payload)
                    await on.send(number)
                    for _ in range(len(HOSTILE)):
                        try:
                            await following(batches)
                        except Exception as fault:  # a source that is broken may be told so, and is started again
                            assert type(fault).__name__ == "Unavailable", f"{payload[:60]!r}: {type(fault).__name__}: {fault}"  # noqa: PT017
                            batches = on.collector.batches(on.host)
                            continue
                        seen += 1
                        break
                assert seen == len(HOSTILE)
            finally:
                await batches.aclose()
            tally = getattr(on.collector, "tally", None)
            assert tally is None or sum(tally.dropped.values()) > 0

        run(stage, check)

    def test_it_lets_go_of_everything_when_it_is_cancelled(self, stage: Callable[[], AbstractAsyncContextManager[Stage]]) -> None:
        async def check(on: Stage) -> None:
            async def drive() -> None:
                async with aclosing(on.collector.batches(on.host)) as batches:
                    async for _ in batches:
                        pass

            task = asyncio.create_task(drive())
            await on.send(1)
            await until(lambda: on.connections() != 0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if on.connections() is not None:
                await until(lambda: on.connections() == 0)

        run(stage, check)


def run(stage: Callable[[], AbstractAsyncContextManager[Stage]], check: Callable[[Stage], Awaitable[None]]) -> None:
    """Set the stage and check one promise on it."""

    async def play() -> None:
        async with stage() as on:
            await check(on)

    asyncio.run(play())


async def following(batches: AsyncGenerator[Batch, None]) -> Batch:
    """The next batch that is not empty."""
    async with asyncio.timeout(WAIT_S):
        while True:
            batch = await anext(batches)
            if len(batch):
                return batch


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(WAIT_S):
        while not is_so():
            await asyncio.sleep(0.01)


def told_by(batch: Batch) -> list[Any]:
    """What a batch says, without when it arrived."""
    if isinstance(batch, Observations):
        return [batch.quantity.name, batch.sites, batch.site.tolist(), [repr(value) for value in batch.value.tolist()]]
    return [(one.subject, one.revision, one.figures) for one in batch]
