"""How fast SensorThings answers with many observations stored: the whole service below HTTP, from the address to the bytes of JSON.

    python benchmarks/sensorthings.py --observations 2000000

Fills a new store by the way that a node takes (publish), then asks each question many times, at places that differ.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np

from tocsin.host import WallClock
from tocsin.interfaces.sensorthings import Ask, Service
from tocsin.platform.things import Place, open_things
from tocsin.platform.things.times import format_us
from tocsin.security import Actor, RoleGate
from tocsin.vocabulary import Observations, Quantity

ROOT = "http://127.0.0.1/sta/v1.1"
BEGIN_US = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
STEP_US = 60_000_000
BATCH = 10_000
ACTOR = Actor("benchmark", frozenset({"sensor"}))


def filled(folder: Path, observations: int, streams: int) -> tuple[Service, float]:
    """A service over a store with that many observations, and how many came in each second."""
    sites = tuple(f"gauge {n:03}" for n in range(streams))
    places = {site: Place(8 + n / 100, 49 + n / 100) for n, site in enumerate(sites)}
    things = open_things(folder / "things.sqlite", clock=WallClock(), places=places)
    level, rng = Quantity("river_level", "m"), np.random.default_rng(1)
    began_s = time.perf_counter()
    for first in range(0, observations, BATCH):
        number = np.arange(first, min(first + BATCH, observations))
        values = np.round(rng.normal(2, 1, number.size), 3)
        things.publish(Observations.of(level, sites, number % streams, BEGIN_US + number // streams * STEP_US, values))
    return Service(things, RoleGate()), observations / (time.perf_counter() - began_s)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--observations", type=int, default=1_000_000)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--asks", type=int, default=60)
    given = parser.parse_args()
    rng = np.random.default_rng(2)
    steps = given.observations // given.streams

    def moment() -> str:
        return format_us(BEGIN_US + int(rng.integers(0, steps)) * STEP_US)

    def stream() -> int:
        return int(rng.integers(1, given.streams + 1))

    questions = {
        "one observation by its id": lambda: f"Observations({rng.integers(1, given.observations)})",
        "100 observations of a stream, newest first": lambda: (
            f"Datastreams({stream()})/Observations?$orderby=phenomenonTime desc"
        ),
        "1,000 observations of a stream": lambda: f"Datastreams({stream()})/Observations?$top=1000",
        "1,000 as a data array": lambda: (
            f"Datastreams({stream()})/Observations?$top=1000&$resultFormat=dataArray&$select=phenomenonTime,result"
        ),
        "a day of a stream": lambda: (
            f"Datastreams({stream()})/Observations?$filter=phenomenonTime ge {(t := moment())} and "
            f"phenomenonTime lt {t} add duration'P1D'&$top=1000"
        ),
        "100 of all streams from a moment on": lambda: f"Observations?$filter=phenomenonTime ge {moment()}",
        "from a moment on, above a value": lambda: (
            f"Datastreams({stream()})/Observations?$filter=phenomenonTime ge {moment()} and result gt 4"
        ),
        "things, streams and the newest observation": lambda: (
            "Things?$top=20&$expand=Locations,Datastreams($expand=ObservedProperty,Observations($orderby=phenomenonTime desc;$top=1))"
        ),
        "20 observations with stream, thing, sensor, feature": lambda: (
            "Observations?$top=20&$orderby=phenomenonTime desc&$expand=Datastream($expand=Thing,Sensor,ObservedProperty),FeatureOfInterest"
        ),
        "streams of things in a box": lambda: (
            "Datastreams?$filter=st_within(Thing/Locations/location, geography'POLYGON((8 49, 8.2 49, 8.2 49.2, 8 49.2, 8 49))')&$count=true"
        ),
        "count of all observations": lambda: "Observations?$count=true&$top=0",
        "of all streams by the property's name, newest": lambda: (
            "Observations?$filter=Datastream/ObservedProperty/name eq 'river level'&$orderby=phenomenonTime desc"
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        service, per_s = filled(Path(folder), given.observations, given.streams)
        size = (Path(folder) / "things.sqlite").stat().st_size
        print(
            f"{given.observations:,} observations in {given.streams} streams: {per_s:,.0f} written a second, {size / given.observations:.0f} bytes each"
        )
        print("| asked | p50 ms | p95 ms | KiB |\n|---|---:|---:|---:|")
        for name, question in questions.items():
            took_ms, body = [], b""
            for _ in range(given.asks):
                path, _, query = question().partition("?")
                ask = Ask("GET", path, ROOT, quote(query, safe="$&=,;()'"))
                began_s = time.perf_counter()
                answer = service.handle(ask, ACTOR)
                took_ms.append((time.perf_counter() - began_s) * 1_000)
                if answer.status != 200:
                    raise SystemExit(f"{path}?{query}: {answer.body.decode()}")
                body = answer.body
            p50, p95 = np.percentile(took_ms, [50, 95])
            print(f"| {name} | {p50:.1f} | {p95:.1f} | {len(body) / 1_024:.0f} |", flush=True)
        service.things.close()


if __name__ == "__main__":
    main()
