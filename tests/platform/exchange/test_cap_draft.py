"""The life of a message: drafted, released by a person, updated, cancelled; and an exercise that never looks real."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import msgspec
import pytest
from cap_example import CENTRE, ENGLISH, PORTUGUESE, SENT, SQUARE, draft

from tocsin.platform.exchange import (
    MEANINGS,
    Alert,
    Area,
    Category,
    Certainty,
    Circle,
    MsgType,
    NamedValue,
    Polygon,
    Reference,
    ResponseType,
    Severity,
    Status,
    Urgency,
    advice,
    cancel,
    certainty_of,
    faults,
    release,
    update,
)
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.level import Level

HOUR = timedelta(hours=1)


def sent_out(alert: Alert, *, hours: int = 0, follows: tuple[Alert, ...] = ()) -> Alert:
    return release(alert, status=Status.ACTUAL, sent=SENT + hours * HOUR, follows=follows)


def fresh(number: int) -> Alert:
    """Another draft, so many hours after the first."""
    return draft(identifier=f"poa-2024-00{number + 1}", sent=SENT + number * HOUR, onset=None)


def test_a_draft_is_a_draft_unless_told_otherwise() -> None:
    assert draft().status is Status.DRAFT


def test_nothing_is_drafted_as_actual() -> None:
    with pytest.raises(InputError, match="a person approves"):
        draft(status=Status.ACTUAL)


@pytest.mark.parametrize(
    ("level", "severity", "urgency", "certainty", "awareness"),
    [
        (Level.BLUE, Severity.MINOR, Urgency.FUTURE, Certainty.POSSIBLE, None),
        (Level.YELLOW, Severity.MODERATE, Urgency.FUTURE, Certainty.POSSIBLE, "2; yellow; Moderate"),
        (Level.ORANGE, Severity.SEVERE, Urgency.EXPECTED, Certainty.LIKELY, "3; orange; Severe"),
        (Level.RED, Severity.EXTREME, Urgency.IMMEDIATE, Certainty.LIKELY, "4; red; Extreme"),
    ],
)
def test_a_level_says_how_bad_how_soon_and_how_sure(
    level: Level, severity: Severity, urgency: Urgency, certainty: Certainty, awareness: str | None
) -> None:
    for info in draft(level=level).info:
        assert (info.severity, info.urgency, info.certainty) == (severity, urgency, certainty)
        said = {pair.name: pair.value for pair in info.parameter}
        assert said["tocsin:level"] == f"{int(level)}; {level.name.lower()}"
        assert said.get("awareness_level") == awareness
        assert info.response_type == (MEANINGS[level].response,)


def test_a_worse_level_is_never_said_more_mildly() -> None:
    severities, urgencies = list(Severity), list(Urgency)
    ladder = [MEANINGS[level] for level in (Level.BLUE, Level.YELLOW, Level.ORANGE, Level.RED)]
    for mild, worse in pairwise(ladder):
        assert severities.index(worse.severity) < severities.index(mild.severity)
        assert urgencies.index(worse.urgency) <= urgencies.index(mild.urgency)


@pytest.mark.parametrize("level", [Level.NONE, Level.BLIND])
def test_what_is_no_warning_is_not_drafted(level: Level) -> None:
    with pytest.raises(InputError, match="wanted blue, yellow, orange or red"):
        draft(level=level)


def test_a_person_or_a_plan_may_say_otherwise_than_the_level() -> None:
    (info, _) = draft(
        certainty=Certainty.OBSERVED, urgency=Urgency.IMMEDIATE, severity=Severity.EXTREME, responses=(ResponseType.EVACUATE,)
    ).info
    assert (info.certainty, info.urgency, info.severity) == (Certainty.OBSERVED, Urgency.IMMEDIATE, Severity.EXTREME)
    assert info.response_type == (ResponseType.EVACUATE,)


def test_a_chance_of_more_than_half_is_likely() -> None:
    assert [certainty_of(chance) for chance in (0.0, 0.02, 0.5, 0.52, 1.0)] == [
        Certainty.UNLIKELY,
        Certainty.POSSIBLE,
        Certainty.POSSIBLE,
        Certainty.LIKELY,
        Certainty.LIKELY,
    ]
    with pytest.raises(InputError, match="chance"):
        certainty_of(float("nan"))


def test_each_language_has_its_own_info_and_its_own_area_names() -> None:
    english = msgspec.structs.replace(ENGLISH, area_names=("Historic centre",))
    alert = draft(words=(PORTUGUESE, english))
    assert [info.language for info in alert.info] == ["pt-BR", "en"]
    assert [info.area[0].description for info in alert.info] == ["Centro Histórico", "Historic centre"]
    assert alert.info[0].area[0].polygons == alert.info[1].area[0].polygons


def test_a_language_said_twice_or_names_for_other_areas_are_refused() -> None:
    with pytest.raises(InputError, match="each once"):
        draft(words=(ENGLISH, msgspec.structs.replace(ENGLISH, language="EN")))
    with pytest.raises(InputError, match="each once"):
        draft(words=())
    with pytest.raises(InputError, match="2 area names for 1 areas"):
        draft(words=(msgspec.structs.replace(ENGLISH, area_names=("a", "b")),))


def test_times_lose_their_fractions_without_shortening_the_warning() -> None:
    alert = draft(sent=SENT + timedelta(microseconds=900_000), expires=SENT + 12 * HOUR + timedelta(microseconds=1))
    assert alert.sent == SENT
    assert alert.info[0].expires == SENT + 12 * HOUR + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"expires": SENT}, "expires"),
        ({"expires": SENT + 3 * HOUR}, "no end that can be right"),  # it begins then
        ({"expires": SENT + timedelta(days=32)}, "no end that can be right"),
        ({"onset": SENT - timedelta(seconds=1)}, "before it is sent"),
        ({"certainty": Certainty.UNKNOWN}, "Unknown helps nobody"),
        ({"areas": ()}, "nowhere"),
        ({"areas": (Area(description="somewhere"),)}, "no shape and no code"),
        ({"words": (msgspec.structs.replace(ENGLISH, headline=" "),)}, "nothing to read"),
        ({"words": (msgspec.structs.replace(ENGLISH, description=""),)}, "nothing to read"),
    ],
)
def test_a_draft_that_would_mislead_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        draft(**change)


def test_an_outline_of_more_than_100_corners_is_refused() -> None:
    points = [(-51.0 + 0.001 * step, -30.0) for step in range(100)] + [(-51.0, -29.9), (-51.0, -30.0)]
    with pytest.raises(InputError, match="too many corners"):
        draft(areas=(Area(description="long", polygons=(Polygon(tuple(points)),)),))


def test_advice_stops_nothing_but_names_what_a_person_should_see() -> None:
    loud = msgspec.structs.replace(ENGLISH, headline="x" * 161, event="y" * 36, instruction="")
    coded = Area(description="Porto Alegre", geocodes=(NamedValue("IBGE", "4314902"),))
    alert = draft(words=(loud,), areas=(coded,), expires=SENT + timedelta(days=2))
    assert [note.where.rpartition("/")[2] for note in advice(alert)] == ["headline", "event", "instruction", "expires", "area"]
    assert advice(draft()) == ()


@pytest.mark.parametrize(("status", "name"), [(Status.EXERCISE, "EXERCISE: Rio Doce"), (Status.TEST, "TEST: Rio Doce")])
def test_what_is_not_real_says_so_before_every_headline_and_in_the_note(status: Status, name: str) -> None:
    marks = {"pt-BR": "EXERCÍCIO: ", "en": "EXERCISE: "} if status is Status.EXERCISE else {"pt-BR": "TESTE: ", "en": "TEST: "}
    for alert in (draft(status=status, exercise="Rio Doce"), release(draft(), status=status, sent=SENT, exercise="Rio Doce")):
        assert alert.status is status
        assert alert.note == name
        for info in alert.info:
            assert info.headline.startswith(marks[info.language])
            assert info.description.startswith(marks[info.language])


def test_an_exercise_without_a_name_is_refused() -> None:
    with pytest.raises(InputError, match="without a name"):
        draft(status=Status.EXERCISE)


def test_an_exercise_that_looks_real_is_a_fault() -> None:
    real = msgspec.structs.replace(draft(), status=Status.EXERCISE)
    assert {fault.where for fault in faults(real)} == {"alert/note", "alert/info[1]/headline", "alert/info[2]/headline"}


def test_a_language_without_a_mark_of_its_own_gets_the_english_one() -> None:
    finnish = msgspec.structs.replace(ENGLISH, language="fi", headline="Tulva")
    (info,) = draft(status=Status.TEST, words=(finnish,)).info
    assert info.headline == "TEST: Tulva"


def test_release_makes_it_actual_at_the_moment_of_sending() -> None:
    alert = release(draft(), status=Status.ACTUAL, sent=SENT + timedelta(minutes=7))
    assert (alert.status, alert.sent) == (Status.ACTUAL, SENT + timedelta(minutes=7))
    assert alert.info == draft().info


def test_an_onset_that_passed_while_the_draft_waited_becomes_the_moment_of_sending() -> None:
    alert = sent_out(draft(), hours=4)
    assert alert.info[0].onset == alert.sent


def test_a_draft_that_ended_while_it_waited_is_not_released() -> None:
    with pytest.raises(InputError, match="expires"):
        sent_out(draft(), hours=12)


def test_only_a_draft_is_released_and_not_into_a_draft() -> None:
    with pytest.raises(InputError, match="wanted from Draft to another"):
        release(sent_out(draft()), status=Status.ACTUAL, sent=SENT)
    with pytest.raises(InputError, match="wanted from Draft to another"):
        release(draft(), status=Status.DRAFT, sent=SENT)


def test_an_update_names_every_earlier_message() -> None:
    first = sent_out(draft())
    second = sent_out(update(first, fresh(1)), hours=1, follows=(first,))
    third = update(second, fresh(2))
    assert third.msg_type is MsgType.UPDATE
    assert third.references == (
        Reference("defesa@example.org", "poa-2024-001", SENT),
        Reference("defesa@example.org", "poa-2024-002", SENT + HOUR),
    )


def test_an_update_may_replace_two_warnings_at_once() -> None:
    north, south = sent_out(draft(identifier="north")), sent_out(draft(identifier="south"))
    assert [reference.identifier for reference in update(north, fresh(1), also=(south,)).references] == ["north", "south"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sender": "other@example.org"}, "sender"),
        ({"identifier": "poa-2024-001"}, "another identifier"),
        ({"sent": SENT}, "another identifier, after"),
    ],
)
def test_an_update_comes_later_from_the_same_sender_under_another_name(change: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        update(sent_out(draft()), msgspec.structs.replace(fresh(1), **change))


def test_what_was_never_sent_or_no_longer_stands_is_not_updated() -> None:
    with pytest.raises(InputError, match="Draft Alert"):
        update(draft(), fresh(1))
    first = sent_out(draft())
    gone = sent_out(cancel(first, identifier="c", sent=SENT + HOUR, reason="It passed."), hours=1, follows=(first,))
    with pytest.raises(InputError, match="Actual Cancel"):
        update(gone, fresh(2))


def test_a_cancel_tells_the_all_clear_for_the_same_ground() -> None:
    first = sent_out(draft())
    clear = msgspec.structs.replace(ENGLISH, headline="All clear", description="The water has gone.", instruction="")
    alert = cancel(first, identifier="c", sent=SENT + HOUR, reason="It passed.", words=(clear,), expires=SENT + 3 * HOUR)
    assert (alert.status, alert.msg_type, alert.note) == (Status.DRAFT, MsgType.CANCEL, "It passed.")
    assert alert.references == (first.reference,)
    (info,) = alert.info
    assert (info.urgency, info.response_type, info.headline) == (Urgency.PAST, (ResponseType.ALL_CLEAR,), "All clear")
    assert info.category == (Category.MET,)
    assert info.area == (CENTRE,)
    assert not any("level" in pair.name for pair in info.parameter)


def test_a_cancel_may_be_silent_but_not_without_a_reason() -> None:
    first = sent_out(draft())
    assert cancel(first, identifier="c", sent=SENT + HOUR, reason="Sent by mistake.").info == ()
    with pytest.raises(InputError, match="no reason"):
        cancel(first, identifier="c", sent=SENT + HOUR, reason=" ")
    with pytest.raises(InputError, match="no expires"):
        cancel(first, identifier="c", sent=SENT + HOUR, reason="It passed.", words=(ENGLISH,))


def test_words_of_a_cancel_need_ground_to_speak_of() -> None:
    silent = msgspec.structs.replace(sent_out(draft()), info=())
    with pytest.raises(InputError, match="no info"):
        cancel(silent, identifier="c", sent=SENT + HOUR, reason="x", words=(ENGLISH,), expires=SENT + 2 * HOUR)


def test_an_exercise_never_cancels_a_real_warning() -> None:
    real = sent_out(draft())
    draft_cancel = cancel(real, identifier="c", sent=SENT + HOUR, reason="It passed.")
    with pytest.raises(InputError, match="differ in status"):
        release(draft_cancel, status=Status.EXERCISE, sent=SENT + HOUR, follows=(real,), exercise="Rio Doce")
    with pytest.raises(InputError, match="all that it names"):
        release(draft_cancel, status=Status.ACTUAL, sent=SENT + HOUR)
    assert release(draft_cancel, status=Status.ACTUAL, sent=SENT + HOUR, follows=(real,)).msg_type is MsgType.CANCEL


def test_an_update_is_not_released_before_what_it_updates() -> None:
    first = sent_out(draft(), hours=2)
    later = update(first, fresh(3))
    with pytest.raises(InputError, match="later than"):
        release(later, status=Status.ACTUAL, sent=SENT + 2 * HOUR, follows=(first,))


def test_a_circle_is_ground_enough() -> None:
    spill = Area(description="Refinery", circles=(Circle(lon=-51.2, lat=-29.9, radius_km=1.5),))
    assert draft(areas=(spill,), category=Category.CBRNE).info[0].area == (spill,)


def test_the_square_of_these_tests_lies_in_porto_alegre() -> None:
    assert all(-52 < lon < -51 and -31 < lat < -29 for lon, lat in SQUARE.points)
