"""Serve the platform for a real twin, until stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tocsin.edge import Collector
from tocsin.edge.collectors import find_collectors
from tocsin.edge.collectors.files import Files
from tocsin.edge.settings import Sensing, read_sensing
from tocsin.flows.hazard_watch import Watched
from tocsin.host import WallClock
from tocsin.interfaces.compacting import compact_on_a_timer
from tocsin.interfaces.duty import Duty
from tocsin.interfaces.serving import address_of, copying, free_port, open_platform, outlook_of, rules_of, serve_until
from tocsin.interfaces.show import Show
from tocsin.pack import Pack, find_pack
from tocsin.pack.observed import observed
from tocsin.platform.twin import Twin, open_twin
from tocsin.vocabulary import InputError

INBOX = "inbox"
INBOX_EVERY_S, INBOX_SETTLED_S = 2.0, 2.0  # how often it is looked at, and how long a file must not have grown


def serve(
    twin_folder: Path,
    *,
    data: Path,
    port: int = 8765,
    host: str = "127.0.0.1",
    purpose: str = "actual",
    mqtt_port: int | None = None,
    postgres_url_file: Path | None = None,
    compute: str = "threads",
    sensing_file: Path | None = None,
    hazards: Sequence[str] = ("flood",),
    as_json: bool = False,
) -> None:
    """Run the platform for a twin: sign-in, map, gauges, warnings, assessments, decisions. Returns when Ctrl-C or SIGTERM stops it.

    All `hazards` are watched at once, on one ledger and by the same people; the one named first is shown first.

    Readings come as CSV files (columns site, time, value) that are dropped into DATA/inbox/QUANTITY. `sensing_file` has more
    quantities, collectors, checks and rules; its quantities come in by every way that those of the pack do.
    """
    twin, packs = open_twin(twin_folder), [find_pack(hazard) for hazard in hazards]
    if data.exists() and not data.is_dir():
        raise InputError(f"{data}: is a file; wanted a folder for --data, which is made where it is not there")
    if data.resolve().is_relative_to(twin_folder.resolve()):
        raise InputError(f"{data}: lies in the twin {twin_folder}, which is only read; give --data a folder of its own")
    sensing = None if sensing_file is None else _sensing(sensing_file, twin, packs)
    quantities = observed(packs) | ({} if sensing is None else dict(sensing.quantities))
    inboxes = {quantity: data / INBOX / quantity.name for quantity in quantities.values()}
    collectors: list[Collector] = []
    for quantity, inbox in inboxes.items():
        collectors.append(
            Files(
                name=f"{quantity.name} files",
                folder=str(inbox),
                quantity=quantity,
                unit=quantity.unit,
                site="site",
                every_s=INBOX_EVERY_S,
                settled_s=INBOX_SETTLED_S,
            )
        )
    listener, show = free_port(host, port), Show(as_json=as_json)

    with closing(listener):
        platform = open_platform(
            data,
            twin=twin,
            watched=[Watched(pack, outlook_of(pack, twin, lambda: platform.centre.board.bulletins.values())) for pack in packs],
            clock=WallClock(),
            purpose=purpose,
            collectors=collectors,
            sensing=sensing,
            sender=f"tocsin@{host}",
            compute=compute,
        )
        with closing(platform), closing(Duty(platform.centre)) as duty:
            for inbox in inboxes.values():
                inbox.mkdir(parents=True, exist_ok=True)
            duty.take_up()
            address = address_of(listener)
            words = f"{twin.manifest.name}: {address} (purpose: {purpose}); Ctrl-C stops it"
            show.line("console", words, address=address, purpose=purpose)
            watched = {gauge.site for gauge in platform.centre.gauges}
            if others := [f"{g.site} ({g.quantity})" for g in twin.gauges if g.site not in watched]:
                show.line("console", f"not watched here, where {', '.join(platform.centre.watches)} is: {', '.join(others)}")
            if platform.centre.users.count() == 0:
                add = f"tocsin user add {data} NAME --role administrator"
                show.line("console", f"nobody can sign in yet: stop, and make a first user: {add}")

            def mqtt_at(port: int) -> None:
                show.line("console", f"MQTT: mqtt://{host}:{port}", mqtt_port=port)

            mqtt = None if mqtt_port is None else (host, mqtt_port)
            packing = compact_on_a_timer(platform.centre, data)
            with copying(platform, postgres_url_file):
                asyncio.run(serve_until(platform, listener, packing, mqtt=mqtt, on_mqtt=mqtt_at))
    show.line("console", "stopped in order")


def _sensing(file: Path, twin: Twin, packs: Sequence[Pack]) -> Sensing:
    """What a file adds to the packs; its rules may name those of the packs, and the place that is the twin."""
    rules = [rule for several in rules_of(packs, twin).values() for rule in several]
    box, quantities = twin.manifest.extent_lonlat, tuple(observed(packs).values())
    return read_sensing(file, kinds=find_collectors(), quantities=quantities, rules=rules, box=box)
