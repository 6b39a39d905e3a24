"""Questions over years: added up by place and time, and where readings are missing, by DuckDB on the parts in place.

DuckDB sees file names, texts and numbers as parameters only; the words of a statement are all in this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from tocsin.platform.history.history import EVER, History, View
from tocsin.platform.history.parts import HOUR_US, Part, arrow_of
from tocsin.vocabulary import InputError, Unavailable

CALENDAR = ("day", "week", "month", "year")
QUANTILES_MOST = 20
# What DuckDB's calendar covers with room to spare; readings beyond are found by `History.read` only.
CALENDAR_US = tuple(int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000 for year in (1900, 2100))
FLAG_WORDS = {1: "good", 2: "not_evaluated", 3: "suspect", 4: "fail", 9: "missing"}

RAW_ROWS = """
    SELECT CAST(site AS VARCHAR) AS site, epoch_us(time) AS t, flag, CAST(1 AS BIGINT) AS readings,
           value AS total, value AS low, value AS high, value
    FROM {} WHERE time >= make_timestamptz($from_us) AND time <= make_timestamptz($last_us)"""
HOURLY_ROWS = """
    SELECT CAST(site AS VARCHAR) AS site, epoch_us(time) AS t, flag, readings,
           total, low, high, CAST(NULL AS DOUBLE) AS value
    FROM read_parquet($hourly) WHERE time >= make_timestamptz($from_us) AND time <= make_timestamptz($last_us)"""
PLACED = {
    "grouped": "SELECT place, seen.* FROM seen JOIN places USING (site)",
    "by site": "SELECT site AS place, seen.* FROM seen",
    "together": "SELECT '' AS place, seen.* FROM seen",
}
BUCKET = {
    "all": "CAST($begin AS BIGINT)",
    "step": "t - ((t % $step) + $step) % $step",
    "calendar": "epoch_us(timezone($zone, date_trunc($unit, timezone($zone, make_timestamptz(t)))))",
}
SUMMARY = """
WITH seen AS ({seen}), placed AS ({placed}), used AS (
    SELECT *, {bucket} AS bucket, list_contains($flags, CAST(flag AS INTEGER)) AS is_used FROM placed)
SELECT place, make_timestamptz(bucket) AS "from",
       CAST(coalesce(sum(readings) FILTER (WHERE is_used), 0) AS BIGINT) AS count,
       fsum(total) FILTER (WHERE is_used) / sum(readings) FILTER (WHERE is_used) AS mean,
       min(low) FILTER (WHERE is_used) AS min, max(high) FILTER (WHERE is_used) AS max,
       fsum(total) FILTER (WHERE is_used) AS sum, {quantiles} AS quantiles,
       CAST(sum(readings) AS BIGINT) AS readings,
       coalesce(sum(readings) FILTER (WHERE flag = 1), 0) / sum(readings) AS share_good,
       coalesce(sum(readings) FILTER (WHERE flag = 2), 0) / sum(readings) AS share_not_evaluated,
       coalesce(sum(readings) FILTER (WHERE flag = 3), 0) / sum(readings) AS share_suspect,
       coalesce(sum(readings) FILTER (WHERE flag = 4), 0) / sum(readings) AS share_fail,
       coalesce(sum(readings) FILTER (WHERE flag = 9), 0) / sum(readings) AS share_missing,
       make_timestamptz(min(t)) AS first, make_timestamptz(max(t)) AS last
FROM used GROUP BY place, bucket ORDER BY place, bucket"""
# A quantile of hours that are aggregates is not known: better none than that of the rest.
QUANTILES = "CASE WHEN count(*) FILTER (WHERE value IS NULL AND is_used) = 0 THEN quantile_cont(value, $quantiles) FILTER (WHERE is_used) END"
NO_QUANTILES = "CAST(NULL AS DOUBLE[])"
GAPS = """
WITH seen AS ({seen}), placed AS ({placed}), moments AS (
    SELECT site, t FROM placed WHERE list_contains($flags, CAST(flag AS INTEGER)){edges}),
