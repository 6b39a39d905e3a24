"""Readings from any HTTP server that answers with JSON or CSV, asked again and again; a Pick says what stands where."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Literal

from tocsin.edge.collect import Batch
from tocsin.edge.collectors.paths import path
from tocsin.edge.collectors.pick import ROWS_MOST, Pick, batches_of, decode_csv, decode_json
from tocsin.edge.collectors.poll import PollKind
from tocsin.edge.collectors.tally import Drop
from tocsin.edge.latest import microseconds
from tocsin.host import Host


class HttpPoll(PollKind, frozen=True, kw_only=True):
    """`rows` are the rows in JSON; in CSV they are the lines, and a column is `$.name` or `$['any name']`.

    What was read before comes again with every answer: the node knows it, and keeps it once.
    """

    readings: tuple[Pick, ...]
    format: Literal["json", "csv"] = "json"
    rows: str = "$"
    delimiter: str = ","

    def __post_init__(self) -> None:
        super().__post_init__()
        path(self.rows)
        if not self.readings:
            raise self.fault("no `readings`; wanted what the answer means")
        if len(self.delimiter) != 1:
            raise self.fault(f"delimiter = {self.delimiter!r}; wanted one character")

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """One batch for each quantity of every new answer."""
        asking = self.asking(host)
        try:
            while True:
                try:
                    answer = await asking.get(
                        self.url, accept="application/json" if self.format == "json" else "text/csv, */*;q=0.5"
                    )
                    if answer.body is not None:
                        rows = self._rows(answer.body)
                        now_us = microseconds(host.clock.now())
                        for batch in batches_of(self.intake.readings(rows, self.readings, {}, now_us), now_us):
                            yield batch
                    yield ()
                except Drop as drop:
                    asking.refuse(self.url, drop)
                else:
                    asking.accept()
                await asking.wait()
        finally:
            await asking.close()

    def _rows(self, body: bytes) -> list[Any]:
        if self.format == "csv":
            return decode_csv(body, bytes_most=self.bytes_most, delimiter=self.delimiter)
        return path(self.rows).find(decode_json(body, bytes_most=self.bytes_most), most=ROWS_MOST)
