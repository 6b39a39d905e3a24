"""How fast SensorThings answers with many observations stored: the whole service below HTTP, from the address to the bytes of JSON.

    python benchmarks/sensorthings.py --observations 10000000 --postgres-url postgresql://user@127.0.0.1/throw-away

Fills a new store (the streams by publish, their readings in bulk into the same table), then asks each question many times, at places that differ. With the address
of a throw-away PostgreSQL the same questions go to a peer in turn: one table with a row for each observation and an index for each
question, as a sensor web is usually built, filled by COPY, answered by the SQL that is right for the question, and written as the same
JSON by the same encoder. It has no parser, no gate and no paging to do, so it is a floor for such a store and no product.

Beside each page there is a floor too: the rows of the page fetched from the same file by the plainest statement that has them, and
encoded as a list of lists, with no names, links or times written out. The ratio to it can be told on a machine that is not quiet.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np

from tocsin.host import WallClock
from tocsin.interfaces.sensorthings import Ask, Service
from tocsin.platform.things import Place, open_things
from tocsin.platform.things.times import format_us
from tocsin.security import Actor, RoleGate
from tocsin.vocabulary import Observations, Quantity

ROOT = "http://127.0.0.1/sta/v1.1"
BEGIN_US = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
STEP_US, DAY_US = 60_000_000, 86_400_000_000
BATCH = 10_000
BYTES_EACH = 400  # ours and the peer's with all indexes and logs, rounded up: what must be free before it begins
ACTOR = Actor("benchmark", frozenset({"sensor"}))
FILL = """INSERT INTO observation (datastream_id, feature_id, phenomenon_us, value, result_quality)
    VALUES (?, ?, ?, ?, '{"qartod":2}')"""
Question = Callable[[int, int], str]  # (stream, moment) to the address
PeerQuestion = Callable[[int, int], Coroutine[Any, Any, bytes]]


class Clock:
    """Says how a long filling goes, and when it has taken too long."""

    def __init__(self, name: str, observations: int, minutes_most: float) -> None:
        self.name, self.observations, self.until_s = name, observations, time.perf_counter() + 60 * minutes_most
        self.began_s = time.perf_counter()

    def goes_on(self, done: int) -> bool:
        if done and done % 1_000_000 == 0:
            per_s = done / (time.perf_counter() - self.began_s)
            print(f"{self.name}: {done:,} of {self.observations:,}, {per_s:,.0f} a second", file=sys.stderr, flush=True)
        return time.perf_counter() < self.until_s


def values_of(number: np.ndarray) -> np.ndarray:
    """River levels that are the same in both stores."""
    rng = np.random.default_rng(int(number[0]))
    return np.round(rng.normal(2, 1, number.size), 3)


def filled(folder: Path, observations: int, streams: int, clock: Clock) -> tuple[Service, int, float]:
    """A service over a store, how many observations it has, and how many came in each second.

    The streams and their first readings come by publish. The rest is put into the same table, interleaved as readings of many streams
    come, with the indexes off: a fill, as a bulk load into an empty store is done, and no figure of what the node takes.
    """
    sites = tuple(f"gauge {n:03}" for n in range(streams))
    places = {site: Place(8 + n / 100, 49 + n / 100) for n, site in enumerate(sites)}
    things = open_things(folder / "things.sqlite", clock=WallClock(), places=places)
    level, number, began_s = Quantity("river_level", "m"), np.arange(streams), time.perf_counter()
    things.publish(Observations.of(level, sites, number, np.full(streams, BEGIN_US), values_of(number)))
    done = streams
    with things.writing() as writer:
        db = writer.db
        streams_of = [one for (one,) in db.execute("SELECT id FROM datastream ORDER BY id")]
        feature_of = dict(db.execute("SELECT stream_id, feature_id FROM stream_feature WHERE stream = 'Datastream'"))
        indexes = db.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'observation' AND sql > ''"
        ).fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        while done < observations and clock.goes_on(done):
            number = np.arange(done, min(done + BATCH, observations))
            of = [streams_of[n] for n in (number % streams).tolist()]
            when_us = (BEGIN_US + number // streams * STEP_US).tolist()
            rows = zip(of, [feature_of[one] for one in of], when_us, values_of(number).tolist(), strict=True)
            db.executemany(FILL, rows)
            done += number.size
        for _, sql in indexes:
            db.execute(sql)
        last_us = BEGIN_US + (done - 1) // streams * STEP_US
        for n, one in enumerate(streams_of):
            more = len(range(n, done, streams)) - 1
            if more:
                end_us = last_us - STEP_US * (n > (done - 1) % streams)
                writer.book.widen("Datastream", one, feature_of[one], more, (BEGIN_US, end_us), None)
    return Service(things, RoleGate()), done, done / (time.perf_counter() - began_s)


# -- the peer ----------------------------------------------------------------------------------------------------------

TABLES = """
DROP TABLE IF EXISTS observation, datastream, thing;
CREATE TABLE thing (id bigint PRIMARY KEY, name text, description text, properties jsonb, location jsonb);
CREATE TABLE datastream (id bigint PRIMARY KEY, name text, description text, observation_type text, unit jsonb, properties jsonb,
    thing_id bigint REFERENCES thing, property_name text);
