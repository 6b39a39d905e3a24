"""LoRaWAN devices behind The Things Stack v3 or ChirpStack v4: their uplinks by MQTT, or as the network's webhook POSTs them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import cached_property

from tocsin.edge.collect import Batch
from tocsin.edge.collectors.mqtt_link import MqttKind
from tocsin.edge.collectors.pick import Pick, Reading, batches_of, decode_json
from tocsin.edge.collectors.push_door import Push, PushKind
from tocsin.edge.collectors.tally import Drop
from tocsin.edge.collectors.uplinks import Clock, Frames, Network, read_uplink, readings_of
from tocsin.edge.latest import microseconds
from tocsin.edge.mqtt.wire import Filter
from tocsin.host import Host

TOPICS: dict[Network, str] = {"ttn": "v3/+/devices/+/up", "chirpstack": "application/+/device/+/event/up"}


class Lorawan(MqttKind, frozen=True, kw_only=True):
    """Uplinks by MQTT. `value`, `site` and `time` of a reading are paths in the decoded payload.

    The site is the device's name; {eui}, {application} and {port} may stand in a `site` too. `ports`: only uplinks of these.
    `clock`: the time of the network, or of the gateway where it is within `gateway_off_s` of it.
    """

    network: Network
    readings: tuple[Pick, ...]
    topic: str = ""
    ports: tuple[int, ...] = ()
    clock: Clock = "network"
    gateway_off_s: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.readings:
            raise self.fault("no `readings`; wanted what a decoded payload means")

    @cached_property
    def frames(self) -> Frames:
        """The frame counters."""
        return Frames()

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """One batch for each quantity in what has come meanwhile."""
        messages = self.messages(host, [Filter(self.topic or TOPICS[self.network], 1)])
        try:
            async for group in messages:
                now_us = microseconds(host.clock.now())
                readings: list[Reading] = []
                for message in group:
                    try:
                        readings += _readings(self, self.frames, message.payload, self.message_bytes_most)
                    except Drop as drop:
                        self.tally.drop(drop)
                for batch in batches_of(readings, now_us):
                    yield batch
        finally:
            await messages.aclose()


class LorawanPush(PushKind, frozen=True, kw_only=True):
    """Uplinks as the network's webhook POSTs them, with a token of the network. The other settings are those of `lorawan`."""

    network: Network
    readings: tuple[Pick, ...]
    ports: tuple[int, ...] = ()
    clock: Clock = "network"
    gateway_off_s: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.readings:
            raise self.fault("no `readings`; wanted what a decoded payload means")

    @cached_property
    def frames(self) -> Frames:
        """The frame counters."""
        return Frames()

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """One batch for each quantity in what has come meanwhile."""
        pushes = self.pushes(host)
        try:
            async for group in pushes:
                now_us = microseconds(host.clock.now())
                readings: list[Reading] = []
                for push in group:
                    try:
                        told = [] if _is_other(push) else _readings(self, self.frames, push.payload, self.bytes_most)
                    except Drop as drop:
                        self.tally.drop(drop)
                        push.close(422, f"{drop.reason}: {drop}")
                        continue
                    push.readings = len(told)
                    readings += told
                for batch in batches_of(readings, now_us):
                    yield batch
        finally:
            await pushes.aclose()


def _is_other(push: Push) -> bool:
    """True for a join, a status and the like, which ChirpStack tells by `?event=`: nothing of ours, and no fault."""
    return push.query.get("event", "up") != "up"


def _readings(settings: Lorawan | LorawanPush, frames: Frames, payload: bytes, bytes_most: int) -> list[Reading]:
    uplink = read_uplink(
        decode_json(payload, bytes_most=bytes_most),
        settings.network,
        clock=settings.clock,
        gateway_off_s=settings.gateway_off_s,
    )
    settings.tally.lost += frames.lost(uplink)
    if settings.ports and uplink.port not in settings.ports:
        return []
    return readings_of(uplink, settings.intake, settings.readings)
