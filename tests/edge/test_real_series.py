"""Real floods and real rain through the whole edge: warned before the peak, and quiet when nothing happens.

The limits are of this test (unverified): the place has no published ones here.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from edge_host import EDGE, TestHost
from numpy.lib.stride_tricks import sliding_window_view

from tocsin.edge import Check, CsvColumns, Fault, Latest, Node, Replay, Watch, read_csv
from tocsin.pack.ready_rules import accumulation, rise, threshold
from tocsin.pack.rule import Limits
from tocsin.vocabulary import Level, Observations, Quantity, SensorFault, Warning, Window

pytestmark = pytest.mark.real_data

LEVEL = Quantity("river_level", "m", low=-5, high=60)
RAIN = Quantity("rain_rate", "mm/h", low=0, high=500)
PEAK = datetime(2018, 6, 3, 22, 5, tzinfo=UTC)
CHECK = Check(
    quantity=LEVEL,
    interval_s=300.0,
    source="a test (unverified)",
    sensor_span=(-0.5, 10.0),
    spike_suspect=0.3,
    spike_fail=0.6,
    rate_suspect_per_h=2.0,
    flat_tolerance=0.001,
    flat_suspect_s=6 * 3600.0,
    gap_s=3600.0,
)
FAST = rise(
    "river_rising_fast",
    LEVEL,
    Limits({Level.YELLOW: 0.5, Level.ORANGE: 1.0, Level.RED: 2.0}, "m/h", "a test (unverified)"),
    over_s=1800,
    max_age_s=1800,
)
HIGH = threshold(
    "river_high",
    LEVEL,
    Limits({Level.BLUE: 0.8, Level.YELLOW: 1.1, Level.ORANGE: 1.4, Level.RED: 1.6}, "m", "a test (unverified)"),
    max_age_s=1800,
    persistence_s=600,
    min_readings=3,
    margin=0.05,
    clear_s=1800,
)


@pytest.fixture(scope="module")
def dead_run(shared_data: Path) -> Observations:
    """Stage of Dead Run at Franklintown, June 2018, every five minutes; USGS 01589330, given in feet."""
    columns = CsvColumns(quantity=LEVEL, time="datetimeUTC", value="USGS:01589330:00065:00000", unit="ft", one_site="dead-run")
    return read_csv(shared_data / "hydro" / "usgs_01589330_deadrun_2018-06_5min.csv.gz", columns)


def replayed(true: Observations, start: datetime, end: datetime, *faults: Fault) -> TestHost:
    """The ledger of the days from `start` to `end`, with live virtual sensors."""
    keep = (true.time_us >= start.timestamp() * 1e6) & (true.time_us < end.timestamp() * 1e6)
    part = Observations.of(LEVEL, true.sites, true.site[keep], true.time_us[keep], true.value[keep])
    host = TestHost(start)
    latest = Latest([CHECK])
    watch = Watch({"flood": [FAST, HIGH]}, latest, since=start)
    node = Node(host, EDGE, latest=latest, watch=watch, collectors=[Replay("usgs", part, faults=faults)], tick_s=3600.0)

    async def main() -> None:
        task = asyncio.create_task(node.run(end))
        await host.clock.run(end)
        await task

    asyncio.run(main())
    return host


def raised(host: TestHost) -> list[tuple[datetime, str, Level]]:
    return [(w.time, w.rule, w.level) for w in host.ledger.records(Warning) if isinstance(w, Warning) and w.level > w.before]


def test_the_flash_flood_of_dead_run_is_warned_before_its_peak(dead_run: Observations) -> None:
    assert dead_run.value.max() == pytest.approx(6.17 * 0.3048)
    host = replayed(dead_run, PEAK - timedelta(hours=30), PEAK + timedelta(hours=12))
    last_wave = [(PEAK - time, rule, level) for time, rule, level in raised(host) if time > PEAK - timedelta(hours=1)]
    assert last_wave == [
        (timedelta(minutes=40), "river_rising_fast", Level.YELLOW),
        (timedelta(minutes=35), "river_rising_fast", Level.ORANGE),
        (timedelta(minutes=30), "river_high", Level.YELLOW),
        (timedelta(minutes=20), "river_high", Level.ORANGE),
        (timedelta(minutes=15), "river_high", Level.RED),
    ]
    first = raised(host)[0]
    assert (PEAK - first[0], first[1]) == (timedelta(hours=4), "river_rising_fast")
    assert host.ledger.records(SensorFault) == []


def test_spikes_and_gaps_and_late_readings_neither_hide_the_flood_nor_make_one(dead_run: Observations) -> None:
    start, end = PEAK - timedelta(hours=30), PEAK + timedelta(hours=12)

    def fault(kind: str, **more: float) -> Fault:
        return Fault(site="dead-run", kind=kind, start=start, end=end, **more)  # type: ignore[arg-type]

    host = replayed(
        dead_run,
        start,
        end,
        fault("spike", amount=1.5, chance=0.05),
        fault("dropout", chance=0.1),
        fault("repeat", chance=0.2),
    )
    told = raised(host)
    assert all(PEAK - timedelta(hours=5) < time < PEAK + timedelta(hours=6) for time, _, level in told if level >= Level.ORANGE)
    assert min(time for time, rule, level in told if level == Level.RED) < PEAK
    assert min(time for time, _, level in told if level >= Level.ORANGE and time > PEAK - timedelta(hours=1)) <= PEAK - timedelta(
        minutes=20
    )


def test_no_moment_of_a_quiet_day_is_red_or_orange(dead_run: Observations) -> None:
    """Every moment of the month is a site of one window: the rules judge 8,900 of them at once."""
    lag = 13
    value = sliding_window_view(dead_run.value, lag)
    time_us = sliding_window_view(dead_run.time_us, lag)
    age_s = (time_us[:, -1:] - time_us) / 1e6
    seen = Window(LEVEL, tuple(map(str, time_us[:, -1])), age_s, value, np.isfinite(value) & (age_s <= 3600.0))
    day = time_us[:, -1] // 86_400_000_000
    crest = {int(d): dead_run.value[dead_run.time_us // 86_400_000_000 == d].max() for d in np.unique(day)}
    quiet = np.array([crest[int(d)] < 0.6 for d in day])
    assert quiet.sum() > 20 * 288
    for rule in (FAST, HIGH):
        level = rule.judge(seen, np.zeros(len(seen.sites), np.int8)).level
        assert level[quiet].max() <= Level.YELLOW
        assert level[~quiet].max() >= Level.ORANGE


def test_rain_of_ten_years_adds_up_as_a_plain_sum_says(shared_data: Path) -> None:
    """Hourly rain at Ebnit, 1996-2005: the sums of 3 and of 24 hours, at all 87,650 hours at once."""
    columns = CsvColumns(quantity=RAIN, time="assumed_time", value="rain_mm_h", unit="mm/h", one_site="ebnit", zone="UTC")
    rain = read_csv(shared_data / "hydro" / "dornbirnerach_ebnit_rain_q_hourly_1996_2005.csv.gz", columns)
    limits = Limits({Level.YELLOW: 20.0, Level.ORANGE: 35.0, Level.RED: 60.0}, "mm", "a test (unverified)")
    daily = Limits({Level.BLUE: 60.0, Level.YELLOW: 100.0, Level.RED: 150.0}, "mm", "a test (unverified)")
    rule = accumulation("heavy_rain", RAIN, {3: limits, 24: daily}, interval_s=3600, max_age_s=7200)
    value = sliding_window_view(rain.value, 24)
    age_s = np.broadcast_to(np.arange(24)[::-1] * 3600.0, value.shape)
    seen = Window(RAIN, tuple(map(str, range(len(value)))), age_s, value, np.isfinite(value))
    verdict = rule.judge(seen, np.zeros(len(value), np.int8))
    three, day = value[:, -3:].sum(axis=1), value.sum(axis=1)
    by_three = np.select([three >= 60, three >= 35, three >= 20], [4, 3, 2], 0)
    by_day = np.select([day >= 150, day >= 100, day >= 60], [4, 2, 1], 0)
    clear = np.ones(len(value), bool)  # sums within a rounding of a limit may fall on either side
    for total, steps in ((three, (20, 35, 60)), (day, (60, 100, 150))):
        for step in steps:
            clear &= np.abs(total - step) > 1e-6
    assert np.array_equal(verdict.level[clear], np.maximum(by_three, by_day)[clear])
    assert verdict.level.max() == Level.RED
    worst = int(np.argmax(day))
    assert f"{day[worst]:.1f} mm in 24 h" in verdict.reason[worst] or f"{three[worst]:.1f} mm in 3 h" in verdict.reason[worst]