steps AS (SELECT site, t, lag(t) OVER (PARTITION BY site ORDER BY t) AS before FROM moments)
SELECT site, make_timestamptz(before) AS "from", make_timestamptz(t) AS "to", (t - before) / 1e6 AS gap_s
FROM steps WHERE t - before > $longer ORDER BY site, t"""
EDGES = """
    UNION ALL SELECT site, unnest($edges) AS t FROM (SELECT DISTINCT site FROM {who})"""


class Every(msgspec.Struct, frozen=True):
    """The time steps of a summary: a fixed `step_us` from 1970 UTC on, or a `unit` of the calendar in a time zone; neither: one."""

    step_us: int | None = None
    unit: str = ""
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.step_us is not None and not 1_000_000 <= self.step_us <= 10 * 366 * 24 * HOUR_US:
            raise InputError(f"every {self.step_us / 1e6:g} s; wanted 1 s to 10 years")
        if self.unit and (self.unit not in CALENDAR or self.step_us is not None):
            raise InputError(f"every {self.unit!r}; wanted one of {', '.join(CALENDAR)}, or a step such as 10min, 1h, 7d")


def summarise(
    history: History,
    quantity: str,
    *,
    unit: str | None,
    from_us: int = EVER[0],
    to_us: int = EVER[1],
    every: Every,
    flags: Sequence[int],
    places: Mapping[str, str] | None,
    by_site: bool,
    quantiles: Sequence[float] = (),
) -> Any:
    """An arrow table with a row for each place and step: count, mean, min, max, sum and quantiles over readings with these flags;
    `readings` and the shares of the flags over all. `places` says in which place a site counts and leaves out all others.
    """
    if len(quantiles) > QUANTILES_MOST or not all(0 <= q <= 1 for q in quantiles):
        raise InputError(f"quantiles {list(quantiles)}; wanted at most {QUANTILES_MOST} numbers of 0 to 1")
    placed = PLACED["grouped" if places is not None else "by site" if by_site else "together"]
    bucket = BUCKET["step" if every.step_us is not None else "calendar" if every.unit else "all"]

    def look(view: View) -> Any:
        if view.hourly and every.step_us is not None and every.step_us % HOUR_US:
            raise _only_hours(view, quantity, "ask with steps of whole hours")
        begin = _begin(view)
        values = {"flags": list(flags)}
        if every.step_us is not None:
            values["step"] = every.step_us  # type: ignore[assignment]
        elif every.unit:
            values |= {"zone": every.zone, "unit": every.unit}  # type: ignore[dict-item]
        else:
            values["begin"] = begin  # type: ignore[assignment]
        if quantiles:
            values["quantiles"] = list(quantiles)  # type: ignore[arg-type]

        def statement(seen: str) -> str:
            return SUMMARY.format(seen=seen, placed=placed, bucket=bucket, quantiles=QUANTILES if quantiles else NO_QUANTILES)

        return _ask(history, view, statement, values, places)

    return history.looking(quantity, look, unit=unit, from_us=max(from_us, CALENDAR_US[0]), to_us=min(to_us, CALENDAR_US[1]))


def gaps(
    history: History,
    quantity: str,
    *,
    longer_than_s: float,
    unit: str | None,
    from_us: int = EVER[0],
    to_us: int = EVER[1],
    flags: Sequence[int],
    places: Mapping[str, str] | None,
) -> Any:
    """An arrow table of the times in which a site had no reading with these flags for longer than that: site, from, to, gap_s.

    Where a first or last moment is given, a silence from it on or up to it counts too; and a site that is named in `places`
    and was never heard is one long gap.
    """
    if not longer_than_s > 0:
        raise InputError(f"gaps longer than {longer_than_s} s; wanted more than 0")
    edges = [edge for edge in (from_us, to_us) if edge not in EVER]
    placed = PLACED["grouped" if places is not None else "by site"]

    def look(view: View) -> Any:
        if view.hourly:
            raise _only_hours(view, quantity, "where in an hour a reading lay is not known there any more")

        def statement(seen: str) -> str:
            told = EDGES.format(who="places" if places is not None else "placed") if edges else ""
            return GAPS.format(seen=seen, placed=placed, edges=told)

        values: dict[str, Any] = {"flags": list(flags), "longer": round(longer_than_s * 1e6)}
        if edges:
            values["edges"] = edges
        return _ask(history, view, statement, values, places)

    return history.looking(quantity, look, unit=unit, from_us=max(from_us, CALENDAR_US[0]), to_us=min(to_us, CALENDAR_US[1]))


def _begin(view: View) -> int:
    firsts = [part.from_us for part in (*view.raw, *view.hourly)]
    if len(view.fresh):
        firsts.append(int(view.fresh.time_us.min()))
    return max(min(firsts, default=view.from_us), view.from_us)


def _only_hours(view: View, quantity: str, why: str) -> InputError:
    until = max(part.to_us for part in view.hourly) + HOUR_US
    told = datetime.fromtimestamp(until / 1e6, UTC).isoformat()
    return InputError(f"{quantity}: up to {told} only one-hour aggregates are kept; {why}, or begin there")


def _ask(history: History, view: View, statement: Any, values: dict[str, Any], places: Mapping[str, str] | None) -> Any:
    """Run a statement over what a view names; a file that is broken is left out and told, one that moved is looked for again."""
    import duckdb
    import pyarrow as pa

    raw, hourly = list(view.raw), list(view.hourly)
    while True:
        seen, names = [], {}
        if raw:
            seen.append(RAW_ROWS.format("read_parquet($raw)"))
            names["raw"] = [str(history.root / part.file) for part in raw]
        if hourly:
            seen.append(HOURLY_ROWS)
            names["hourly"] = [str(history.root / part.file) for part in hourly]
        if len(view.fresh) or not seen:
            seen.append(RAW_ROWS.format("fresh"))
        whole = statement(" UNION ALL ".join(seen))
        # a connection for each question: it costs a few ms, and what is registered in it is nobody else's
        with duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}) as store:
            store.register("fresh", arrow_of(view.fresh))
            if places is not None:
                told = {"site": list(places), "place": list(places.values())}
                store.register("places", pa.table(told, schema=pa.schema([("site", pa.string()), ("place", pa.string())])))
            used = values | names | {"from_us": view.from_us, "last_us": view.last_us}
            asked = {name: value for name, value in used.items() if f"${name}" in whole}
            try:
                return store.sql(whole, params=asked).to_arrow_table()
            except duckdb.OutOfMemoryException as fault:
                raise Unavailable(f"history {history.root}: {fault}; ask for a shorter time, or for fewer quantiles") from fault
            except duckdb.Error as fault:
                broken = [part for part in (*raw, *hourly) if not _is_sound(history, part)]
                if not broken:
                    raise Unavailable(f"history {history.root}: {fault}") from fault
                for part in broken:
                    history.lost(part, str(fault).splitlines()[0])
                raw = [part for part in raw if part not in broken]
                hourly = [part for part in hourly if part not in broken]


def _is_sound(history: History, part: Part) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.ParquetFile(history.root / part.file, page_checksum_verification=True).read()
    except (pa.ArrowException, OSError):
        return False
    return True


def check_zone(name: str) -> str:
    """The name of a time zone that there is; raises InputError."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise InputError(f"time zone {name!r}: there is none of this name; wanted e.g. Europe/Vienna or UTC") from fault
    return name
