"""How a node stands, in text that an operator reads in ten seconds: one line that says all, then what is wrong, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.edge.status import EdgeStatus

STATES_BAD = ("blind", "faulty", "overdue")
WORKING_SHOWN = 20


def print_status(console: Console, told: EdgeStatus, age_s: float, *, whole: bool) -> None:
    """First one line that says all, then what is wrong, the worst first; what works comes last, and of very many only how many."""
    state = "does not answer" if told.is_old(told.time) or age_s > 3.0 * told.tick_s else "runs"
    console.print(f"edge {told.node} {state}: status of {told.time:%Y-%m-%d %H:%M:%S}Z, {_span(age_s)} ago; process {told.pid}")
    console.print(_in_one_line(told))
    _print_sources(console, told, whole=whole)
    _print_collectors(console, told)
    collecting = {one.name for one in told.collectors}
    for part, reason in told.broken.items():
        if part not in collecting:
            console.print(f"broken: {part}: {reason}")
    _print_ways_out(console, told)


def _in_one_line(told: EdgeStatus) -> str:
    """How much of it needs a look."""
    count = Counter[str](one.state for one in told.sources)
    bad = [f"{count[state]} {state}" for state in STATES_BAD if count[state]]
    words = f"{sum(count[state] for state in STATES_BAD)} of {len(told.sources)} sources need a look: {', '.join(bad)}"
    words = words if bad else f"all {len(told.sources)} sources work"
    warn = f"; {count['warns']} at a warning level" if count["warns"] else ""
    broken = [one.name for one in told.collectors if one.broken]
    works = f"; {len(broken)} of {len(told.collectors)} collectors broken" if broken else "; all collectors work"
    gone = told.storage.dropped_readings
    dropped = f"; {gone:,} readings dropped for want of room" if gone else ""
    up = "" if told.uplink is None else f"; {told.uplink.waiting_readings:,} readings wait for the platform"
    return f"{words}{warn}{works}{dropped}{up}"


def _print_sources(console: Console, told: EdgeStatus, *, whole: bool) -> None:
    heads = "state", "site", "quantity", "last seen", "value", "per hour", "lag", "clock", "good", "dropped", "why"
    working = [one for one in told.sources if one.state == "works"]
    hidden = 0 if whole else max(0, len(working) - WORKING_SHOWN)
    shown = told.sources[: len(told.sources) - hidden]
    rows = [
        (
            one.state.upper() if one.state in STATES_BAD else one.state,
            one.site,
            one.quantity,
            "never" if one.age_s is None else f"{_span(one.age_s)} ago",
            "-" if one.value is None else f"{one.value:g} {one.unit}",
            "-" if one.per_hour is None else f"{one.per_hour:g}",
            _span(one.lag_s),
            "" if one.clock_ahead_s is None else f"{_span(one.clock_ahead_s)} ahead",
            _shares(one.shares),
            ", ".join(f"{count:,} {why}" for why, count in one.dropped.items()),
            one.why,
        )
        for one in shown
    ]
    if rows:
        console.print()
        width = [max(len(row[at]) for row in (heads, *rows)) for at in range(len(heads))]
        for row in (heads, *rows):
            cells = (f"{cell:<{wide}}" for cell, wide in zip(row, width, strict=True) if wide)
            console.print("  ".join(cells).rstrip())
    if hidden:
        console.print(f"and {hidden:,} more that work; --all shows them")
    for quantity, counts in told.counted.items():
        if said := ", ".join(f"{count:,} {what}" for what, count in counts.items() if count):
            console.print(f"{quantity}: {said}")


def _shares(shares: Mapping[str, float]) -> str:
    """Which share of the last readings is good; and of each worse flag, where there is one."""
    if not shares:
        return "-"
    good = shares.get("good", 0.0) + shares.get("not evaluated", 0.0)
    return ", ".join(
        [f"{good:.0%}", *(f"{word} {shares[word]:.0%}" for word in ("suspect", "fail", "missing") if word in shares)]
    )


def _print_collectors(console: Console, told: EdgeStatus) -> None:
    if told.collectors:
        console.print("\ncollectors")
    for one in told.collectors:
        said = f"  {'BROKEN ' if one.broken else ''}{one.name} ({one.kind})"
        if one.broken:
            console.print(f"{said}: {one.broken}")
            said = "    so far"
        if one.tally is None:
            console.print(f"{said}: keeps no count")
            continue
        last = "never" if one.tally.last is None else f"{_span((told.time - one.tally.last).total_seconds())} before this"
        lost = f", {one.tally.lost:,} lost on the way" if one.tally.lost else ""
        console.print(f"{said}: received {one.tally.received:,}, taken {one.tally.taken:,}{lost}; last {last}")
        for reason, count in sorted(one.tally.dropped.items(), key=lambda pair: -pair[1]):
            console.print(f"    dropped {count:,}: {reason}, e.g. {one.tally.said.get(reason, '')}")


def _print_ways_out(console: Console, told: EdgeStatus) -> None:
    """Storage, uplink, the copy, actions."""
    held = told.storage
    console.print(f"\nstorage: {held.size_bytes / 1e6:.1f} of {held.keep_bytes / 1e6:.0f} MB, {held.blocks:,} blocks so far")
    if held.dropped_readings or held.lost_readings:
        console.print(f"  dropped: {held.dropped_readings:,} readings; before they were sent: {held.lost_readings:,}")
    if not held.reserve_held:
        console.print("  no room is kept back for warnings: the disk is nearly full; make room (reserve_mb)")
    for line in held.damage:
        console.print(f"  damaged: {line}")
    up = told.uplink
    if up is None:
        console.print("uplink: none")
    else:
        oldest = "" if up.oldest is None else f", the oldest of {up.oldest:%Y-%m-%d %H:%M}Z"
        last = "never" if up.acknowledged is None else f"{up.acknowledged:%Y-%m-%d %H:%M:%S}Z"
        console.print(f"uplink: {up.waiting_readings:,} readings ({up.waiting_bytes:,} bytes) wait{oldest}; acknowledged: {last}")
        if up.fault:
            console.print(f"  fault: {up.fault}")
    if told.postgres is not None:
        console.print(f"postgres: {told.postgres.waiting_readings:,} readings wait")
        if told.postgres.trouble:
            console.print(f"  fault: {told.postgres.trouble}")
        if told.postgres.lost_blocks:
            console.print(f"  never copied: {told.postgres.lost_blocks:,} blocks, damaged or dropped before")
    for action in told.actions:
        said = f"{action.pending} pending, {action.delivered} delivered, {action.given_up} given up, {action.left_out} left out"
        console.print(f"action {action.name} ({action.kind}): {said}{f'; fault: {action.fault}' if action.fault else ''}")


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if abs(seconds) < 600.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if abs(seconds) < 36_000.0 else f"{seconds / 3600:.0f} h"
