"""The history's compaction beside a running platform: a process of its own, on a timer, so that no warning waits for it."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import msgspec

from tocsin.flows.centre import Centre
from tocsin.flows.observations import read_settings, told_in_words
from tocsin.platform.history import Report
from tocsin.vocabulary import TocsinError, Unavailable

log = logging.getLogger(__name__)

STOP_WITHIN_S = 10.0
PROGRAM = (sys.executable, "-c", "from tocsin.interfaces.cli import main; main()")


async def compact_on_a_timer(centre: Centre, data: Path) -> None:
    """Run `tocsin observations compact` again and again as history.toml says; what is dropped for good, and a failure, go in the log."""
    was_told = ""
    while True:
        try:
            settings = await asyncio.to_thread(read_settings, data)
            await centre.host.clock.sleep(settings.compact_every_s)
            report = await _run(data)
            words = told_in_words(report)
            if words:
                await asyncio.to_thread(centre.note, f"history: {words}")
            was_told = ""
        except TocsinError as fault:
            log.warning("history_not_compacted", extra={"reason": str(fault)})
            if str(fault) != was_told:  # once when it breaks: the readings are safe in the log meanwhile
                was_told = str(fault)
                await asyncio.to_thread(centre.note, f"history: not compacted, the readings stay in the log: {fault}")
            await centre.host.clock.sleep(60.0)


async def _run(data: Path) -> Report:
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *("observations", "compact", str(data), "--json"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
            except TimeoutError:
                process.kill()
                await process.wait()
    try:
        return msgspec.json.decode(said, type=Report)
    except msgspec.MsgspecError:
        raise Unavailable(errors.decode(errors="replace").strip()[-500:] or f"exit code {process.returncode}") from None
