"""An uplink of a LoRaWAN device, as The Things Stack v3 and ChirpStack v4 tell it.

Sources: The Things Stack documentation, "Data Formats" (Uplink Messages); ChirpStack v4 documentation, "Event types" (up).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from tocsin.edge.collectors.paths import Path, path
from tocsin.edge.collectors.pick import Intake, Pick, Reading, short, site_name, time_us
from tocsin.edge.collectors.tally import Drop
from tocsin.science.quality import US_PER_S

Network: TypeAlias = Literal["ttn", "chirpstack"]
Clock: TypeAlias = Literal["network", "gateway"]
_SIMULATED = path("$.simulated")
GATEWAYS_MOST = 100
DEVICES_MOST = 100_000
COUNT_MOST = 1 << 32  # frame counters have 32 bits: LoRaWAN 1.0.4, section 4.3.1.5


class Form(msgspec.Struct, frozen=True):
    """Where things stand in an uplink."""

    device: Path
    eui: Path
    application: Path
    payload: Path
    count: Path
    port: Path
    received: Path
    gateways: Path


def _form(**paths: str) -> Form:
    return Form(**{name: path(text) for name, text in paths.items()})


FORMS: Mapping[Network, Form] = {
    "ttn": _form(
        device="$.end_device_ids.device_id",
        eui="$.end_device_ids.dev_eui",
        application="$.end_device_ids.application_ids.application_id",
        payload="$.uplink_message.decoded_payload",
        count="$.uplink_message.f_cnt",
        port="$.uplink_message.f_port",
        received="$.uplink_message.received_at",
        gateways="$.uplink_message.rx_metadata[*].time",
    ),
    "chirpstack": _form(
        device="$.deviceInfo.deviceName",
        eui="$.deviceInfo.devEui",
        application="$.deviceInfo.applicationName",
        payload="$.object",
        count="$.fCnt",
        port="$.fPort",
        received="$.time",
        gateways="$.rxInfo[*].gwTime",
    ),
}


class Uplink(msgspec.Struct, frozen=True):
    """What one uplink says; `count` is its number since the device joined."""

    device: str
    eui: str
    application: str
    port: int
    count: int
    time_us: int
    payload: Any


def read_uplink(told: Any, network: Network, *, clock: Clock, gateway_off_s: float) -> Uplink:
    """An uplink; raises Drop. A simulated one is dropped: it was never measured.

    With clock "gateway" the earliest time of a gateway is taken, if it is within `gateway_off_s` of the network's: many gateways
    have no good clock.
    """
    form = FORMS[network]
    if _SIMULATED.first(told) is True:
        raise Drop("simulated", "an uplink that the network's console simulated")
    payload = form.payload.first(told)
    if not isinstance(payload, dict | list):
        raise Drop("not decoded", "no decoded payload; give the device a payload formatter (codec) in the network's console")
    received = time_us(form.received.first(told))
    moment = received
    if clock == "gateway":
        near = [
            at for at in _times(form.gateways.find(told, most=GATEWAYS_MOST)) if abs(at - received) <= gateway_off_s * US_PER_S
        ]
        moment = min(near, default=received)
    eui = site_name(form.eui.first(told)).lower()
    device = form.device.first(told)
    application = form.application.first(told)
    return Uplink(
        site_name(device) if device else eui,
        eui,
        application if isinstance(application, str) else "",
        _whole(form.port.first(told, 0), "port", 256),
        _whole(form.count.first(told, 0), "frame counter", COUNT_MOST),
        moment,
        payload,
    )


def _times(raw: Sequence[Any]) -> list[int]:
    found = []
    for one in raw:
        try:
            found.append(time_us(one))
        except Drop:
            continue
    return found


def _whole(raw: Any, what: str, most: int) -> int:
    """A number; networks leave it out where it is zero."""
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw < most:
        raise Drop(what, f"{what} = {short(raw)}; wanted a whole number below {most}")
    return raw


class Frames:
    """Follows the frame counter of each device, to say how many uplinks never came."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def lost(self, uplink: Uplink) -> int:
        """How many are missing before this one. A counter that falls is a new join, or an old message once more: nothing is lost."""
        last = self._last.get(uplink.eui)
        if last is None and len(self._last) >= DEVICES_MOST:
            return 0
        self._last[uplink.eui] = uplink.count
        return max(0, uplink.count - last - 1) if last is not None else 0


def readings_of(uplink: Uplink, intake: Intake, picks: Sequence[Pick]) -> list[Reading]:
    """What the decoded payload says. {device}, {eui}, {application} and {port} may stand in a `site`."""
    words = {"device": uplink.device, "eui": uplink.eui, "application": uplink.application, "port": str(uplink.port)}
    return list(intake.readings([uplink.payload], picks, words, uplink.time_us, site="{device}"))
