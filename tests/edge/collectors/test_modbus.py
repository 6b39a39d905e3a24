"""Registers of a real Modbus TCP server (pymodbus): types, word and byte order, scale, and a register that is not there."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from collector_place import LEVEL_TOLD, batches, free_port, made, quick_host, rows, still_host
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tocsin.edge.collectors.modbus import Modbus, Register
from tocsin.edge.collectors.tally import Drop
from tocsin.host import NoNetwork
from tocsin.vocabulary import Quantity, Unavailable

LEVEL = Quantity("river_level", "m", low=-5, high=60)


@asynccontextmanager
async def device(registers: dict[int, list[int]]) -> AsyncIterator[int]:
    """A device with these holding registers."""
    data = [SimData(address, values=values, datatype=DataType.REGISTERS) for address, values in sorted(registers.items())]
    port = free_port()
    server = ModbusTcpServer([SimDevice(1, simdata=data)], address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        yield port
    finally:
        await server.shutdown()


def words(form: str, value: float) -> list[int]:
    raw = struct.pack(form, value)
    return list(struct.unpack(f">{len(raw) // 2}H", raw))


def collector(port: int, *registers: dict[str, Any], **more: Any) -> Modbus:
    told = [{"quantity": LEVEL_TOLD, "site": f"pump {k}", **register} for k, register in enumerate(registers)]
    return made(Modbus, host="127.0.0.1", port=port, registers=told, **more)  # type: ignore[no-any-return]


def test_a_real_server_is_read_in_all_types_orders_and_scales() -> None:
    registers = {
        0: [250],
        10: words(">h", -150),
        20: words(">i", -123456),
        30: words(">I", 3_000_000_000)[::-1],
        40: words(">f", 1.5),
        50: words(">d", 2.25),
        60: words(">q", -5),
        70: words("<H", 300),
        80: [0x7FFF],
    }
    asked = [
        {"address": 0, "unit": "cm"},
        {"address": 10, "type": "int16", "factor": 0.01},
        {"address": 20, "type": "int32", "factor": 1e-4, "offset": 10.0},
        {"address": 30, "type": "uint32", "words": "little", "factor": 1e-9},
        {"address": 40, "type": "float32"},
        {"address": 50, "type": "float64"},
        {"address": 60, "type": "int64"},
        {"address": 70, "bytes": "little", "unit": "cm"},
        {"address": 80, "missing": [32767]},
    ]

    async def play() -> list[float]:
        async with device(registers) as port:
            (batch,) = await batches(collector(port, *asked), quick_host(speed=1.0), 1)
            return [value for _, _, value in rows(batch)]

    told = asyncio.run(play())
    assert told[:8] == [2.5, -1.5, pytest.approx(-2.3456), pytest.approx(3.0), 1.5, 2.25, -5.0, 3.0]
    assert math.isnan(told[8])


def test_a_register_that_is_not_there_stops_no_other() -> None:
    async def play() -> None:
        async with device({0: [100]}) as port:
            pumps = collector(
                port, {"address": 5_000}, {"address": 0, "unit": "cm"}, {"address": 0, "unit": "cm", "device": 9}, timeout_s=0.3
            )
            (batch,) = await batches(pumps, quick_host(speed=1.0), 1)
            assert rows(batch) == [("river_level", "pump 1", 1.0)]
            assert sum(pumps.tally.dropped.values()) == 2

    asyncio.run(play())


def test_a_device_that_is_not_there_or_goes_away_is_a_fault() -> None:
    async def play() -> None:
        with pytest.raises(Unavailable, match="does not answer"):
            await batches(collector(free_port(), {"address": 0}, timeout_s=0.3), quick_host(speed=1.0), 1)
        async with device({0: [100]}) as port:
            source = collector(port, {"address": 0, "unit": "cm"}, timeout_s=0.3).batches(quick_host())
            await anext(source)
        with pytest.raises(Unavailable, match="modbus 127"):
            await anext(source)

    asyncio.run(play())


def test_a_host_without_a_network_asks_no_device() -> None:
    with pytest.raises(Unavailable, match="no network"):
        asyncio.run(batches(collector(502, {"address": 0}), still_host(NoNetwork()), 1))


def test_a_number_that_is_none_is_missing_and_one_without_end_is_dropped() -> None:
    register = Register(quantity=LEVEL, site="pump", address=0, type="float32")
    assert math.isnan(register.decode(words(">f", math.nan)))
    for bad in (words(">f", math.inf), [1], [1, 2, 3], [70_000, 0]):
        with pytest.raises(Drop):
            register.decode(bad)


@pytest.mark.parametrize(
    "told",
    [
        {"address": -1},
        {"address": 65_535, "type": "int32"},
        {"address": 0, "factor": 0.0},
        {"address": 0, "unit": "furlong"},
        {"address": 0, "site": ""},
        {"address": 0, "device": 300},
        {"address": 0, "type": "int8"},
    ],
)
def test_a_register_that_cannot_be_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        collector(502, told)
