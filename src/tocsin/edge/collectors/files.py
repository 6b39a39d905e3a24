"""A folder into which somebody puts files, CSV or a JSON object in each line. A file moves to `done` when all of it is on disk here.

A file that cannot be read moves to `bad`, with the reason beside it, and stops no other. Readings have arrived when the file is
read; a file that is read twice, because the power failed in between, adds nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from tocsin.edge.collect import BATCH_ROWS, LINE_CHARACTERS_MOST, ROWS_MOST, Batch, CsvColumns, file_lines, read_csv
from tocsin.edge.collectors.inbox import Inbox
from tocsin.edge.collectors.kind import Kind
from tocsin.edge.collectors.paths import path
from tocsin.edge.collectors.pick import MISSING, Pick, Reading, batches_of, decode_json
from tocsin.edge.collectors.tally import Drop
from tocsin.edge.latest import microseconds
from tocsin.host import Host
from tocsin.vocabulary import Flag, InputError, Observations, Quantity, column

ENDS = {"csv": (".csv", ".csv.gz"), "jsonl": (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")}


class Files(Kind, frozen=True, kw_only=True):
    """Files whose columns, or keys in JSON lines, are `time`, `value` and `site`; a key may be a path that begins with $.

    `unit` is what the file is in. `one_site` stands in place of `site` where the whole folder is of one. `zone` is for times that
    name none. A file is read when its size has not changed for `settled_s`.
    """

    folder: str
    quantity: Quantity
    unit: str
    format: Literal["csv", "jsonl"] = "csv"
    time: str = "time"
    value: str = "value"
    site: str | None = None
    one_site: str | None = None
    zone: str | None = None
    missing: tuple[str, ...] = MISSING
    delimiter: str = ","
    every_s: float = 60.0
    settled_s: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.every_s > 0 and self.settled_s >= 0):
            raise self.fault(f"every_s = {self.every_s}, settled_s = {self.settled_s}; wanted > 0 and >= 0")
        self._columns()
        if self.format == "jsonl":
            self._pick()

    def _columns(self) -> CsvColumns:
        return CsvColumns(
            quantity=self.quantity,
            time=self.time,
            value=self.value,
            unit=self.unit,
            site=self.site,
            one_site=self.one_site,
            zone=self.zone,
            missing=self.missing,
            delimiter=self.delimiter,
        )

    def _pick(self) -> Pick:
        site = _key(self.site) if self.site is not None else str(self.one_site)
        return Pick(
            quantity=self.quantity,
            value=_key(self.value),
            time=_key(self.time),
            site=site,
            unit=self.unit,
            zone=self.zone or "",
            missing=self.missing,
        )

    @cached_property
    def _inbox(self) -> Inbox:
        return Inbox(self.name, self.folder, ENDS[self.format], self.settled_s)

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """Look for files again and again; a file whose size still changes is left to be finished."""
        while True:
            for file in self._inbox.finished(host.clock.now()):
                self.tally.receive(host.clock.now())
                try:
                    told = read_csv(file, self._columns()) if self.format == "csv" else self._lines(file)
                except InputError as fault:
                    self.tally.drop(Drop("bad file", str(fault)))
                    self._inbox.put_aside(file, str(fault))
                    continue
                for begin in range(0, len(told), BATCH_ROWS):
                    yield _arrived(told, slice(begin, begin + BATCH_ROWS), host.clock.now())
                self.tally.taken += len(told)
                self._inbox.move(file, "done")
            await host.clock.sleep(self.every_s)

    def _lines(self, file: Path) -> Observations:
        """All readings of a file of JSON lines, or InputError with the line; nothing is taken from a broken file."""
        pick, readings = self._pick(), list[Reading]()
        for number, line in enumerate(file_lines(file), 1):
            if not line.strip():
                continue
            if len(readings) >= ROWS_MOST:
                raise InputError(f"{file}, line {number}: more than {ROWS_MOST} rows; split the file")
            try:
                readings.append(pick.read(decode_json(line.encode(), bytes_most=LINE_CHARACTERS_MOST), {}, 0))
            except Drop as drop:
                raise InputError(f"{file}, line {number}: {drop.reason}: {drop}") from drop
        batches = batches_of(readings, 0)
        return batches[0] if batches else Observations.of(self.quantity, (), [], [], [])


def _key(name: str) -> str:
    """A key as a path."""
    text = name if name.startswith("$") else f"$['{name}']"
    path(text)
    return text


def _arrived(told: Observations, cut: slice, now: datetime) -> Observations:
    count = len(told.value[cut])
    return Observations(
        told.quantity,
        told.sites,
        column(told.site[cut], np.int32),
        column(told.time_us[cut], np.int64),
        column(told.value[cut], np.float64),
        column(np.where(np.isfinite(told.value[cut]), Flag.NOT_EVALUATED, Flag.MISSING), np.uint8),
        column(np.full(count, microseconds(now)), np.int64),
    )
