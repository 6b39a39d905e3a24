"""Rules on bulletins: what an agency says becomes a warning, what it revises or takes back changes or ends it, and nothing else does."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from edge_host import EDGE, START, MemoryLedger
from edge_host import TestHost as Host

from tocsin.edge import Latest, Node, Watch
from tocsin.edge.bulletin_watch import BulletinWatch, judged_statuses
from tocsin.edge.settings import Settings, read_sensing, read_settings
from tocsin.pack.ready_rules.bulletin import (
    BulletinRule,
    Finding,
    Place,
    Sighting,
    Strength,
    earthquake,
    fire_detection,
    official_alert,
)
from tocsin.pack.sense import Trust
from tocsin.vocabulary import (
    Bulletin,
    BulletinPart,
    InputError,
    Level,
    SensorFault,
    Unavailable,
    Warning,
    decode_record,
    encode_record,
    record_id,
)

TOWN = {"town": Place(lon=13.0, lat=51.0)}
STEPS = (
    Strength(level="yellow", magnitude=4.0, within_km=100.0),
    Strength(level="orange", magnitude=5.0, within_km=100.0),
    Strength(level="red", magnitude=6.0, within_km=50.0),
)
NEAR = earthquake("quake_near", TOWN, STEPS, lasts_h=24.0, source="a test")
LEVELS = {"extreme": "red", "severe": "orange", "moderate": "yellow", "minor": "blue"}
HERE = official_alert("alert_here", TOWN, LEVELS, lasts_h=6.0, source="a test", codes={"town": ["EMMA_ID=DE1*"]})


def quake(
    magnitude: float | None,
    *,
    km: float = 20.0,
    name: str = "usgs:a",
    minutes: float = 0.0,
    state: str = "issued",
    status: str = "actual",
    event: str = "earthquake",
) -> Bulletin:
    """An earthquake north of the town, `minutes` after it was first told."""
    return Bulletin(
        time=START + timedelta(minutes=minutes),
        subject=name,
        source="usgs",
        revision=f"{minutes}",
        state=state,
        status=status,
        event=event,
        sender="us",
        headline=f"M {magnitude} somewhere",
        begins=START,
        longitude=13.0,
        latitude=51.0 + km / 111.195,
        figures={} if magnitude is None else {"magnitude": magnitude},
    )


def square(lon: float, lat: float, half: float) -> tuple[tuple[float, float], ...]:
    return (
        (lon - half, lat - half),
        (lon + half, lat - half),
        (lon + half, lat + half),
        (lon - half, lat + half),
        (lon - half, lat - half),
    )


def part(severity: str = "severe", **other: object) -> BulletinPart:
    told: dict[str, object] = {
        "event": "Flood Warning",
        "severity": severity,
        "urgency": "immediate",
        "certainty": "observed",
        "area": "Upper valley",
        "rings": (square(13.0, 51.0, 0.2),),
        "ends": START + timedelta(hours=3),
    }
    return BulletinPart(**{**told, **other})  # type: ignore[arg-type]


def alert(
    *parts: BulletinPart, minutes: float = 0.0, state: str = "issued", status: str = "actual", name: str = "cap:a"
) -> Bulletin:
    return Bulletin(
        time=START + timedelta(minutes=minutes),
        subject=name,
        source="nws",
        revision=f"{minutes}",
        state=state,
        status=status,
        event="Flood Warning",
        sender="NWS",
        headline="Flood warning for the valley",
        parts=parts,
    )


class Desk:
    """A watch with its ledger: tell it bulletins, let time pass, read its warnings."""

    def __init__(self, *rules: BulletinRule, purpose: str = "actual") -> None:
        self.rules, self.purpose, self.now = rules, purpose, START
        self.ledger = MemoryLedger(lambda: self.now)
        self.watch = BulletinWatch({"trial": rules}, statuses=judged_statuses(purpose))

    def tell(self, *records: Bulletin | Warning | SensorFault) -> None:
        self.ledger.append(EDGE, records)
        self.watch.learn(records)

    def look(self, *, minutes: float | None = None) -> list[Warning | SensorFault]:
        if minutes is not None:
            self.now = START + timedelta(minutes=minutes)
        told = self.watch.look(self.now)
        self.tell(*told)  # type: ignore[arg-type]
        return list(told)  # type: ignore[arg-type]

    def begin_anew(self) -> None:
        self.watch = BulletinWatch({"trial": self.rules}, statuses=judged_statuses(self.purpose))
        self.watch.learn(entry.record for entry in self.ledger.read())

    def levels(self) -> list[Level]:
        return [entry.record.level for entry in self.ledger.read() if isinstance(entry.record, Warning)]


SEEN = fire_detection(
    "fire_near",
    TOWN,
    [Sighting(level="yellow", confidence="nominal", within_km=20.0), Sighting(level="red", confidence="high", within_km=5.0)],
    lasts_h=12.0,
    source="a test",
)


def detection(grade: float | None, *, km: float = 4.0, event: str = "fire detection", state: str = "issued") -> Bulletin:
    """What a satellite sees north of the town."""
    return msgspec.structs.replace(
        quake(None, km=km, event=event, state=state), figures={} if grade is None else {"confidence_class": grade, "frp_mw": 81.0}
    )


@pytest.mark.parametrize(
    ("grade", "km", "level"),
    [
        (2.0, 4.0, Level.RED),
        (2.0, 6.0, Level.YELLOW),
        (1.0, 4.0, Level.YELLOW),
        (1.0, 21.0, Level.NONE),
        (0.0, 4.0, Level.NONE),
        (None, 4.0, Level.NONE),
    ],
)
def test_a_fire_that_is_seen_is_judged_by_confidence_and_distance(grade: float | None, km: float, level: Level) -> None:
    (found,) = SEEN.judge(detection(grade, km=km), START)
    assert found.level == level
    assert (found.value, "a fire" in found.reason) == ((81.0, True) if level else (None, False))


def test_a_fire_that_was_seen_counts_for_its_hours_and_what_is_none_never() -> None:
    for hours, level in ((11.9, Level.RED), (12.0, Level.NONE)):
        assert SEEN.judge(detection(2.0), START + timedelta(hours=hours))[0].level == level
    for other in (detection(2.0, event="earthquake"), detection(2.0, state="cancelled")):
        assert SEEN.judge(other, START)[0].level == Level.NONE


@pytest.mark.parametrize(
    ("step", "words"),
    [({"level": "pink"}, "level 'pink'"), ({"confidence": "sure"}, "confidence 'sure'"), ({"within_km": 0.0}, "within_km 0.0")],
)
def test_what_is_wrong_in_a_step_of_a_fire_rule_is_said(step: dict[str, Any], words: str) -> None:
    told = {"level": "red", "confidence": "high", "within_km": 5.0, **step}
    with pytest.raises(InputError, match=words):
        fire_detection("fire_near", TOWN, [Sighting(**told)], lasts_h=1.0, source="a test")


@pytest.mark.parametrize(
    ("magnitude", "km", "level"),
    [
        (3.9, 20.0, Level.NONE),
        (4.0, 20.0, Level.YELLOW),
        (5.5, 99.0, Level.ORANGE),
        (5.5, 101.0, Level.NONE),
        (6.5, 20.0, Level.RED),
        (6.5, 60.0, Level.ORANGE),
        (None, 20.0, Level.BLIND),
        (None, 101.0, Level.NONE),
    ],
)
def test_an_earthquake_is_judged_by_magnitude_and_distance(magnitude: float | None, km: float, level: Level) -> None:
    (found,) = NEAR.judge(quake(magnitude, km=km), START)
    assert found.level == level


def test_a_warning_of_an_earthquake_names_its_bulletin_and_says_how_strong_how_far_and_which_step() -> None:
    desk, told = Desk(NEAR), quake(5.2, km=20.0)
    desk.tell(told)
    (warning,) = desk.look()
    assert isinstance(warning, Warning)
    assert (warning.subject, warning.level, warning.before, warning.cause) == (
        "town",
        Level.ORANGE,
        Level.NONE,
        (record_id(told),),
    )
    assert (warning.value, warning.public, warning.hazard, warning.rule) == (5.2, False, "trial", "quake_near")
    assert re.search(r"M 5.2 20 km from town.*orange step is M 5 within 100 km", warning.reason)
    assert desk.look() == []


def test_a_revision_changes_the_warning_and_a_deletion_ends_it_with_its_own_bulletin_as_cause() -> None:
    desk = Desk(NEAR)
    for told, level in (
        (quake(5.2), Level.ORANGE),
        (quake(6.1, minutes=10), Level.RED),
        (quake(4.2, minutes=20), Level.YELLOW),
        (quake(4.2, minutes=30, state="cancelled"), Level.NONE),
    ):
        desk.tell(told)
        (warning,) = desk.look()
        assert isinstance(warning, Warning)
        assert warning.level == level
        assert warning.cause[0] == record_id(told)
    assert "cancelled by us" in warning.reason
    assert desk.look() == []


def test_a_revision_that_is_older_than_what_is_known_changes_nothing() -> None:
    desk = Desk(NEAR)
    desk.tell(quake(6.1, minutes=10))
    desk.look()
    desk.tell(quake(4.0, minutes=5))
    assert desk.look() == []


def test_an_earthquake_is_over_after_its_hours() -> None:
    desk = Desk(NEAR)
    desk.tell(quake(5.2))
    desk.look()
    assert desk.look(minutes=24 * 60 - 1) == []
    (warning,) = desk.look(minutes=24 * 60)
    assert isinstance(warning, Warning)
    assert (warning.level, warning.before) == (Level.NONE, Level.ORANGE)
    assert "over" in warning.reason


def test_a_second_earthquake_as_strong_is_told_too_and_a_weaker_one_is_not() -> None:
    desk = Desk(NEAR)
    desk.tell(quake(5.2))
    desk.look()
    desk.tell(quake(5.5, name="usgs:b", minutes=60))
    (again,) = desk.look()
    assert isinstance(again, Warning)
    assert (again.level, again.before) == (Level.ORANGE, Level.ORANGE)
    desk.tell(quake(4.2, name="usgs:c", minutes=90))
    assert desk.look() == []
    desk.begin_anew()
    assert desk.look() == []
    desk.tell(quake(5.5, name="usgs:b", minutes=100, state="cancelled"))
    assert desk.look() == []  # the first still holds, and was told
    desk.tell(quake(5.2, minutes=110, state="cancelled"))
    (left,) = desk.look()
    assert isinstance(left, Warning)
    assert (left.level, left.before) == (Level.YELLOW, Level.ORANGE)


def test_an_explosion_in_a_quarry_is_no_earthquake_unless_it_is_asked_for() -> None:
    assert NEAR.judge(quake(5.2, event="quarry blast"), START)[0].level == Level.NONE
    both = earthquake("q", TOWN, STEPS, lasts_h=24.0, source="a test", events=("earthquake", "quarry blast"))
    assert both.judge(quake(5.2, event="quarry blast"), START)[0].level == Level.ORANGE


def test_a_deep_earthquake_can_be_left_out() -> None:
    shallow = earthquake("q", TOWN, STEPS, lasts_h=24.0, source="a test", depth_km_most=70.0)
    for depth_km, level in ((69.0, Level.ORANGE), (71.0, Level.NONE)):
        told = msgspec.structs.replace(quake(5.2), figures={"magnitude": 5.2, "depth_km": depth_km})
        assert shallow.judge(told, START)[0].level == level


def test_the_distance_of_a_place_with_a_radius_and_of_a_box_is_from_its_edge() -> None:
    assert Place(lon=13.0, lat=51.0, radius_km=15.0).distance_km(13.0, 51.0 + 20.0 / 111.195) == pytest.approx(5.0, abs=0.01)
    box = Place.of_box(12.9, 50.9, 13.1, 51.1)
    assert box.distance_km(13.0, 51.0) == 0.0
    assert box.distance_km(13.0, 51.1 + 20.0 / 111.195) == pytest.approx(20.0, abs=0.01)
    over = Place.of_box(179.0, -1.0, 180.0, 1.0)
    assert over.distance_km(-179.0, 0.0) == pytest.approx(111.195, abs=0.01)


@pytest.mark.parametrize(
    ("told", "level"),
    [
        (part("severe"), Level.ORANGE),
        (part("extreme"), Level.RED),
        (part("unknown"), Level.NONE),
        (part(urgency="past"), Level.NONE),
        (part(certainty="unlikely"), Level.NONE),
        (part(responses=("allclear",)), Level.NONE),
        (part(ends=START), Level.NONE),
        (part(ends=None), Level.ORANGE),
        (part(rings=(square(14.0, 51.0, 0.2),)), Level.NONE),
        (part(rings=(square(14.0, 51.0, 0.2), square(13.0, 51.0, 0.1))), Level.ORANGE),
        (part(rings=(), circles=((13.0, 51.5, 60.0),)), Level.ORANGE),
        (part(rings=(), circles=((13.0, 51.5, 50.0),)), Level.NONE),
        (part(rings=(), codes=("EMMA_ID=DE123",)), Level.ORANGE),
        (part(rings=(), codes=("EMMA_ID=DE923",)), Level.NONE),
        (part(rings=()), Level.NONE),
    ],
)
def test_an_alert_is_judged_by_how_grave_soon_and_sure_it_is_and_where(told: BulletinPart, level: Level) -> None:
    (found,) = HERE.judge(alert(told), START)
    assert found.level == level


def test_an_alert_that_names_its_area_in_words_only_is_found_by_words() -> None:
    by_words = official_alert("a", {}, LEVELS, lasts_h=6.0, source="a test", words={"town": ["*valley*"]})
    assert by_words.judge(alert(part(rings=())), START)[0].level == Level.ORANGE
    assert by_words.judge(alert(part(rings=(), area="Coast")), START)[0].level == Level.NONE


def test_only_events_that_are_asked_for_count() -> None:
    floods = official_alert("a", TOWN, LEVELS, lasts_h=6.0, source="a test", events=("*flood*",))
    assert floods.judge(alert(part()), START)[0].level == Level.ORANGE
    assert floods.judge(alert(part(event="Wind Advisory")), START)[0].level == Level.NONE


def test_of_several_infos_the_gravest_that_is_here_counts() -> None:
    far = part("extreme", rings=(square(20.0, 51.0, 0.2),))
    assert HERE.judge(alert(far, part("moderate"), part("severe")), START)[0].level == Level.ORANGE


def test_an_alert_that_does_not_say_when_it_ends_holds_for_the_hours_of_the_rule() -> None:
    told = alert(part(ends=None))
    assert HERE.judge(told, START + timedelta(hours=5, minutes=59))[0].level == Level.ORANGE
    assert HERE.judge(told, START + timedelta(hours=6))[0].level == Level.NONE


def test_an_alert_ends_by_its_cancel_by_its_time_and_by_what_replaced_it() -> None:
    for state in ("cancelled", "replaced"):
        desk = Desk(HERE)
        desk.tell(alert(part()))
        desk.look()
        desk.tell(alert(minutes=10, state=state))
        (warning,) = desk.look(minutes=10)
        assert isinstance(warning, Warning)
        assert (warning.level, state in warning.reason) == (Level.NONE, True)
    desk = Desk(HERE)
    desk.tell(alert(part()))
    desk.look()
    (warning,) = desk.look(minutes=180)
    assert isinstance(warning, Warning)
    assert warning.level == Level.NONE


def test_where_one_alert_ends_and_a_milder_one_holds_the_level_falls_to_that() -> None:
    desk = Desk(HERE)
    desk.tell(alert(part("extreme")), alert(part("moderate"), name="cap:b"))
    (first,) = desk.look()
    desk.tell(alert(minutes=10, state="cancelled"))
    (second,) = desk.look(minutes=10)
    assert isinstance(first, Warning)
    assert isinstance(second, Warning)
    assert (first.level, second.level, second.before) == (Level.RED, Level.YELLOW, Level.RED)


@pytest.mark.parametrize("status", ["exercise", "test", "system", "draft", "unknown", ""])
def test_what_is_not_actual_raises_no_warning(status: str) -> None:
    desk = Desk(HERE, NEAR)
    desk.tell(alert(part("extreme"), status=status), quake(9.0, status=status))
    assert desk.look() == []


@pytest.mark.parametrize("status", ["exercise", "test"])
def test_what_is_not_actual_ends_no_warning_either(status: str) -> None:
    """A cancel that is only exercised must not lift an alert that is real."""
    desk = Desk(HERE)
    desk.tell(alert(part()))
    desk.look()
    desk.tell(alert(minutes=10, state="cancelled", status=status))
    assert desk.look(minutes=10) == []


def test_an_exercise_is_judged_on_a_node_that_is_one_and_a_test_never() -> None:
    for status, levels in (("exercise", [Level.RED]), ("actual", [Level.RED]), ("test", [])):
        desk = Desk(HERE, purpose="exercise")
        desk.tell(alert(part("extreme"), status=status))
        desk.look()
        assert desk.levels() == levels
    assert judged_statuses("demo") == judged_statuses("actual") == frozenset({"actual"})


def test_a_crash_between_a_bulletin_and_its_warning_costs_nothing() -> None:
    desk = Desk(NEAR, HERE)
    desk.tell(quake(6.5), alert(part()))
    desk.begin_anew()
    assert sorted(one.level for one in desk.look() if isinstance(one, Warning)) == [Level.ORANGE, Level.RED]
    desk.begin_anew()
    assert desk.look() == []
    desk.tell(alert(minutes=10, state="cancelled"))
    desk.begin_anew()
    (warning,) = desk.look(minutes=10)
    assert isinstance(warning, Warning)
    assert (warning.level, warning.before) == (Level.NONE, Level.ORANGE)


def test_what_is_over_is_forgotten() -> None:
    desk = Desk(NEAR)
    for number in range(50):
        desk.tell(quake(5.2, name=f"usgs:{number}"))
    desk.look()
    desk.look(minutes=24 * 60)
    desk.look(minutes=24 * 60 + 1)
    assert desk.watch._events == {}
    assert desk.watch._event_of == {}


def test_of_very_many_events_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.edge.bulletin_watch.EVENTS_MOST", 20)
    desk = Desk(NEAR)
    for number in range(100):
        desk.tell(quake(5.2, name=f"usgs:{number}", minutes=number))
    assert len(desk.watch._events) <= 20
    assert ("usgs", "usgs:99") in desk.watch._events


def test_a_rule_that_breaks_is_told_once_and_stops_no_other() -> None:
    is_broken = [True]

    def judge(bulletin: Bulletin, now: datetime) -> tuple[Finding, ...]:
        if is_broken[0]:
            raise ValueError("oh")
        return NEAR.judge(bulletin, now)

    desk = Desk(BulletinRule("bad", ("town",), judge, "", "a test", False), NEAR)
    desk.tell(quake(5.2))
    fault, warning = desk.look()
    assert isinstance(fault, SensorFault)
    assert (fault.subject, fault.reason) == ("rule bad", "ValueError: oh")
    assert isinstance(warning, Warning)
    assert desk.look() == []
    is_broken[0] = False
    healed, late = desk.look()
    assert isinstance(healed, SensorFault)
    assert healed.healed
    assert isinstance(late, Warning)
    assert late.rule == "bad"


def test_a_bulletin_without_parts_keeps_the_name_that_it_had_before_there_were_any() -> None:
    """Old ledgers name their bulletins by content; a field that is not there must not be spelt."""
    old = quake(5.2)
    assert b"parts" not in encode_record(old)
    assert record_id(decode_record(encode_record(old))) == record_id(old)
    new = alert(part())
    assert decode_record(encode_record(new)) == new


SETTINGS = """
[node]
name = "n"
data = "d"
[[rule]]
kind = "earthquake"
name = "quake_near"
hazard = "earthquake"
source = "plan of the town"
lasts_h = 24
[rule.places]
town = [13.0, 51.0]
dam = [13.5, 51.0, 5.0]
[[rule.steps]]
level = "yellow"
magnitude = 4.0
within_km = 100
[[rule.steps]]
level = "red"
magnitude = 6.0
within_km = 50
[[rule]]
kind = "official_alert"
name = "alert_here"
hazard = "flood"
source = "plan of the town"
lasts_h = 6
events = ["*flood*"]
[rule.places]
town = [13.0, 51.0]
[rule.codes]
town = ["EMMA_ID=DE1*"]
[rule.levels]
extreme = "red"
severe = "orange"
"""


def read(folder: Path, text: str) -> Settings:
    path = folder / "edge.toml"
    path.write_text(text)
    return read_settings(path)


def node_of(settings: Settings, host: Host) -> Node:
    latest = Latest()
    watch = Watch(settings.rules, latest, since=START, bulletins=BulletinWatch(settings.bulletin_rules))
    return Node(host, EDGE, latest=latest, watch=watch)  # type: ignore[arg-type]


def test_from_toml_and_a_collector_to_a_warning_in_the_ledger(tmp_path: Path) -> None:
    host = Host()
    node = node_of(read(tmp_path, SETTINGS), host)
    asyncio.run(node._store([(quake(6.2), alert(part()))]))
    told = [entry.record for entry in host.ledger.read() if isinstance(entry.record, Warning)]
    assert [(one.rule, one.subject, one.level) for one in told] == [
        ("quake_near", "town", Level.RED),
        ("quake_near", "dam", Level.RED),
        ("alert_here", "town", Level.ORANGE),
    ]
    assert node.watch.bulletins.level("quake_near", "dam") == Level.RED


def test_a_bulletin_whose_warning_could_not_be_written_is_judged_at_the_next_look(tmp_path: Path) -> None:
    host = Host()
    node = node_of(read(tmp_path, SETTINGS), host)
    append, count = host.ledger.append, [0]

    def fails_once(actor: object, records: object) -> tuple[str, ...]:
        count[0] += 1
        if count[0] == 2:
            raise Unavailable("ledger: for this test")
        return append(actor, records)  # type: ignore[arg-type]

    host.ledger.append = fails_once  # type: ignore[method-assign, assignment]
    with pytest.raises(Unavailable):
        node._take_bulletins([quake(6.2)])
    node.look()
    assert [e.record.level for e in host.ledger.read() if isinstance(e.record, Warning)] == [Level.RED, Level.RED]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("town = [13.0, 51.0]\ndam", "town = [13.0]\ndam", r"line \d+: \[\[rule\]\] number 1, places: .*\[longitude, latitude\]"),
        ("town = [13.0, 51.0]\ndam", "town = [13.0, 151.0]\ndam", r"number 1.*place \[13.0, 151.0, 0.0\]"),
        ('level = "yellow"', 'level = "pink"', r"number 1, steps: .*level 'pink'; wanted blue"),
        ("within_km = 100", "within_km = 0", r"number 1, steps: .*within_km 0"),
        ("within_km = 100", "within_miles = 100", r"number 1, steps: .*unknown field `within_miles`"),
        ("lasts_h = 24", "lasts_h = 0", r"number 1, lasts_h: .*wanted hours > 0"),
        ("lasts_h = 24\n", "", r"lasts_h is missing"),
        ("lasts_h = 24\n", "lasts_h = 24\ntwin = true\n", r"number 1, twin: .*there is no twin here"),
        ("lasts_h = 24\n", "lasts_h = 24\nmagnitude = 4\n", r"number 1, magnitude: unknown key"),
        ('extreme = "red"', 'extrem = "red"', r"number 2, levels: .*wanted some of extreme"),
        ('extreme = "red"', 'extreme = "purple"', r"number 2, levels: .*'purple'; wanted blue"),
        ('[rule.codes]\ntown = ["EMMA_ID=DE1*"]\n', "", r"number 2, codes: .*shapes_only = true|number 2.*shapes_only = true"),
        ('events = ["*flood*"]', "events = []", r"number 2, events: .*wanted patterns"),
        ('events = ["*flood*"]', 'urgencies = ["now"]', r"number 2, urgencies: .*wanted some of immediate"),
        ('name = "alert_here"', 'name = "quake_near"', r"two rules are named 'quake_near'"),
    ],
)
def test_what_is_wrong_in_a_rule_on_bulletins_is_said(tmp_path: Path, before: str, after: str, words: str) -> None:
    assert before in SETTINGS
    with pytest.raises(InputError) as fault:
        read(tmp_path, SETTINGS.replace(before, after, 1))
    assert re.search(words, str(fault.value)), str(fault.value)


def test_shapes_only_takes_the_place_of_codes(tmp_path: Path) -> None:
    text = SETTINGS.replace('[rule.codes]\ntown = ["EMMA_ID=DE1*"]\n', "").replace(
        "lasts_h = 6", "lasts_h = 6\nshapes_only = true"
    )
    (rule,) = read(tmp_path, text).bulletin_rules["flood"]
    assert rule.judge(alert(part()), START)[0].level == Level.ORANGE


def test_a_platform_reads_the_same_rules_and_knows_its_twin(tmp_path: Path) -> None:
    path = tmp_path / "sensing.toml"
    path.write_text(
        SETTINGS[SETTINGS.index("[[rule]]") :]
        .replace("lasts_h = 24", "lasts_h = 24\ntwin = true")
        .replace("dam = [13.5, 51.0, 5.0]\n", "")
    )
    told = read_sensing(path, kinds={}, box=(13.2, 50.9, 13.4, 51.1))
    (rule,) = told.bulletin_rules["earthquake"]
    assert rule.places == ("town", "twin")
    assert [one.level for one in rule.judge(quake(6.2), START)] == [Level.RED, Level.RED]
    path.write_text('[node]\nname = "n"\ndata = "d"\n')
    with pytest.raises(InputError, match=r"\[node\]: unknown section"):
        read_sensing(path, kinds={})


def test_a_platform_reads_how_far_its_gauges_are_to_be_trusted_and_a_node_does_not(tmp_path: Path) -> None:
    path = tmp_path / "sensing.toml"
    path.write_text('[[errors]]\nreadings = "river_level"\nsd = 0.05\n[[errors]]\nreadings = "rain_amount"\nshare = 0.2\n')
    assert read_sensing(path, kinds={}).errors == (Trust("river_level", 0.05), Trust("rain_amount", share=0.2))
    path.write_text("[state_update]\non = true\nreach_m = 400.0\n")
    update = read_sensing(path, kinds={}).state_update
    assert update is not None
    assert (update.on, update.reach_m) == (True, 400.0)
    path.write_text("[state_update]\nreach_m = 0\n")
    with pytest.raises(InputError, match="reach_m = 0.*wanted more than 0"):
        read_sensing(path, kinds={})
    path.write_text('[[errors]]\nreadings = "river_level"\nsd = 0.0\n')
    with pytest.raises(InputError, match="line 1.*sd = 0.0; wanted more than 0"):
        read_sensing(path, kinds={})
    path.write_text("[errors]\nlevel_m = 0.05\n")  # as it was written before quantities of all hazards had errors
    with pytest.raises(InputError, match=r'two brackets.*readings = "river_level"'):
        read_sensing(path, kinds={})
    path.write_text('[node]\nname = "n"\ndata = "d"\n[[errors]]\nreadings = "river_level"\nsd = 0.05\n')
    with pytest.raises(InputError, match="unknown section"):
        read_settings(path)


def test_no_rule_on_readings_has_the_name_of_one_on_bulletins() -> None:
    from tocsin.pack import Limits, threshold
    from tocsin.vocabulary import Quantity

    same = threshold("quake_near", Quantity("q", "m"), Limits({Level.RED: 1.0}, "m", "a test"), max_age_s=60.0)
    with pytest.raises(InputError, match="'quake_near' is a rule on readings and one on bulletins"):
        Watch({"x": [same]}, Latest(), since=START, bulletins=BulletinWatch({"y": [NEAR]}))