CREATE TABLE observation (id bigint PRIMARY KEY, datastream_id bigint, feature_id bigint, phenomenon_time timestamptz,
    result double precision, result_quality jsonb);
CREATE INDEX ON observation (datastream_id, phenomenon_time);
CREATE INDEX ON observation (phenomenon_time);
"""
LINKS = ("Datastream", "FeatureOfInterest")


def moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)


class Peer:
    """A row for each observation in PostgreSQL."""

    def __init__(self, line: Any) -> None:
        self.line = line

    async def fill(self, observations: int, streams: int, clock: Clock) -> tuple[int, float]:
        await self.line.execute(TABLES)
        await self.line.set_type_codec(  # COPY is binary: a version byte, then the text
            "jsonb", encoder=lambda v: b"\x01" + msgspec.json.encode(v), decoder=lambda b: msgspec.json.decode(b[1:]),
            schema="pg_catalog", format="binary",
        )  # fmt: skip
        unit = {"name": "m", "symbol": "m", "definition": "urn:m"}
        for n in range(1, streams + 1):
            at = {"type": "Point", "coordinates": [8 + (n - 1) / 100, 49 + (n - 1) / 100]}
            await self.line.execute("INSERT INTO thing VALUES ($1, $2, $3, $4, $5)", n, f"gauge {n:03}", "gauge", {"site": n}, at)
            row = (n, f"level {n}", "in m", "OM_Measurement", unit, {"quantity": "river_level"}, n, "river level")
            await self.line.execute("INSERT INTO datastream VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", *row)
        done, began_s = 0, time.perf_counter()
        while done < observations and clock.goes_on(done):
            number = np.arange(done, min(done + BATCH, observations))
            rows = [
                (n + 1, n % streams + 1, n % streams + 1, moment(BEGIN_US + n // streams * STEP_US), value, {"qartod": 2})
                for n, value in zip(number.tolist(), values_of(number).tolist(), strict=True)
            ]
            await self.line.copy_records_to_table("observation", records=rows)
            done += len(rows)
        per_s = done / (time.perf_counter() - began_s)
        await self.line.execute("ANALYZE")
        return done, per_s

    async def size(self) -> int:
        return int(await self.line.fetchval("SELECT pg_total_relation_size('observation')"))

    @staticmethod
    def told(row: Any, *, links: bool = True) -> dict[str, Any]:
        link = f"{ROOT}/Observations({row['id']})"
        time_text = row["phenomenon_time"].strftime("%Y-%m-%dT%H:%M:%SZ")
        told = {
            "@iot.id": row["id"],
            "@iot.selfLink": link,
            "phenomenonTime": time_text,
            "result": row["result"],
            "resultTime": None,
        }
        told["resultQuality"] = row["result_quality"]
        return told | {f"{name}@iot.navigationLink": f"{link}/{name}" for name in LINKS} if links else told

    async def observations(self, where: str, *args: Any) -> bytes:
        rows = await self.line.fetch(f"SELECT * FROM observation WHERE {where}", *args)
        return msgspec.json.encode({"value": [self.told(row) for row in rows]})

    async def things(self) -> bytes:
        """Twenty things, their streams and the newest observation of each: one query with a lateral join."""
        sql = """SELECT t.id AS tid, t.name AS tname, t.description AS tdescription, t.properties AS tproperties, t.location,
            d.id AS did, d.name AS dname, d.unit, d.property_name, o.* FROM (SELECT * FROM thing ORDER BY id LIMIT 20) t
            JOIN datastream d ON d.thing_id = t.id
            CROSS JOIN LATERAL (SELECT * FROM observation WHERE datastream_id = d.id ORDER BY phenomenon_time DESC LIMIT 1) o"""
        told = []
        for row in await self.line.fetch(sql):
            stream = {
                "@iot.id": row["did"],
                "name": row["dname"],
                "unitOfMeasurement": row["unit"],
                "ObservedProperty": {"name": row["property_name"]},
            }
            stream["Observations"] = [self.told(row, links=False)]
            told.append(
                {
                    "@iot.id": row["tid"],
                    "name": row["tname"],
                    "properties": row["tproperties"],
                    "Locations": [{"location": row["location"]}],
                    "Datastreams": [stream],
                }
            )
        return msgspec.json.encode({"value": told})

    async def joined(self) -> bytes:
        """Twenty newest observations with stream and thing."""
        sql = """SELECT o.*, d.name AS dname, d.unit, d.property_name, t.name AS tname, t.properties AS tproperties FROM observation o
            JOIN datastream d ON d.id = o.datastream_id JOIN thing t ON t.id = d.thing_id ORDER BY o.phenomenon_time DESC LIMIT 20"""
        told = []
        for row in await self.line.fetch(sql):
            thing = {"name": row["tname"], "properties": row["tproperties"]}
            told.append(self.told(row) | {"Datastream": {"name": row["dname"], "unitOfMeasurement": row["unit"], "Thing": thing}})
        return msgspec.json.encode({"value": told})

    async def count(self) -> bytes:
        return msgspec.json.encode({"@iot.count": await self.line.fetchval("SELECT count(*) FROM observation"), "value": []})

    def questions(self) -> dict[str, PeerQuestion]:
        by_time = "datastream_id = $1 AND phenomenon_time >= $2"
        return {
            "one observation by its id": lambda s, us: self.observations("id = $1", (us - BEGIN_US) // STEP_US * 100 + s),
            "100 observations of a stream, newest first": lambda s, _: self.observations(
                "datastream_id = $1 ORDER BY phenomenon_time DESC LIMIT 100", s
            ),
            "1,000 observations of a stream": lambda s, _: self.observations(
                "datastream_id = $1 ORDER BY phenomenon_time LIMIT 1000", s
            ),
            "a day of a stream": lambda s, us: self.observations(
                f"{by_time} AND phenomenon_time < $3 ORDER BY phenomenon_time LIMIT 1000", s, moment(us), moment(us + DAY_US)
            ),
            "100 of all streams from a moment on": lambda _, us: self.observations(
                "phenomenon_time >= $1 ORDER BY phenomenon_time LIMIT 100", moment(us)
            ),
            "from a moment on, above a value": lambda s, us: self.observations(
                f"{by_time} AND result > 4 ORDER BY phenomenon_time LIMIT 100", s, moment(us)
            ),
            "things, streams and the newest observation": lambda _s, _us: self.things(),
            "20 observations with stream, thing, sensor, feature": lambda _s, _us: self.joined(),
            "count of all observations": lambda _s, _us: self.count(),
        }


# -- the questions -----------------------------------------------------------------------------------------------------

QUESTIONS: dict[str, Question] = {
    "one observation by its id": lambda s, us: f"Observations({(us - BEGIN_US) // STEP_US * 100 + s})",
    "100 observations of a stream, newest first": lambda s, _: f"Datastreams({s})/Observations?$orderby=phenomenonTime desc",
    "1,000 observations of a stream": lambda s, _: f"Datastreams({s})/Observations?$top=1000",
    "1,000 observations of a stream, each with stream and thing": lambda s, _: (
        f"Datastreams({s})/Observations?$top=1000&$expand=Datastream($expand=Thing),FeatureOfInterest"
    ),
    "a stream with 1,000 observations inside": lambda s, _: f"Datastreams({s})?$expand=Thing,Observations($top=1000)",
    "1,000 of all streams from a moment on": lambda _, us: f"Observations?$filter=phenomenonTime ge {format_us(us)}&$top=1000",
    "1,000 as a data array": lambda s, _: (
        f"Datastreams({s})/Observations?$top=1000&$resultFormat=dataArray&$select=phenomenonTime,result"
    ),
    "a day of a stream": lambda s, us: (
        f"Datastreams({s})/Observations?$filter=phenomenonTime ge {format_us(us)} and "
        f"phenomenonTime lt {format_us(us)} add duration'P1D'&$top=1000"
    ),
    "100 of all streams from a moment on": lambda _, us: f"Observations?$filter=phenomenonTime ge {format_us(us)}",
    "from a moment on, above a value": lambda s, us: (
        f"Datastreams({s})/Observations?$filter=phenomenonTime ge {format_us(us)} and result gt 4"
    ),
    "things, streams and the newest observation": lambda _s, _us: (
        "Things?$top=20&$expand=Locations,Datastreams($expand=ObservedProperty,Observations($orderby=phenomenonTime desc;$top=1))"
    ),
    "20 observations with stream, thing, sensor, feature": lambda _s, _us: (
        "Observations?$top=20&$orderby=phenomenonTime desc&$expand=Datastream($expand=Thing,Sensor,ObservedProperty),FeatureOfInterest"
    ),
    "streams of things in a box": lambda _s, _us: (
        "Datastreams?$filter=st_within(Thing/Locations/location, geography'POLYGON((8 49, 8.2 49, 8.2 49.2, 8 49.2, 8 49))')&$count=true"
    ),
    "count of all observations": lambda _s, _us: "Observations?$count=true&$top=0",
    "of all streams by the property's name, newest": lambda _s, _us: (
        "Observations?$filter=Datastream/ObservedProperty/name eq 'river level'&$orderby=phenomenonTime desc"
    ),
}


PAGE = "SELECT id, phenomenon_us, value, result_quality FROM observation WHERE"
FLOORS: dict[str, tuple[str, Callable[[int, int], tuple[int, ...]]]] = {
    "1,000 observations of a stream": (f"{PAGE} datastream_id = ? ORDER BY phenomenon_us LIMIT 1000", lambda s, _: (s,)),
    "1,000 observations of a stream, each with stream and thing": (
        f"{PAGE} datastream_id = ? ORDER BY phenomenon_us LIMIT 1000",
        lambda s, _: (s,),
    ),
    "a stream with 1,000 observations inside": (
        f"{PAGE} datastream_id = ? ORDER BY phenomenon_us LIMIT 1000",
        lambda s, _: (s,),
    ),
    "1,000 of all streams from a moment on": (
        f"{PAGE} phenomenon_us >= ? ORDER BY phenomenon_us LIMIT 1000",
        lambda _, us: (us,),
    ),
    "1,000 as a data array": (f"{PAGE} datastream_id = ? ORDER BY phenomenon_us LIMIT 1000", lambda s, _: (s,)),
    "a day of a stream": (
        f"{PAGE} datastream_id = ? AND phenomenon_us >= ? AND phenomenon_us < ? ORDER BY phenomenon_us LIMIT 1000",
        lambda s, us: (s, us, us + DAY_US),
    ),
}


def floor(service: Service, name: str, at: tuple[int, int]) -> bytes:
    """The rows of a page and nothing more, by the same connection."""
    sql, args = FLOORS[name]
    with service.things.reading() as reader:
        return msgspec.json.encode(reader.db.execute(sql, args(*at)).fetchall())


def ours(service: Service, address: str) -> bytes:
    path, _, query = address.partition("?")
    answer = service.handle(Ask("GET", path, ROOT, quote(query, safe="$&=,;()'")), ACTOR)
    if answer.status != 200:
        raise SystemExit(f"{address}: {answer.body.decode()}")
    return answer.body


def opened(folder: Path, given: argparse.Namespace) -> tuple[Service, int]:
    """A service over the store of that folder, which is filled if there is none."""
    if (folder / "things.sqlite").exists():
        service, told = Service(open_things(folder / "things.sqlite", clock=WallClock()), RoleGate()), "as it was left"
        with service.things.reading() as reader:
            (stored,) = reader.db.execute("SELECT sum(count) FROM stream_feature").fetchone()
    else:
        clock = Clock("ours", given.observations, given.minutes_most)
        service, stored, per_s = filled(folder, given.observations, given.streams, clock)
        told = f"{per_s:,.0f} filled in a second"
    size = (folder / "things.sqlite").stat().st_size / stored
    print(f"ours: {stored:,} observations in {given.streams} streams, {told}, {size:.0f} bytes each", flush=True)
    return service, stored


async def measure(given: argparse.Namespace, folder: Path) -> None:
    service, stored = opened(folder, given)
    line, asked = None, {}
    if given.postgres_url:
        import asyncpg

        line = await asyncpg.connect(given.postgres_url)
        peer = Peer(line)
        held, peer_per_s = await peer.fill(stored, given.streams, Clock("peer", stored, given.minutes_most))
        each, version = await peer.size() / held, line.get_server_version()
        print(
            f"peer: {held:,} rows in PostgreSQL {version.major}.{version.minor}, {peer_per_s:,.0f} copied a second, {each:.0f} bytes each"
        )
        asked = peer.questions()
    rng = np.random.default_rng(2)
    days = max(1, stored // given.streams - 1_440)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| asked | p50 ms | p99 ms | core p50 ms | KiB | floor core p50 ms | times the floor | peer p50 ms | peer p99 ms |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, question in QUESTIONS.items():
        took: dict[str, list[float]] = {"ours": [], "ours core": [], "floor core": [], "peer": []}
        body = b""
        for _ in range(given.asks):
            at = int(rng.integers(1, given.streams + 1)), BEGIN_US + int(rng.integers(0, days)) * STEP_US
            elsewhere = int(rng.integers(1, given.streams + 1)), BEGIN_US + int(rng.integers(0, days)) * STEP_US
            began_s, core_s = time.perf_counter(), time.thread_time()
            body = ours(service, question(*at))
            took["ours core"].append((time.thread_time() - core_s) * 1_000)
            took["ours"].append((time.perf_counter() - began_s) * 1_000)
            if name in FLOORS:  # at another place, so that neither finds what the other has brought into memory
                core_s = time.thread_time()
                floor(service, name, elsewhere)
                took["floor core"].append((time.thread_time() - core_s) * 1_000)
            if name in asked and (name != "count of all observations" or len(took["peer"]) < 3):
                began_s = time.perf_counter()
                await asked[name](*elsewhere)
                took["peer"].append((time.perf_counter() - began_s) * 1_000)
        p50 = {kind: float(np.median(some)) for kind, some in took.items() if some}
        p99 = {kind: float(np.percentile(some, 99)) for kind, some in took.items() if some}
        cells = [f"{p50['ours']:.1f}", f"{p99['ours']:.1f}", f"{p50['ours core']:.1f}", f"{len(body) / 1_024:.0f}"]
        cells += [f"{p50['floor core']:.1f}", f"{p50['ours core'] / p50['floor core']:.1f}"] if name in FLOORS else ["", ""]
        cells += [f"{p50['peer']:.1f}", f"{p99['peer']:.1f}"] if "peer" in p50 else ["", ""]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")
    service.things.close()
    if line is not None:
        await line.execute("DROP TABLE observation, datastream, thing")
        await line.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observations", type=int, default=1_000_000)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--asks", type=int, default=200)
    parser.add_argument("--postgres-url", default="", help="a throw-away database for the peer; without it there is no peer")
    parser.add_argument(
        "--minutes-most", type=float, default=30, help="a filling stops after that, and the table says how many there are"
    )
    parser.add_argument("--folder", type=Path, help="a store that is kept there, to ask it again on a quieter machine")
    given = parser.parse_args()
    if given.folder is not None:
        given.folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(measure(given, given.folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        free = shutil.disk_usage(folder).free
        if free < given.observations * BYTES_EACH * 2:
            need = given.observations * BYTES_EACH * 2 / 2**30
            raise SystemExit(
                f"{folder}: {free / 2**30:.1f} GiB are free; wanted {need:.1f} for {given.observations:,} observations"
            )
        asyncio.run(measure(given, Path(folder)))


if __name__ == "__main__":
    main()
