"""Readings that devices POST as JSON or CSV, each with a token of its own; they hear 200 when all is on disk."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Literal

from tocsin.edge.collect import Batch
from tocsin.edge.collectors.paths import path
from tocsin.edge.collectors.pick import ROWS_MOST, Pick, batches_of, decode_csv, decode_json
from tocsin.edge.collectors.push_door import Push, PushKind
from tocsin.edge.collectors.tally import Drop
from tocsin.edge.latest import microseconds
from tocsin.host import Host


class HttpPush(PushKind, frozen=True, kw_only=True):
    """`format` holds where the device does not say text/csv or application/json itself.

    The site is the device's name, unless a Pick says otherwise; with {device} in its `site` a device speaks only for its own.
    A push of which some rows can be used is stored and answered 200, with how many readings it were; if none, 422.
    """

    readings: tuple[Pick, ...]
    format: Literal["json", "csv"] = "json"
    rows: str = "$"
    delimiter: str = ","

    def __post_init__(self) -> None:
        super().__post_init__()
        path(self.rows)
        if not self.readings:
            raise self.fault("no `readings`; wanted what a push means")
        if len(self.delimiter) != 1:
            raise self.fault(f"delimiter = {self.delimiter!r}; wanted one character")

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """One batch for each quantity in what has come meanwhile."""
        pushes = self.pushes(host)
        try:
            async for group in pushes:
                now_us = microseconds(host.clock.now())
                readings = []
                for push in group:
                    why: list[Drop] = []
                    try:
                        found = self.intake.readings(
                            self._rows(push), self.readings, {"device": push.device}, now_us, site="{device}", first_drop=why
                        )
                        told = list(found)
                        if not told and why:  # counted already
                            push.close(422, f"{why[0].reason}: {why[0]}")
                            continue
                        if not told:
                            raise Drop("nothing", f"{push.device}: none of our readings is in it")
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

    def _rows(self, push: Push) -> list[Any]:
        is_csv = push.content_type == "text/csv" or (push.content_type != "application/json" and self.format == "csv")
        if is_csv:
            return decode_csv(push.payload, bytes_most=self.bytes_most, delimiter=self.delimiter)
        return path(self.rows).find(decode_json(push.payload, bytes_most=self.bytes_most), most=ROWS_MOST)
