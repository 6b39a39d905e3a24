"""The board says what the ledger says, no more and no less."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tocsin.flows.board import Board
from tocsin.host import Entry
from tocsin.vocabulary import (
    Bulletin,
    Comparison,
    Decision,
    Level,
    NotFound,
    Order,
    Record,
    Report,
    SensorFault,
    Warning,
    record_id,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def warning(level: Level, before: Level, minute: int, *, rule: str = "river_high", site: str = "weir") -> Warning:
    return Warning(
        time=NOON + timedelta(minutes=minute),
        subject=site,
        hazard="flood",
        rule=rule,
        level=level,
        before=before,
        reason="a reason",
        value=1.0,
        unit="m",
        public=True,
    )


def entries(*records: Record) -> list[Entry]:
    return [Entry(n, record_id(r), "tester", r.time, r) for n, r in enumerate(records, start=1)]  # type: ignore[arg-type]


def test_only_the_last_word_of_a_rule_at_a_site_is_active() -> None:
    yellow, red = warning(Level.YELLOW, Level.NONE, 0), warning(Level.RED, Level.YELLOW, 5)
    board = Board(entries(yellow, red))
    assert not board.is_active(record_id(yellow))
    assert list(board.active_warnings()) == [record_id(red)]


def test_a_warning_that_ended_is_not_active() -> None:
    board = Board(entries(warning(Level.RED, Level.NONE, 0), warning(Level.NONE, Level.RED, 5)))
    assert board.active_warnings() == {}
    assert board.site_level("weir") == Level.NONE


def test_the_worst_warning_comes_first() -> None:
    board = Board(entries(warning(Level.BLUE, Level.NONE, 0, site="a"), warning(Level.RED, Level.NONE, 1, site="b")))
    assert [w.subject for w in board.active_warnings().values()] == ["b", "a"]


def test_a_site_is_blind_only_if_no_rule_warns_of_it() -> None:
    blind = warning(Level.BLIND, Level.NONE, 0, rule="rain_heavy")
    assert Board(entries(blind)).site_level("weir") == Level.BLIND
    assert Board(entries(blind, warning(Level.ORANGE, Level.NONE, 1))).site_level("weir") == Level.ORANGE


def test_a_gauge_that_drowns_in_a_red_flood_stays_red_and_is_marked_blind() -> None:
    red, blind = warning(Level.RED, Level.ORANGE, 0), warning(Level.BLIND, Level.RED, 5)
    board = Board(entries(red, blind))
    assert (board.site_level("weir"), board.last_level("weir"), board.blind_rules("weir")) == (
        Level.RED,
        Level.RED,
        ("river_high",),
    )
    assert list(board.active_warnings()) == [record_id(red)]
    assert not board.is_active(record_id(blind))


def test_a_blind_rule_does_not_hide_behind_a_lower_warning_of_another() -> None:
    drowned = (warning(Level.RED, Level.NONE, 0), warning(Level.BLIND, Level.RED, 5))
    board = Board(entries(*drowned, warning(Level.YELLOW, Level.NONE, 6, rule="river_rising_fast")))
    assert board.site_level("weir") == Level.RED
    assert [w.level for w in board.active_warnings().values()] == [Level.RED, Level.YELLOW]


def test_what_a_rule_sees_again_counts_and_the_mark_is_gone() -> None:
    drowned = (warning(Level.RED, Level.NONE, 0), warning(Level.BLIND, Level.RED, 5))
    board = Board(entries(*drowned, warning(Level.NONE, Level.BLIND, 9)))
    assert (board.site_level("weir"), board.blind_rules("weir"), board.active_warnings()) == (Level.NONE, (), {})


def test_an_entry_that_comes_twice_changes_nothing() -> None:
    (first,) = entries(warning(Level.RED, Level.NONE, 0))
    board = Board([first])
    board.post(first)
    assert len(board.warnings) == 1


def fault(*, healed: bool) -> SensorFault:
    return SensorFault(time=NOON, subject="weir", quantity="river_level", check="flat line", reason="stuck", healed=healed)


def test_a_healed_sensor_leaves_the_list_of_faults() -> None:
    assert len(Board(entries(fault(healed=False))).faults) == 1
    assert Board(entries(fault(healed=False), fault(healed=True))).faults == {}


ORDER = Order(
    time=NOON,
    subject="Riverside",
    plan="evacuate",
    action="move",
    do="Move people to Hill School",
    role="police",
    needs={"crew": 2},
    start=NOON,
    due=NOON + timedelta(hours=1),
)


def test_an_order_is_overdue_when_its_time_is_over_and_nobody_said_it_is_done() -> None:
    board = Board(entries(ORDER))
    state = board.order(record_id(ORDER))
    assert not state.overdue(NOON + timedelta(minutes=59))
    assert state.overdue(NOON + timedelta(minutes=61))
    done = Report(time=NOON, subject="move", cause=(record_id(ORDER),), order=record_id(ORDER), state="done", text="all out")
    board = Board(entries(ORDER, done))
    assert not board.order(record_id(ORDER)).overdue(NOON + timedelta(minutes=61))
    assert board.order(record_id(ORDER)).reports == ((NOON, "done", "all out", "tester"),)


def test_a_report_on_an_order_that_is_not_there_is_left_out() -> None:
    stray = Report(time=NOON, subject="move", order="order-0", state="done")
    board = Board(entries(stray))
    assert board.orders == {}
    with pytest.raises(NotFound, match="no order 'order-0'"):
        board.order("order-0")


def test_the_decision_on_a_comparison_is_found_by_its_cause() -> None:
    compared = Comparison(time=NOON, subject="flood", forecast="f", futures=1, scores=(), recommended="wait", reason="", doubt="")
    decided = Decision(
        time=NOON,
        subject="wait",
        cause=(record_id(compared),),
        plan="wait",
        plan_digest="0",
        verdict="approve",
        comment="",
        signer="ada",
        public_key="00",
    )
    board = Board(entries(compared, decided))
    assert board.decision_on(record_id(compared)) == record_id(decided)
    assert board.decision_on("comparison-0") is None


def test_the_last_that_an_agency_said_of_an_event_is_on_the_board_and_of_very_many_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(subject: str, minutes: int, headline: str = "") -> Bulletin:
        return Bulletin(
            time=NOON + timedelta(minutes=minutes), subject=subject, source="firms", revision=str(minutes), state="issued",
            status="actual", event="fire detection", sender="FIRMS", headline=headline, text="as it came",
        )  # fmt: skip

    board = Board(entries(told("a", 5, "later"), told("a", 1, "earlier"), told("b", 2)))
    assert {event: one.headline for event, one in board.bulletins.items()} == {("firms", "a"): "later", ("firms", "b"): ""}
    assert board.bulletins["firms", "a"].text == ""
    monkeypatch.setattr("tocsin.flows.board.BULLETINS_MOST", 4)
    board = Board(entries(*[told(f"{minute}", minute) for minute in range(5)]))
    assert [subject for _, subject in board.bulletins] == ["2", "3", "4"]
