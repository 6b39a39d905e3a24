"""A phone: what it says changes, what it keeps ends, and what it shows has a reason, a purpose and an end."""

from __future__ import annotations

import secrets
import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tocsin.edge.phone import HEARD_MOST, Phone
from tocsin.flows.exposure_drill import DrillClock
from tocsin.science.agents import Wait
from tocsin.science.diseases import COVID_2020, EBOLA_2014
from tocsin.security.exposure.export import DiagnosisKey, Export
from tocsin.security.exposure.identifiers import DayKey, hidden, identifier, identifiers, interval_of, metadata_of
from tocsin.security.exposure.risk import Risk, own_risk, read_risk
from tocsin.security.exposure.status import Colour, Contact, Status, state, status_of
from tocsin.security.exposure.venues import hour_name, hours_of, new_venue_code, notices, open_notice, venue_secrets
from tocsin.vocabulary import Conflict, InputError, Unavailable

NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)
RISK = own_risk()


@pytest.fixture
def clock() -> DrillClock:
    return DrillClock(NOON)


def export(*keys: DiagnosisKey, ends: datetime = NOON) -> Export:
    return Export(0, int(ends.timestamp()), "XY", keys)


def test_what_it_says_changes_every_ten_minutes_and_its_key_every_day(clock: DrillClock) -> None:
    phone, said = Phone(None, clock=clock), []
    for _ in range(3 * 144):
        said.append(phone.say()[0])
        clock.time += timedelta(minutes=5)
        assert phone.say()[0] in said or clock.time.minute % 10 == 0
        clock.time += timedelta(minutes=5)
    assert len(set(said)) == 3 * 144
    keys = phone.day_keys()
    assert len({k.key for k in keys}) == len(keys) == 4
    assert set(said) <= {rpi for key in keys for rpi in identifiers(key)}


def test_after_its_keys_were_handed_over_it_says_nothing_that_they_could_make(clock: DrillClock) -> None:
    phone = Phone(None, clock=clock)
    phone.say()
    clock.time += timedelta(hours=1)
    handed = phone.day_keys()
    public = {rpi for key in handed for rpi in identifiers(key)}
    for _ in range(144):
        assert phone.say()[0] not in public
        clock.time += timedelta(minutes=10)


def test_all_that_is_older_than_fourteen_days_is_gone_also_from_the_bytes_of_the_file(tmp_path: Path, clock: DrillClock) -> None:
    path, rpi, code = tmp_path / "phone.db", secrets.token_bytes(16), new_venue_code("Café")
    phone = Phone(path, clock=clock)
    own = phone.say()[0]
    phone.hear(rpi, bytes(4), rssi_dbm=-60, seconds=300)
    phone.visit(code.text(), entered=NOON - timedelta(hours=1), left=NOON)
    name = hour_name(code.text(), hours_of(NOON - timedelta(hours=1), NOON)[0])
    key = phone.day_keys()
    assert rpi in path.read_bytes()
    clock.time += timedelta(days=14, hours=24)
    phone.say()
    for table, kept in (("own", 1), ("heard", 0), ("visit", 0)):
        assert phone._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == kept
    phone.close()
    left = path.read_bytes()
    assert not [secret for secret in (rpi, own, name, *(k.key for k in key)) if secret in left]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_visit_is_kept_without_the_code_and_the_words_at_the_door(tmp_path: Path, clock: DrillClock) -> None:
    path, code = tmp_path / "phone.db", new_venue_code("Support group, Tuesdays")
    phone = Phone(path, clock=clock)
    phone.visit(code.text(), entered=NOON - timedelta(hours=2), left=NOON)
    phone.close()
    kept = path.read_bytes()
    assert code.seed not in kept
    assert b"Support" not in kept


def test_forgetting_leaves_nothing(tmp_path: Path, clock: DrillClock) -> None:
    path, rpi = tmp_path / "phone.db", secrets.token_bytes(16)
    phone = Phone(path, clock=clock)
    phone.say()
    phone.hear(rpi, bytes(4), rssi_dbm=-60, seconds=300)
    phone.forget()
    phone.close()
    assert rpi not in path.read_bytes()


