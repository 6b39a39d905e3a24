"""Registers of a device that speaks Modbus TCP: a logger, a pump, a weather station; read every so often, as they are then.

Source: MODBUS Application Protocol Specification V1.1b3 (2012). Registers of 16 bits; what is wider is several of them, and makers
differ in which comes first.
"""

from __future__ import annotations

import math
import struct
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from tocsin.edge.collect import Batch, convert
from tocsin.edge.collectors.kind import Kind
from tocsin.edge.collectors.pick import Reading, batches_of, site_name
from tocsin.edge.collectors.tally import Drop
from tocsin.edge.latest import microseconds
from tocsin.host import Host
from tocsin.vocabulary import InputError, Quantity, Unavailable

if TYPE_CHECKING:
    from pymodbus.client import AsyncModbusTcpClient

FORMATS = {
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "uint32": ">I",
    "int64": ">q",
    "uint64": ">Q",
    "float32": ">f",
    "float64": ">d",
}


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One number of the device: `address` counts from 0, as in the protocol (40001 in many manuals is address 0).

    What is read is multiplied by `factor`, `offset` is added, and that is in `unit`. `words` says which register comes first where
    there are several, `bytes` which byte within each. `missing` are the raw numbers with which the device says that it has none.
    """

    quantity: Quantity
    site: str
    address: int
    table: Literal["holding", "input"] = "holding"
    type: Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"] = "uint16"
    words: Literal["big", "little"] = "big"
    bytes: Literal["big", "little"] = "big"
    factor: float = 1.0
    offset: float = 0.0
    unit: str = ""
    missing: tuple[float, ...] = ()
    device: int = 1

    def __post_init__(self) -> None:
        what = f"register {self.address} of {self.quantity.name}"
        if not (0 <= self.address <= 65_536 - self.count and 0 <= self.device <= 255):
            raise InputError(f"{what}: device {self.device}; wanted an address in 0..65535 and a device in 0..255")
        if not (math.isfinite(self.factor) and self.factor and math.isfinite(self.offset)):
            raise InputError(f"{what}: factor {self.factor}, offset {self.offset}; wanted numbers, and factor not 0")
        try:
            site_name(self.site)
        except Drop as drop:
            raise InputError(f"{what}: {drop}") from drop
        convert(np.zeros(0), self.unit or self.quantity.unit, self.quantity.unit)

    @property
    def count(self) -> int:
        """How many registers it fills."""
        return struct.calcsize(FORMATS[self.type]) // 2

    def decode(self, registers: list[int]) -> float:
        """The reading in the quantity's unit; NaN where the device has none. Raises Drop."""
        if len(registers) != self.count or not all(0 <= one < 65_536 for one in registers):
            raise Drop("modbus answer", f"{len(registers)} registers; wanted {self.count}")
        ordered = registers if self.words == "big" else registers[::-1]
        raw = struct.pack(f"{'>' if self.bytes == 'big' else '<'}{self.count}H", *ordered)
        number = struct.unpack(FORMATS[self.type], raw)[0]
        if math.isnan(number) or number in self.missing:
            return math.nan
        value = float(
            convert(np.array([number * self.factor + self.offset]), self.unit or self.quantity.unit, self.quantity.unit)[0]
        )
        if not math.isfinite(value):
            raise Drop("not a number", f"register {self.address}: {number}; wanted a finite number")
        return value


class Modbus(Kind, frozen=True, kw_only=True):
    """A device, or a gateway with several behind it (`device` of a register), asked every `every_s`."""

    host: str
    registers: tuple[Register, ...]
    port: int = 502
    every_s: float = 60.0
    timeout_s: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.host and 0 < self.port < 65_536 and self.every_s >= 0.1 and 0.1 <= self.timeout_s <= 60.0):
            raise self.fault("wanted `host`, port in 1..65535, every_s >= 0.1 and timeout_s in 0.1..60")
        if not self.registers:
            raise self.fault("no `registers`; wanted at least one")

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """One batch for each quantity, each time."""
        try:
            from pymodbus.client import AsyncModbusTcpClient
        except ImportError as fault:
            raise Unavailable(f"collector {self.name}: pymodbus is not installed; pip install pymodbus") from fault
        host.net.permit(self.host, self.port)
        client = AsyncModbusTcpClient(self.host, port=self.port, timeout=self.timeout_s, retries=1, reconnect_delay=0)
        try:
            if not await client.connect():
                raise Unavailable(f"modbus {self.host}:{self.port}: does not answer")
            while True:
                readings = await self._all(client, host)
                for batch in batches_of(readings, microseconds(host.clock.now())):
                    yield batch
                await host.clock.sleep(self.every_s)
        finally:
            with suppress(OSError):
                client.close()

    async def _all(self, client: AsyncModbusTcpClient, host: Host) -> list[Reading]:
        """What can be read; one register that cannot stops no other."""
        readings: list[Reading] = []
        for register in self.registers:
            try:
                value = register.decode(await self._read(client, register))
                moment = microseconds(host.clock.now())
                readings.append(Reading(register.quantity, site_name(register.site), moment, value))
                self.tally.taken += 1
            except Drop as drop:
                self.tally.drop(drop)
        self.tally.receive(host.clock.now(), len(self.registers))
        return readings

    async def _read(self, client: AsyncModbusTcpClient, register: Register) -> list[int]:
        from pymodbus.exceptions import ConnectionException, ModbusException

        ask = client.read_holding_registers if register.table == "holding" else client.read_input_registers
        try:
            answer = await ask(register.address, count=register.count, device_id=register.device)
        except ConnectionException as fault:
            raise Unavailable(f"modbus {self.host}:{self.port}: {fault}") from fault
        except ModbusException as fault:
            if not client.connected:
                raise Unavailable(f"modbus {self.host}:{self.port}: {fault}") from fault
            raise Drop("modbus answer", f"device {register.device}, {register.table} {register.address}: {fault}") from fault
        if answer.isError():
            code = getattr(answer, "exception_code", "?")
            raise Drop("modbus refuses", f"device {register.device}, {register.table} {register.address}: exception {code}")
        return list(answer.registers)
