"""Serve the platform for a real twin, until stopped."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from tocsin.edge import Collector, CsvColumns, CsvFolder
from tocsin.flows.scenarios import as_now
from tocsin.host import WallClock
from tocsin.interfaces.serving import Duty, address_of, free_port, open_platform, serve_until
from tocsin.interfaces.show import Show
from tocsin.pack import Scenario, find_pack
from tocsin.platform.twin import open_twin
from tocsin.vocabulary import World

INBOX = "inbox"


def serve(
    twin_folder: Path,
    *,
    data: Path,
    port: int = 8765,
    host: str = "127.0.0.1",
    purpose: str = "actual",
    as_json: bool = False,
) -> None:
    """Run the platform for a twin: sign-in, map, gauges, warnings, assessments, decisions. Returns when it is stopped by Ctrl-C.

    Readings come as CSV files (columns site, time, value) that are dropped into DATA/inbox/QUANTITY.
    """
    listener = free_port(host, port)
    twin, pack = open_twin(twin_folder), find_pack("flood")
    data.mkdir(parents=True, exist_ok=True)
    collectors: list[Collector] = []
    for quantity in pack.observes:
        inbox = data / INBOX / quantity.name
        inbox.mkdir(parents=True, exist_ok=True)
        columns = CsvColumns(quantity=quantity, time="time", value="value", unit=quantity.unit, site="site")
        collectors.append(CsvFolder(f"{quantity.name} files", inbox, columns))

    def scenario(world: World, now: datetime) -> Scenario:
        return as_now(world, now, twin.gauges, pack)

    platform = open_platform(
        data,
        twin=twin,
        pack=pack,
        clock=WallClock(),
        purpose=purpose,
        scenarios=scenario,
        collectors=collectors,
        sender=f"tocsin@{host}",
    )
    try:
        duty = Duty(platform.centre)
        show = Show(as_json=as_json)
        address = address_of(listener)
        show.line(
            "console", f"{twin.manifest.name}: {address} (purpose: {purpose}); Ctrl-C stops it", address=address, purpose=purpose
        )
        if platform.centre.users.count() == 0:
            show.line(
                "console",
                f"nobody can sign in yet: stop, and make a first user: tocsin user add {data} NAME --role administrator",
            )
        asyncio.run(serve_until(platform, listener))
        del duty
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
        platform.close()