def test_a_file_that_was_taken_before_changes_nothing(clock: DrillClock) -> None:
    phone, key = Phone(None, clock=clock), DayKey(b"k" * 16, interval_of(NOON) // 144 * 144)
    rpi = identifier(key, interval_of(NOON))
    phone.hear(rpi, hidden(key, rpi, metadata_of(-20)), rssi_dbm=-70, seconds=300)
    told = [phone.take(export(DiagnosisKey(key, days_since_onset=0)), digest="one", risk=RISK).matched for _ in range(2)]
    assert told == [1, 0]
    assert phone.contacts() == (Contact(NOON.date(), 5 * 1.75, 0.0),)


@pytest.mark.parametrize(("hours", "counts"), [(-2.0, True), (2.0, True), (-2.2, False), (2.2, False)])
def test_an_identifier_counts_within_two_hours_of_when_it_was_sent(clock: DrillClock, hours: float, counts: bool) -> None:
    phone, key = Phone(None, clock=clock), DayKey(b"k" * 16, interval_of(NOON) // 144 * 144)
    rpi = identifier(key, interval_of(NOON))
    clock.time += timedelta(hours=hours)
    phone.hear(rpi, hidden(key, rpi, metadata_of(-20)), rssi_dbm=-70, seconds=300)
    clock.time = NOON + timedelta(hours=5)
    taken = phone.take(export(DiagnosisKey(key, days_since_onset=0)), digest="one", risk=RISK)
    assert (taken.matched, taken.replayed) == ((1, 0) if counts else (0, 1))


def test_its_own_echo_is_no_contact(clock: DrillClock) -> None:
    phone = Phone(None, clock=clock)
    rpi, aem = phone.say()
    phone.hear(rpi, aem, rssi_dbm=-30, seconds=600)
    clock.time += timedelta(hours=3)
    keys = [DiagnosisKey(k, days_since_onset=0) for k in phone.day_keys()]
    assert phone.take(export(*keys), digest="one", risk=RISK).matched == 0


def test_many_short_scans_of_one_interval_are_at_most_that_interval(clock: DrillClock) -> None:
    phone, key = Phone(None, clock=clock), DayKey(b"k" * 16, interval_of(NOON) // 144 * 144)
    rpi = identifier(key, interval_of(NOON))
    for _ in range(10):
        phone.hear(rpi, hidden(key, rpi, metadata_of(-20)), rssi_dbm=-70, seconds=300)
    phone.take(export(DiagnosisKey(key, days_since_onset=0)), digest="one", risk=RISK)
    assert phone.contacts()[0].near_min == pytest.approx(10 * 1.75)


def test_who_floods_the_air_fills_a_bounded_table(clock: DrillClock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert HEARD_MOST >= 14 * 144 * 200
    monkeypatch.setattr("tocsin.edge.phone.HEARD_MOST", 5)
    phone = Phone(None, clock=clock)
    for n in range(5):
        phone.hear(bytes([n]) * 16, bytes(4), rssi_dbm=-60, seconds=60)
    with pytest.raises(Unavailable, match="floods the air"):
        phone.hear(b"x" * 16, bytes(4), rssi_dbm=-60, seconds=60)


def test_a_clock_that_goes_back_behind_a_handed_key_says_nothing(clock: DrillClock) -> None:
    phone = Phone(None, clock=clock)
    phone.say()
    clock.time += timedelta(hours=1)
    phone.day_keys()
    phone.say()
    assert phone.day_keys()[-1].end <= interval_of(clock.time)


@pytest.mark.parametrize(
    ("rpi", "aem", "rssi_dbm", "seconds"),
    [(b"short", bytes(4), -60, 60), (bytes(16), b"", -60, 60), (bytes(16), bytes(4), 40, 60), (bytes(16), bytes(4), -60, 0)],
)
def test_what_cannot_be_heard_is_refused(clock: DrillClock, rpi: bytes, aem: bytes, rssi_dbm: int, seconds: float) -> None:
    with pytest.raises(InputError, match="heard"):
        Phone(None, clock=clock).hear(rpi, aem, rssi_dbm=rssi_dbm, seconds=seconds)


def test_a_file_of_another_program_is_refused(tmp_path: Path, clock: DrillClock) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE own (x)")
    with pytest.raises(InputError, match="another program"):
        Phone(other, clock=clock)
    (tmp_path / "text").write_text("no database, but long enough to be looked at" * 30)
    with pytest.raises(InputError, match="is no phone"):
        Phone(tmp_path / "text", clock=clock)


# the status


def status(*contacts: Contact, newest: datetime | None = NOON, **more: object) -> object:
    return status_of(contacts, purpose="visit a ward", now=NOON, newest_export=newest, risk=RISK, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("near", "venue", "colour"),
    [
        (0, 0, "green"),
        (4.99, 14.9, "green"),
        (5, 0, "yellow"),
        (14.99, 0, "yellow"),
        (15, 0, "red"),
        (0, 15, "yellow"),
        (0, 600, "yellow"),
    ],
)
def test_the_colour_is_that_of_the_worst_day(near: float, venue: float, colour: str) -> None:
    told = status(Contact(date(2026, 5, 1), near, venue), Contact(date(2026, 5, 2), 1, 0))
    assert told.colour == colour  # type: ignore[attr-defined]


def test_days_are_not_added_up() -> None:
    assert status(*[Contact(date(2026, 5, d), 4, 0) for d in range(1, 4)]).colour == "green"  # type: ignore[attr-defined]


@pytest.mark.parametrize("newest", [None, NOON - timedelta(hours=RISK.stale_after_h, seconds=1)])
def test_a_phone_that_does_not_know_what_was_published_is_not_green(newest: datetime | None) -> None:
    told = status(newest=newest)
    assert told.colour == "unknown"  # type: ignore[attr-defined]
    assert "took published keys" in told.says  # type: ignore[attr-defined]


def test_a_status_has_a_purpose_an_end_a_reason_and_a_way_to_object() -> None:
    told: object = status(Contact(date(2026, 5, 1), 20, 0))
    assert (told.purpose, told.expires) == ("visit a ward", NOON + timedelta(hours=24))  # type: ignore[attr-defined]
    assert told.says.startswith("2026-05-01: 20 weighted minutes near somebody")  # type: ignore[attr-defined]
    assert "a person decides within 24 h" in told.appeal  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="without a purpose"):
        status_of([], purpose=" ", now=NOON, newest_export=NOON, risk=RISK)


def test_two_statements_of_one_phone_have_nothing_in_common_but_the_colour() -> None:
    told, first, second = status(), secrets.token_hex(16), secrets.token_hex(16)
    one, two = state(told, first), state(told, second)  # type: ignore[arg-type]
    assert one.public_key != two.public_key
    assert one.until == two.until == NOON + timedelta(hours=24)
    assert one.answers(first, purpose="visit a ward", now=NOON)
    assert not one.answers(second, purpose="visit a ward", now=NOON)
    assert not one.answers(first, purpose="board a train", now=NOON)
    assert not one.answers(first, purpose="visit a ward", now=NOON + timedelta(hours=24))
    assert not msgspec.structs.replace(one, colour=Colour.RED).answers(first, purpose="visit a ward", now=NOON)
    with pytest.raises(InputError, match="16 random bytes"):
        state(told, "hello")  # type: ignore[arg-type]


def test_who_is_green_has_nothing_to_object_to_and_nobody_objects_twice_at_once(clock: DrillClock) -> None:
    phone = Phone(None, clock=clock)
    with pytest.raises(InputError, match="nothing to object to"):
        phone.appeal("no", purpose="visit a ward", risk=RISK)
    key = DayKey(b"k" * 16, interval_of(NOON) // 144 * 144)
    for at in (0, 1):
        rpi = identifier(key, interval_of(clock.time))
        phone.hear(rpi, hidden(key, rpi, metadata_of(-20)), rssi_dbm=-70, seconds=600)
        clock.time += timedelta(minutes=10 + at)
    phone.take(export(DiagnosisKey(key, days_since_onset=0)), digest="one", risk=RISK)
    assert phone.appeal("no", purpose="visit a ward", risk=RISK).days == (NOON.date(),)
    with pytest.raises(Conflict, match="one is under way"):
        phone.appeal("no", purpose="visit a ward", risk=RISK)


# risk and venues


@pytest.mark.parametrize(
    ("attenuation_db", "onset", "minutes"),
    [
        (0, 0, 17.5),
        (55, 0, 17.5),
        (55.1, 0, 10),
        (67, 3, 10),
        (68, -2, 3.3),
        (75, 0, 3.3),
        (76, 0, 0),
        (50, 9, 0),
        (50, -8, 0),
    ],
)
def test_ten_minutes_count_as_the_symposium_weighs_them(attenuation_db: float, onset: int | None, minutes: float) -> None:
    """Narrow Net v2, by hand, on days on which the disease is at its most infectious, and on those on which it is not."""
    assert RISK.minutes(seconds=600, attenuation_db=attenuation_db, days_since_onset=onset) == pytest.approx(minutes)


def test_the_days_that_count_are_the_diseases_and_near_those_of_the_symposium() -> None:
    """Its v2 symptom onset map, for Delta: high from day -2 to 3, standard -4, -3, 4, 5, which weigh 0.3. Each edge within a day, the weight within 0.05."""
    high, counted = sorted(RISK.high_days), sorted(RISK.high_days + RISK.standard_days)
    assert high == list(range(high[0], high[-1] + 1))
    assert counted == list(range(counted[0], counted[-1] + 1))
    np.testing.assert_allclose([high[0], high[-1], counted[0], counted[-1]], [-2, 3, -4, 5], atol=1)
    assert RISK.standard_weight == pytest.approx(0.3, abs=0.05)
    assert RISK.infectiousness(None) == RISK.standard_weight
    assert RISK.disease == COVID_2020.name


def test_another_disease_has_other_days_and_a_file_may_say_its_own() -> None:
    ebola = own_risk(EBOLA_2014)
    assert min(ebola.high_days + ebola.standard_days) == 0  # nobody passes it on before the first symptoms
    assert max(ebola.high_days) > max(RISK.high_days)
    text = (Path(__file__).parents[2] / "src/tocsin/security/exposure/risk.toml").read_text()
    mine = read_risk(text + "high_days = [0]\nstandard_days = []\n", where="mine.toml")
    assert (mine.high_days, mine.standard_weight) == ((0,), RISK.standard_weight)


def test_a_contact_counts_for_as_long_as_the_infection_may_be_passed_on() -> None:
    """A disease that is over in two days after two latent ones: a contact counts for four, and the status ends with it."""
    swift = own_risk(
        msgspec.structs.replace(
            COVID_2020, latent=Wait(2.0, 0.0), to_symptoms=Wait(0.0, 0.0), end_silent=Wait(2.0, 0.0), end_mild=Wait(2.0, 0.0)
        )
    )
    assert swift.counts_days == 4
    assert own_risk(EBOLA_2014).counts_days == 14  # 11.4 + 11.8 days, and a phone remembers 14
    day = NOON.date()

    def seen(after_d: int, risk: Risk) -> Status:
        now = NOON + timedelta(days=after_d)
        return status_of([Contact(day, 20.0, 0.0)], purpose="visit a ward", now=now, newest_export=now, risk=risk)

    assert [seen(d, swift).colour for d in (0, 4, 5)] == ["red", "red", "green"]
    assert seen(0, swift).expires == NOON + timedelta(hours=24)
    assert seen(4, swift).expires == datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=5)
    assert seen(5, RISK).colour == "red"


def test_what_only_we_chose_is_named_and_the_rest_has_a_source() -> None:
    assert set(RISK.unverified) == {
        "infectiousness_unknown",
        "standard_days",
        "high_days",
        "venue_yellow_from_min",
        "valid_h",
        "stale_after_h",
        "appeal_within_h",
    }
    assert "Linux Foundation Public Health" in RISK.source


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("red_from_min = 15.0", "red_from_min = 1.0", "0 < yellow <= red"),
        ("red_from_min", "rot_from_min", "rot_from_min"),
        ("[55, 67, 75]", "[75, 67, 55]", "rising"),
        ("valid_h = 24.0", "valid_h = 0", "spans"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(before: str, after: str, words: str) -> None:
    text = (Path(__file__).parents[2] / "src/tocsin/security/exposure/risk.toml").read_text()
    assert before in text
    with pytest.raises(InputError, match=words):
        read_risk(text.replace(before, after), where="mine.toml")


def test_an_hours_name_differs_from_hour_to_hour_and_from_venue_to_venue() -> None:
    one, other = new_venue_code("A").text(), new_venue_code("A").text()
    names = {hour_name(code, start) for code in (one, other) for start in (0, 3_600)}
    assert len(names) == 4


def test_a_notice_opens_only_with_the_venues_key_and_only_in_its_place() -> None:
    code = new_venue_code("A")
    first, second = notices(code, NOON, NOON + timedelta(minutes=90))
    key = venue_secrets(code.text()).notification_key
    assert open_notice(first, key) == (NOON, NOON + timedelta(minutes=90))
    assert open_notice(first, bytes(32)) is None
    assert open_notice(msgspec.structs.replace(first, name=second.name), key) is None


@pytest.mark.parametrize(
    ("entered", "left"), [(NOON, NOON), (NOON, NOON - timedelta(hours=1)), (NOON, NOON + timedelta(hours=25))]
)
def test_a_visit_that_cannot_be_is_refused(entered: datetime, left: datetime) -> None:
    with pytest.raises(InputError, match="visit"):
        hours_of(entered, left)


def test_a_visit_that_has_not_come_yet_is_refused(clock: DrillClock) -> None:
    with pytest.raises(InputError, match="has not come yet"):
        Phone(None, clock=clock).visit(new_venue_code("A").text(), entered=NOON, left=NOON + timedelta(hours=3))
