"""What the gateways do with an observation that the disk does not take at once: whoever made it does not send it again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tocsin.edge.ingest import Message, Outcome, Result
from tocsin.flows.centre import Sources
from tocsin.host import WallClock
from tocsin.interfaces import gateways as gateways_module
from tocsin.interfaces.gateways import THINGS, Gateways
from tocsin.security.gate import RoleGate


class Taker:
    """Answers what it is told to, in turn."""

    def __init__(self, *answers: Result | Exception) -> None:
        self.answers, self.asked = list(answers), 0

    async def take(self, _: Sequence[Message]) -> list[Result]:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    async def close(self) -> None:
        """There is nothing to let go of."""


def gateways(taker: Taker) -> Gateways:
    host = SimpleNamespace(gate=RoleGate(), clock=WallClock())
    nothing: Any = None
    centre = SimpleNamespace(host=host, sources=Sources)
    platform: Any = SimpleNamespace(centre=centre, node=nothing, quantities=(), expected=())
    made = Gateways(platform, nothing, nothing, root="")
    made.ingest = taker  # type: ignore[assignment]
    return made


def run(taker: Taker, *topics: str) -> None:
    async def work() -> None:
        made = gateways(taker)
        for topic in topics:
            made._hand_over(Message(THINGS, b"{}", topic))
            await asyncio.gather(*made._handing)
        await made.close()

    asyncio.run(work())


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateways_module, "AGAIN_S", (0.0, 0.0))


def test_an_observation_is_offered_until_it_is_on_disk_and_told_once_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    no = Result(Outcome.FAILED, "the disk does not answer")
    taker = Taker(no, Result(Outcome.OVERLOAD, "too much"), no, Result(readings=1))
    run(taker, "sensorthings/1")
    assert taker.asked == 4
    assert [record.message for record in caplog.records] == ["observation_not_judged"]


def test_an_observation_that_cannot_be_used_is_told_once_for_its_stream(caplog: pytest.LogCaptureFixture) -> None:
    bad = Result(Outcome.MALFORMED, "unit: furlongs")
    taker = Taker(bad, bad, bad, Result(readings=1), bad)
    run(taker, "sensorthings/1", "sensorthings/1", "sensorthings/2", "sensorthings/1", "sensorthings/1")
    assert [vars(record)["stream"] for record in caplog.records] == [f"sensorthings/{n}" for n in (1, 2, 1)]


def test_a_fault_of_ours_is_told_and_the_next_observation_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    taker = Taker(KeyError("ours"), Result(readings=1))
    run(taker, "sensorthings/1", "sensorthings/1")
    assert taker.asked == 2
    assert [record.message for record in caplog.records] == ["observation_fault", "observation_not_judged"]


def test_more_than_can_be_held_is_told_and_not_held(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(gateways_module, "HANDING_MOST", 0)
    run(Taker(), "sensorthings/1")
    assert [vars(record)["reason"] for record in caplog.records] == ["too much waits for the disk"]
