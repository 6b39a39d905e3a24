"""Forecasts and warnings are scored from the ledger alone, as one can count by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tocsin.flows.verify import score_ledger
from tocsin.host import Entry
from tocsin.security.actor import Actor
from tocsin.testing.memory import START, TestHost
from tocsin.vocabulary import (
    Forecast,
    GaugeScore,
    InputError,
    Level,
    Note,
    Record,
    Verification,
    Warning,
    decode_record,
    encode_record,
)

PLATFORM = Actor("platform", frozenset({"system"}))


def warned(minute: int, level: Level, *, rule: str = "river_rising_fast", site: str = "quay", hazard: str = "flood") -> Warning:
    return Warning(
        time=START + timedelta(minutes=minute),
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


def entries(*records: Record) -> list[Entry]:
    ledger = TestHost().ledger
    ledger.append(PLATFORM, records)
    return list(ledger.read())


LATER = Note(time=START + timedelta(days=3), subject="tiny", text="the water is gone")


def test_a_warning_of_which_nothing_may_be_said_yet_is_pending_and_no_false_alarm() -> None:
    told = [warned(0, Level.YELLOW), warned(60, Level.YELLOW, site="mill")]
    (score,) = score_ledger(entries(*told)).warnings
    assert (score.false_alarms, score.pending, score.far) == (0, 2, None)
    (score,) = score_ledger(entries(*told, LATER)).warnings
    assert (score.false_alarms, score.pending, score.far) == (2, 0, 1.0)


def test_a_warning_an_hour_before_red_is_a_hit_with_an_hour_of_lead_time() -> None:
    (score,) = score_ledger(entries(warned(0, Level.YELLOW), warned(60, Level.RED, rule="river_level_high"))).warnings
    assert (score.hits, score.misses, score.false_alarms) == (1, 0, 0)
    assert (score.pod, score.far, score.csi) == (1.0, 0.0, 1.0)
    assert score.lead_s == (3600.0,)


def test_hits_misses_and_false_alarms_by_hand() -> None:
    told = [
        warned(0, Level.YELLOW),  # followed by red at the quay: a hit, 30 min before
        warned(30, Level.RED, rule="river_level_high"),
        warned(40, Level.YELLOW, site="mill"),  # nothing comes at the mill: a false alarm
        warned(50, Level.NONE, site="mill"),
        warned(60, Level.RED, site="weir"),  # red at once: warned of when it came, with no time left
        warned(70, Level.YELLOW, site="weir", hazard="fire"),  # of another hazard
    ]
    fire, flood = score_ledger(entries(*told, LATER)).warnings
    assert (flood.hits, flood.misses, flood.false_alarms) == (2, 0, 1)
    assert flood.far == pytest.approx(1 / 3)
    assert flood.csi == pytest.approx(2 / 3)
    assert flood.lead_s == (1800.0, 0.0)
    assert flood.lead_median_s == 900.0
    assert (fire.pod, fire.far, fire.lead_median_s) == (None, 1.0, None)


def test_a_warning_that_is_older_than_the_window_is_a_false_alarm_and_what_came_a_miss() -> None:
    told = entries(warned(0, Level.YELLOW), warned(180, Level.RED, rule="river_level_high"))
    (score,) = score_ledger(told, window_h=2.0).warnings
    assert (score.hits, score.misses, score.false_alarms) == (0, 1, 1)
    assert score.pod == 0.0


def test_a_blind_rule_neither_warns_nor_lifts_a_warning() -> None:
    told = entries(warned(0, Level.YELLOW), warned(10, Level.BLIND), warned(20, Level.ORANGE), warned(30, Level.RED))
    (score,) = score_ledger(told).warnings
    assert (score.hits, score.false_alarms, score.lead_s) == (1, 0, (1800.0,))


def forecast(hour: int) -> Forecast:
    return Forecast(
        time=START + timedelta(hours=hour),
        subject="tiny",
        hazard="flood",
        model="water",
        source="",
        members=50,
        seed=hour,
        duration_s=3600.0,
        scenario={},
        impact={},
    )


def verified(of: str, hour: int, *gauges: GaugeScore) -> Verification:
    return Verification(
        time=START + timedelta(hours=hour), subject="tiny", cause=(of,), forecast=of, members=50, effective=31.2, gauges=gauges
    )


def test_the_last_word_on_each_forecast_counts_and_readings_weigh_alike() -> None:
    ledger = TestHost().ledger
    first, second = ledger.append(PLATFORM, [forecast(0), forecast(5)])
    quay = GaugeScore("quay", "level@lake", "m", 3, 0.2, 1.0, 0.1, 2.1, 3.0, 2.7)
    mill = GaugeScore("mill", "level@river", "m", 1, 0.6, 0.0, -0.3, 1.0, 2.0, 2.5)
    old = GaugeScore("quay", "level@lake", "m", 1, 9.0, 0.0, 9.0, 0.0, 1.0, 9.0)
    ledger.append(PLATFORM, [verified(first, 1, old), verified(first, 2, quay), verified(second, 6, mill)])
    scores = score_ledger(ledger.read())
    assert [row.forecast for row in scores.forecasts] == [second, first]
    assert scores.forecasts[1].words == "readings leave 31 of 50 futures; quay: expected 2.1 to 3 m, came 2.7 m"
    (level,) = scores.quantities
    assert (level.what, level.forecasts, level.readings) == ("level", 2, 4)
    assert level.crps == pytest.approx((3 * 0.2 + 0.6) / 4)
    assert level.inside_share == pytest.approx(0.75)
    assert level.error_mean == pytest.approx(0.0)


def test_a_ledger_without_any_of_it_has_no_scores() -> None:
    scores = score_ledger([])
    assert scores.forecasts == scores.quantities == scores.warnings == ()


def test_a_verification_is_read_back_as_it_was_written() -> None:
    said = verified("forecast-1", 1, GaugeScore("quay", "level@lake", "m", 3, 0.2, 1.0, 0.1, 2.1, 3.0, 2.7))
    assert decode_record(encode_record(said)) == said


@pytest.mark.parametrize(("words", "says"), [({"level": Level.YELLOW}, "orange or red"), ({"window_h": 0.0}, "more than 0")])
def test_what_cannot_be_scored_is_refused(words: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        score_ledger([], **words)  # type: ignore[arg-type]


def test_the_chances_of_passing_a_limit_are_scored_over_all_gauges_by_hand() -> None:
    ledger = TestHost().ledger
    (first,) = ledger.append(PLATFORM, [forecast(0)])
    shown = ("level@lake", "m", 2, 0.2, 1.0, 0.1, 2.1, 3.0, 2.7)
    quay = GaugeScore("quay", *shown, (1, 0, 0, 0, 0, 0, 0, 0, 0, 1), 2.0, (0.1, 0.8), (False, True))
    mill = GaugeScore("mill", *shown, (0, 2, 0, 0, 0, 0, 0, 0, 0, 0), 2.0, (0.8, 0.8), (True, False))
    none = GaugeScore("hill", *shown)  # as it was written before
    ledger.append(PLATFORM, [verified(first, 1, quay, mill, none)])
    (level,) = score_ledger(ledger.read()).quantities
    assert level.ranks == (1, 2, 0, 0, 0, 0, 0, 0, 0, 1)
    assert level.chances is not None
    assert (level.chances.readings, level.chances.passed) == (4, 2)
    assert level.chances.brier == pytest.approx((0.1**2 + 0.2**2 + 0.2**2 + 0.8**2) / 4)
    assert level.chances.uncertainty == 0.25
    told = [(b.low, b.count, b.told, b.came) for b in level.chances.bins if b.count]
    assert told == [
        (pytest.approx(0.1), 1, pytest.approx(0.1), 0.0),
        (pytest.approx(0.8), 3, pytest.approx(0.8), pytest.approx(2 / 3)),
    ]
    (bare,) = score_ledger(entries(forecast(0), verified(first, 1, none))).quantities
    assert (bare.ranks, bare.chances) == ((), None)
