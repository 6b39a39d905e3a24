"""Readings into PostgreSQL: python benchmarks/postgres.py URL. Blocks of a spool by COPY, beside a row at a time as a sensor web would.

`peer` writes each observation as a row of its own with (stream, time) as its key, in batches of 1,000 by executemany: what an
istSOS-like store does. The database named in URL gets the tables and is left with them; take a throw-away one.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import asyncpg
import numpy as np

from tocsin.edge import Spool
from tocsin.platform.postgres import Copier, PostgresReadings
from tocsin.vocabulary import Observations, Quantity

LEVEL = Quantity("water_level", "m", -5.0, 20.0)
STREAMS, BLOCK = 10_000, 10_000


def blocks(readings: int) -> list[Observations]:
    """Every stream once a minute, a random walk in centimetres."""
    rng = np.random.default_rng(1)
    sites = tuple(f"gauge-{k:05d}" for k in range(STREAMS))
    value = np.zeros(STREAMS)
    made = []
    for minute in range(readings // BLOCK):
        value += rng.integers(-2, 3, STREAMS) / 100.0
        made.append(Observations.of(LEVEL, sites, np.arange(STREAMS), np.full(STREAMS, minute * 60_000_000), value))
    return made


async def rows(url: str, told: list[Observations]) -> float:
    line = await asyncpg.connect(url)
    await line.execute(
        "create table peer (site text, time timestamptz, value double precision, flag smallint, primary key (site, time))"
    )
    began = time.perf_counter()
    for batch in told:
        for start in range(0, len(batch), 1_000):
            part = slice(start, start + 1_000)
            await line.executemany(
                "insert into peer values ($1, to_timestamp($2), $3, $4)",
                [
                    (batch.sites[s], t / 1e6, v, int(f))
                    for s, t, v, f in zip(
                        batch.site[part].tolist(),
                        batch.time_us[part].tolist(),
                        batch.value[part].tolist(),
                        batch.flag[part],
                        strict=True,
                    )
                ],
            )
    took = time.perf_counter() - began
    await line.close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--readings", type=int, default=1_000_000)
    asked = parser.parse_args()
    told = blocks(asked.readings)
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder))
        for batch in told:
            spool.append([batch])
        target = PostgresReadings(asked.url)
        copier = Copier(spool, f"benchmark-{time.time_ns()}", target)
        began = time.perf_counter()
        while copier.step():
            pass
        took = time.perf_counter() - began
        target.close()
        spool.close()
    few = told[: max(1, len(told) // 10)]
    peer = sum(map(len, few)) / asyncio.run(rows(asked.url, few))
    rate = asked.readings / took
    print(f"blocks by COPY, each once    {rate:12,.0f} readings a second")
    print(f"a row for each observation   {peer:12,.0f} readings a second; {rate / peer:.1f} times")


if __name__ == "__main__":
    main()
