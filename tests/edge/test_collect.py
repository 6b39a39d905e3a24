"""Collectors: units, times and names are settled at the border, and a bad file stops nothing."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from edge_host import START, TestHost

from tocsin.edge import CsvColumns, Fault, Replay, convert, read_csv, spoil
from tocsin.edge.latest import microseconds
from tocsin.vocabulary import Flag, InputError, Observations, Quantity

LEVEL = Quantity("river_level", "m", low=-5, high=60)
COLUMNS = CsvColumns(quantity=LEVEL, time="time", value="stage", unit="ft", site="station")
GOOD = "station,time,stage\nweir,2026-03-01T00:00:00Z,10\nquay,2026-03-01 01:00:00+01:00,-9999\n"
T0_US = microseconds(START)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_csv_file_becomes_columns_in_the_quantitys_own_unit(tmp_path: Path) -> None:
    told = read_csv(write(tmp_path / "a.csv", GOOD), COLUMNS)
    assert told.sites == ("weir", "quay")
    assert told.time_us.tolist() == [T0_US, T0_US]
    assert told.value[0] == pytest.approx(3.048)
    assert told.flag.tolist() == [Flag.NOT_EVALUATED, Flag.MISSING]


def test_a_packed_file_and_one_with_a_mark_at_its_start_are_read_as_well(tmp_path: Path) -> None:
    plain = read_csv(write(tmp_path / "a.csv", GOOD), COLUMNS)
    packed = read_csv(write(tmp_path / "b.csv.gz", gzip.compress(GOOD.encode())), COLUMNS)
    marked = read_csv(write(tmp_path / "c.csv", b"\xef\xbb\xbf" + GOOD.encode()), COLUMNS)
    assert plain.digest() == packed.digest() == marked.digest()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "line 1: no column"),
        ("station,time,stage\nweir,2026-03-01T00:00:00Z,high\n", "line 2: stage = 'high'; wanted a number in ft"),
        ("station,time,stage\nweir,yesterday,1\n", "line 2: time 'yesterday'; wanted ISO 8601"),
        ("station,time,stage\nweir,2026-03-01T00:00:00,1\n", "names no zone"),
        ("station,time,stage\n,2026-03-01T00:00:00Z,1\n", "station is empty"),
        ("station,time,stage\nweir,2026-03-01T00:00:00Z\n", "line 2: 2 columns; wanted 3"),
        ("station,time,stage\n" + "x" * 20_000, "longer than 10000 bytes"),
        (b"station,time,stage\nw\xff,2026-03-01T00:00:00Z,1\n", "not UTF-8"),
        (b"\x1f\x8b\x08\x00garbage", "cannot be read"),
        (gzip.compress(GOOD.encode())[:-9], "cannot be read"),
        (GOOD.replace("\n", "\0\n"), "line"),
    ],
)
def test_a_broken_file_is_refused_with_file_line_and_what_was_wanted(tmp_path: Path, text: str | bytes, said: str) -> None:
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(InputError, match=said) as refusal:
        read_csv(path, COLUMNS)
    assert str(path) in str(refusal.value)


def test_a_file_that_unpacks_to_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    bomb = write(tmp_path / "a.csv.gz", gzip.compress(b"station,time,stage\n" + b"weir,2026-03-01T00:00:00Z,1\n" * 50_000))
    with pytest.raises(InputError, match="more than 100000 bytes"):
        read_csv(bomb, COLUMNS, bytes_most=100_000)
    with pytest.raises(InputError, match="more than 1000 rows"):
        read_csv(bomb, COLUMNS, rows_most=1_000)


def test_units_are_converted_by_their_definitions_and_others_are_refused() -> None:
    assert convert(np.array([32.0, 212.0]), "degF", "degC").round(9).tolist() == [0.0, 100.0]
    assert convert(np.array([1.0]), "ft3/s", "m3/s")[0] == pytest.approx(0.028316846592)
    assert convert(np.array([36.0]), "km/h", "m/s")[0] == pytest.approx(10.0)
    with pytest.raises(InputError, match="no conversion from 'furlong' to 'm'"):
        CsvColumns(quantity=LEVEL, time="t", value="v", unit="furlong", one_site="weir")
    with pytest.raises(InputError, match="either"):
        CsvColumns(quantity=LEVEL, time="t", value="v", unit="m")
    with pytest.raises(InputError, match="zone 'Mars/Base' is unknown"):
        CsvColumns(quantity=LEVEL, time="t", value="v", unit="m", one_site="weir", zone="Mars/Base")


def test_times_without_a_zone_are_of_the_zone_that_is_declared(tmp_path: Path) -> None:
    columns = CsvColumns(quantity=LEVEL, time="time", value="v", unit="m", one_site="weir", zone="Asia/Shanghai")
    told = read_csv(write(tmp_path / "a.csv", "time,v\n2026-03-01 08:00:00,1\n"), columns)
    assert told.time_us.tolist() == [T0_US]


async def collected(
    source: AsyncGenerator[Observations, None], host: TestHost, hours: float
) -> list[tuple[datetime, Observations]]:
    told: list[tuple[datetime, Observations]] = []

    async def listen() -> None:
        async for batch in source:
            told.append((host.clock.now(), batch))

    task = asyncio.create_task(listen())
    await host.clock.run(host.clock.now() + timedelta(hours=hours))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return told


def series(steps: int = 24) -> Observations:
    at = T0_US + np.arange(steps) * 300_000_000
    return Observations.of(LEVEL, ("weir", "quay"), np.tile([0, 1], steps), np.repeat(at, 2), np.arange(2.0 * steps))


def fault(kind: str, **more: float) -> Fault:
    return Fault(site="weir", kind=kind, start=START, end=START + timedelta(hours=1), **more)  # type: ignore[arg-type]


def of_weir(told: Observations) -> Observations:
    keep = told.site == 0
    return Observations.of(
        LEVEL, told.sites, told.site[keep], told.time_us[keep], told.value[keep], arrived_us=told.arrived_us[keep]
    )


def test_a_replay_sends_each_moment_when_the_clock_reaches_it() -> None:
    host = TestHost()
    start = START + timedelta(hours=5)
    told = asyncio.run(collected(Replay("storm", series(), start=start).batches(host), host, 24.0))
    assert [moment for moment, _ in told] == [start + timedelta(minutes=5 * k) for k in range(24)]
    assert all(len(batch) == 2 for _, batch in told)
    assert told[0][1].time_us[0] == microseconds(start)


def test_a_replay_that_breaks_goes_on_with_the_batch_that_was_not_stored() -> None:
    host = TestHost()
    replay = Replay("storm", series(4), faults=[fault("noise", amount=0.1)])

    async def twice() -> list[Observations]:
        first = replay.batches(host)
        told = [await anext(first)]
        lost = asyncio.create_task(anext(first))
        await host.clock.run(START + timedelta(minutes=5))
        lost_batch = await lost
        await first.aclose()
        rest = await collected(replay.batches(host), host, 1.0)
        assert lost_batch.digest() == rest[0][1].digest()
        return told + [batch for _, batch in rest]

    assert [int(batch.time_us[0] - T0_US) // 300_000_000 for batch in asyncio.run(twice())] == [0, 1, 2, 3]


def test_each_fault_does_what_it_says_to_its_site_and_time_and_to_no_other() -> None:
    rng = np.random.default_rng
    true = series()
    weir = of_weir(true)
    inside = slice(0, 12)
    stuck = of_weir(spoil(true, [fault("stuck")], rng(1)))
    assert set(stuck.value[inside]) == {0.0}
    assert np.array_equal(stuck.value[12:], weir.value[12:])
    drift = of_weir(spoil(true, [fault("drift", amount=1.2)], rng(1)))
    assert (drift.value - weir.value)[inside] == pytest.approx(0.1 * np.arange(12))
    spike = of_weir(spoil(true, [fault("spike", amount=5.0, chance=0.5)], rng(1)))
    assert set(np.abs(spike.value - weir.value)[inside].round(9)) == {0.0, 5.0}
    clock = of_weir(spoil(true, [fault("clock", amount=3600.0)], rng(1)))
    assert set((clock.time_us - clock.arrived_us)[inside]) == {3_600_000_000}
    dropout = of_weir(spoil(true, [fault("dropout")], rng(1)))
    assert len(dropout) == 12
    missing = of_weir(spoil(true, [fault("missing", chance=0.5)], rng(1)))
    assert 0 < np.isnan(missing.value[inside]).sum() < 12
    repeat = of_weir(spoil(true, [fault("repeat")], rng(1)))
    assert len(repeat) == 36
    late = spoil(true, [fault("delay", amount=1800.0)], rng(1))
    assert (np.diff(late.arrived_us) >= 0).all()
    assert (np.diff(of_weir(late).time_us) < 0).any()
    noise = of_weir(spoil(true, [fault("noise", amount=0.1)], rng(1)))
    assert 0.01 < np.std((noise.value - weir.value)[inside]) < 0.3
    for told in (stuck, drift, spike, clock, noise):
        assert np.array_equal(told.value[12:], weir.value[12:])


def test_faults_of_nonsense_are_refused() -> None:
    with pytest.raises(InputError, match="in order"):
        Fault(site="weir", kind="stuck", start=START, end=START)
    with pytest.raises(InputError, match=r"0\.\.1"):
        fault("spike", chance=2.0)
    with pytest.raises(InputError, match="no site 'mill'"):
        spoil(
            series(),
            [Fault(site="mill", kind="stuck", start=START, end=datetime(2027, 1, 1, tzinfo=UTC))],
            np.random.default_rng(1),
        )
