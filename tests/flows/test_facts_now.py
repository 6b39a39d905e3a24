"""What triggers are told of a real emergency: the sensors' own numbers with their age, and nothing where nobody measures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tocsin.edge.latest import Latest, microseconds
from tocsin.flows.board import Board
from tocsin.flows.facts_now import FactsNow
from tocsin.host import Entry
from tocsin.pack import facts_for, find_pack
from tocsin.pack.trigger import Judge, parse
from tocsin.platform.twin import Gauge
from tocsin.vocabulary import Level, Observations, Quantity, Warning, record_id

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
PACK = find_pack("flood")
RIVER, RAIN = PACK.observes[0], PACK.observes[1]
NAN = float("nan")
GAUGES = (
    Gauge("g1", "quay", "river_level", 0.0, 0.0, 0.0, 0.0, 0, NAN, None, "m", "lake"),
    Gauge("g2", "pier", "river_level", 0.0, 0.0, 0.0, 0.0, 0, NAN, None, "m", "lake"),
    Gauge("g3", "weir", "river_level", 0.0, 0.0, 0.0, 0.0, 0, NAN, None, "m", "river"),
)


def heard(latest: Latest, quantity: Quantity, site: str, **readings: float) -> None:
    """Readings by minutes before (m30) or after (p30) the plan began."""
    minutes = [int(name[1:]) * (-1 if name[0] == "m" else 1) for name in readings]
    time_us = [microseconds(BEGAN + timedelta(minutes=m)) for m in minutes]
    latest.take(Observations.of(quantity, (site,), [0] * len(minutes), time_us, list(readings.values())))


def warned(level: Level, minutes: int, rule: str = "high", site: str = "g1", hazard: str = "flood") -> Entry:
    time = BEGAN + timedelta(minutes=minutes)
    warning = Warning(
        time=time,
        subject=site,
        hazard=hazard,
        rule=rule,
        level=level,
        before=Level.NONE,
        reason="",
        value=None,
        unit="m",
        public=False,
    )
    return Entry(minutes + 1_000, record_id(warning), "edge", time, warning)


def facts(latest: Latest, *entries: Entry, now_min: float = 0.0) -> FactsNow:
    now = BEGAN + timedelta(minutes=now_min)
    return FactsNow(latest, Board(entries), GAUGES, PACK, ("lake", "river"), BEGAN, now)


def test_a_level_is_the_highest_that_the_waters_own_gauges_say_with_its_age() -> None:
    latest = Latest()
    heard(latest, RIVER, "g1", m90=1.0, m30=2.0, m10=2.5)
    heard(latest, RIVER, "g2", m20=2.7)
    heard(latest, RIVER, "g3", m5=9.0)
    now = facts(latest)
    lake = now.at("level_m", "lake", 0.0)
    assert lake is not None
    assert (lake.value, lake.unit, lake.age_s) == (2.7, "m", 1200.0)
    before = now.at("level_m", "lake", -1500.0)
    assert before is not None
    assert (before.value, before.age_s) == (2.0, 300.0)
    assert now.at("level_m", "sea", 0.0) is None


def test_a_gauge_that_drowned_high_does_not_hide_the_one_that_still_speaks() -> None:
    latest = Latest()
    heard(latest, RIVER, "g1", m120=5.0)
    heard(latest, RIVER, "g2", m5=2.0)
    lake = facts(latest).at("level_m", "lake", 0.0)
    assert lake is not None
    assert lake.value == 2.0


def test_where_no_gauge_has_spoken_the_trigger_is_unknown_and_never_false() -> None:
    latest = Latest()
    heard(latest, RIVER, "g1", m120=5.0)
    now = facts(latest)
    assert Judge(now, facts_for("flood")).truth(parse("level_m@lake < 6 m"), 0.0) is None
    assert Judge(now, facts_for("flood")).truth(parse("level_m@lake max_age 3 h < 6 m"), 0.0) is True
    assert Judge(now, facts_for("flood")).truth(parse("flooded_share@quay < 50 %"), 0.0) is None
    assert Judge(now, facts_for("flood")).truth(parse("rain_mm_per_h < 50 mm/h"), 0.0) is None
    assert Judge(now, facts_for("flood")).unknowns(parse("flooded_share@quay < 50 %"), 0.0) == (
        "flooded_share@quay: nobody knows it",
    )


def test_a_reading_that_the_checks_failed_is_not_a_fact() -> None:
    latest = Latest()
    time_us = [microseconds(BEGAN - timedelta(minutes=m)) for m in (20, 15, 10)]
    latest.take(Observations.of(RIVER, ("g1",), [0, 0, 0], time_us, [2.0, 3.0, 1e9], flag=[1, 4, 1]))  # failed; past belief
    lake = facts(latest).at("level_m", "lake", 0.0)
    assert lake is not None
    assert (lake.value, lake.age_s) == (2.0, 1200.0)


def test_a_rise_is_that_of_an_hour_and_unknown_without_a_reading_before() -> None:
    latest = Latest()
    heard(latest, RIVER, "g1", m70=1.0, m5=2.5)
    rise = facts(latest).at("rise_m_per_h", "lake", 0.0)
    assert rise is not None
    assert (rise.value, rise.unit, rise.age_s) == (1.5, "m/h", 300.0)
    late = Latest()
    heard(late, RIVER, "g1", m5=2.5)
    assert facts(late).at("rise_m_per_h", "lake", 0.0) is None


def test_rain_is_what_fell_in_the_last_hour_at_the_gauges_that_spoke() -> None:
    latest = Latest()
    heard(latest, RAIN, "r1", m90=40.0, m50=4.0, m10=6.0)
    heard(latest, RAIN, "r2", m30=20.0)
    heard(latest, RAIN, "r3", m90=99.0)
    rain = facts(latest).at("rain_mm_per_h", "", 0.0)
    assert rain is not None
    assert (rain.value, rain.unit, rain.age_s) == (15.0, "mm/h", 600.0)


def test_the_warning_level_is_the_worst_that_held_at_the_moment_that_is_asked_for() -> None:
    now = facts(Latest(), warned(Level.ORANGE, -60), warned(Level.YELLOW, -30), warned(Level.RED, 30), now_min=60.0)
    said = [now.at("warning_level", "", 60.0 * minute) for minute in (-90, -45, 0, 45)]
    assert [None if fact is None else fact.value for fact in said] == [0.0, 3.0, 2.0, 4.0]


def test_a_gas_that_is_watched_too_sets_off_no_level_of_a_flood_plan_and_a_storm_that_nobody_watches_does() -> None:
    said = (
        warned(Level.YELLOW, -60),
        warned(Level.RED, -30, "gas", "nose", "chemical"),
        warned(Level.ORANGE, -20, "gale", "mast", "storm"),
    )
    now = FactsNow(Latest(), Board(said), GAUGES, PACK, ("lake", "river"), BEGAN, BEGAN, not_of={"chemical"})
    level = now.at("warning_level", "", 0.0)
    assert level is not None
    assert level.value == Level.ORANGE


@pytest.mark.parametrize(("before", "truth"), [(Level.NONE, None), (Level.RED, True)])
def test_a_site_that_nobody_sees_is_no_peace_and_lifts_no_warning(before: Level, truth: bool | None) -> None:
    now = facts(Latest(), warned(before, -60), warned(Level.BLIND, -30))
    assert Judge(now, facts_for("flood")).truth(parse("warning_level >= orange"), 0.0) is truth


def test_hours_are_those_since_the_decision() -> None:
    now = facts(Latest(), now_min=90.0)
    assert Judge(now, facts_for("flood")).truth(parse("hours >= 90 min"), 5400.0) is True
    assert now.at("moon", "", 0.0) is None
