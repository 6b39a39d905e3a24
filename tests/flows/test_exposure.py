"""Health codes on the platform's side, promise by promise: what an authority has, and what nobody can get out of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tocsin.edge.phone import Phone
from tocsin.flows.exposure import CODES_PER_DAY, KEYS_AT_LEAST, PADDING_RANGE, Exposure, read_files, read_venues
from tocsin.flows.exposure_drill import DrillClock, drill
from tocsin.platform.ledger import SqliteLedger, open_ledger
from tocsin.platform.store.exposure import Published
from tocsin.security import Actor, RoleGate
from tocsin.security.exposure.codes import code_digest, new_code, spelt
from tocsin.security.exposure.identifiers import DayKey, identifiers, interval_of
from tocsin.security.exposure.risk import own_risk
from tocsin.security.exposure.status import Colour
from tocsin.security.exposure.upload import UPLOAD_BYTES, Upload, fake_upload, read_upload, real_upload
from tocsin.security.exposure.venues import new_venue_code, notices
from tocsin.vocabulary import Conflict, InputError, NotFound, Refused

NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)
HANA = Actor("hana", frozenset({"health"}))
RISK = own_risk()


class Place:
    """A platform, a clock, and phones."""

    def __init__(self, folder: Path, time: datetime = NOON) -> None:
        self.folder, self.clock = folder, DrillClock(time)
        self.ledger: SqliteLedger = open_ledger(folder, clock=self.clock, gate=RoleGate(), purpose="exercise")
        self.exposure = Exposure(self.ledger.store, clock=self.clock, gate=RoleGate(), ledger=self.ledger)

    def pass_time(self, **span: float) -> None:
        self.clock.time += timedelta(**span)

    def phone(self) -> Phone:
        return Phone(None, clock=self.clock)

    def meet(self, one: Phone, other: Phone, *, rssi_dbm: int = -70, times: int = 2) -> None:
        for _ in range(times):
            one_says, other_says = one.say(), other.say()
            one.hear(*other_says, rssi_dbm=rssi_dbm, seconds=600)
            other.hear(*one_says, rssi_dbm=rssi_dbm, seconds=600)
            self.pass_time(minutes=10)

    def upload(self, phone: Phone, onset: date) -> None:
        (code,) = self.exposure.issue(HANA)
        self.exposure.take(read_upload(real_upload(code, phone.day_keys(), onset).packed()))

    def publish_to(self, *phones: Phone) -> list[Any]:
        keys, venues, digest = read_files(self.exposure.publish(HANA), self.exposure.public_pem)
        return [phone.take(keys, venues.notices, digest=digest, risk=RISK) for phone in phones]

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        with self.ledger.store.reading() as db:
            names = [
                row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'exposure%'")
            ]
            return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in names}

    def everything(self) -> bytes:
        """Every byte that the platform has, as one who steals the folder has it; the platform is closed."""
        self.ledger.close()
        return b"".join(path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "centre")
    yield made
    made.ledger.close()


def test_who_met_somebody_that_tested_positive_is_told_and_who_did_not_is_not(place: Place) -> None:
    ill, near, far, away = (place.phone() for _ in range(4))
    place.meet(ill, near)
    place.meet(ill, far, rssi_dbm=-110)
    place.upload(ill, place.clock.now().date())
    place.pass_time(hours=3)
    told = place.publish_to(ill, near, far, away)
    assert [t.matched for t in told] == [0, 2, 2, 0]
    colours = [p.status(purpose="visit a ward", risk=RISK).colour for p in (ill, near, far, away)]
    assert colours == [Colour.GREEN, Colour.RED, Colour.GREEN, Colour.GREEN]
    (reason,) = near.status(purpose="visit a ward", risk=RISK).reasons
    assert (reason.day, reason.near_min) == (NOON.date(), pytest.approx(2 * 10 * 1.75))  # 20 min at 50 dB, on the day of onset


def test_a_drill_of_a_thousand_phones_gives_every_phone_the_colour_of_what_truly_happened(tmp_path: Path) -> None:
    """And then the promise: of what the platform holds, nothing is what a phone heard, where it was, or who it is."""
    place = Place(tmp_path / "centre", datetime(2026, 5, 3, tzinfo=UTC))
    heard, visits = set[bytes](), set[bytes]()
    true_close: Callable[[Phone], None] = Phone.close

    def look(phone: Phone) -> None:
        heard.update(row[0] for row in phone._db.execute("SELECT rpi FROM heard"))
        visits.update(value for row in phone._db.execute("SELECT name, key FROM visit") for value in row)
        true_close(phone)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Phone, "close", look)
        done = drill(place.exposure, HANA, place.clock, phones=1_000, days=2, positive=20, seed=7)
    assert (done.phones, done.differ) == (1_000, 0)
    assert done.sightings_matched > 100
    assert done.visits_matched > 0
    assert done.colours["red"] > 20
    assert len(heard) > 5_000
    assert len(visits) > 200
    stolen = place.everything()
    (keys, _, _) = read_files(place_export(place), place.exposure.public_pem)
    public = {rpi for key in keys.keys for rpi in identifiers(key.day)}
    assert not {rpi for rpi in heard - public if rpi in stolen}
    published_names = {n.name for n in read_venues(place_export(place).venues, place.exposure.public_pem).notices}
    assert not {name for name in visits - published_names if name in stolen or name.hex().encode() in stolen}


def place_export(place: Place) -> Published:
    again = open_ledger(place.folder, clock=place.clock, gate=RoleGate(), read_only=True)
    try:
        with again.store.reading() as db:
            row = db.execute("SELECT number, ends, keys, venues FROM exposure_export").fetchone()
    finally:
        again.close()
    return Published(row[0], datetime.fromisoformat(row[1]), row[2], row[3])


def test_what_is_kept_does_not_tell_in_which_order_or_together_with_what_keys_came(tmp_path: Path) -> None:
    """Two people's uploads in either order, and the keys dealt between them in another way, leave the same tables, byte for byte."""
    start = interval_of(NOON) // 144 * 144
    own = {n: tuple(DayKey(bytes([16 * n + d]) * 16, start - 144 * (d + 1)) for d in range(3)) for n in (1, 2)}
    mixed = {1: (*own[1][:1], *own[2][1:]), 2: (*own[2][:1], *own[1][1:])}
    left = []
    for name, uploads in (("a", [own[1], own[2]]), ("b", [own[2], own[1]]), ("c", [mixed[1], mixed[2]])):
        place = Place(tmp_path / name)
        for code, keys in zip(place.exposure.issue(HANA, count=2), uploads, strict=True):
            place.exposure.take(read_upload(real_upload(code, keys, NOON.date()).packed()))
        left.append(place.tables())
        place.ledger.close()
    assert left[0] == left[1] == left[2]
    assert len(left[0]["exposure_key"]) == 6
    assert left[0]["exposure_code"] == []


def test_an_upload_leaves_no_line_in_the_ledger_and_no_trace_of_its_code(place: Place) -> None:
    ill = place.phone()
    ill.say()
    place.pass_time(hours=1)
    (code,) = place.exposure.issue(HANA)
    before = place.ledger.size()
    place.exposure.take(read_upload(real_upload(code, ill.day_keys(), NOON.date()).packed()))
    assert place.ledger.size() == before
    stolen = place.everything()
    assert code_digest(code).encode() not in stolen
    assert spelt(code).encode() not in stolen
    assert code.encode() not in stolen


def test_the_ledger_names_the_official_and_no_code_and_no_key(place: Place) -> None:
    codes = place.exposure.issue(HANA, count=3)
    place.exposure.publish(HANA)
    lines = [msgspec.json.encode(entry.record).decode() for entry in place.ledger.read() if entry.record.subject == "exposure"]
    assert "3 upload codes for a person were issued (hana)" in lines[0]
    assert re.search(r"exposure file \d+ was published: SHA-256 [0-9a-f]{64}", lines[1])
    assert not [code for code in codes if any(code in line or spelt(code) in line for line in lines)]


def test_a_code_works_once_for_its_purpose_and_within_a_day(place: Place) -> None:
    def sent(code: str) -> None:
        phone = place.phone()
        phone.say()
        place.pass_time(minutes=10)
        place.exposure.take(real_upload(code, phone.day_keys(), NOON.date()))

    used, over = place.exposure.issue(HANA, count=2)
    (for_venue,) = place.exposure.issue(HANA, purpose="venue")
    sent(used)
    sent_words = "the code is not known, was used, or is over"
    for code in (used, for_venue, new_code()):
        with pytest.raises(Refused, match=sent_words):
            sent(code)
    place.pass_time(hours=24)
    with pytest.raises(Refused, match=sent_words):
        sent(over)


def test_a_refused_upload_does_not_use_the_code_up(place: Place) -> None:
    (code,) = place.exposure.issue(HANA)
    early = DayKey(bytes(16), interval_of(NOON) - 144 * 20)
    with pytest.raises(InputError, match="the last 14 days"):
        place.exposure.take(real_upload(code, [early], NOON.date()))
    ended = DayKey(bytes(16), interval_of(NOON) - 144)
    place.exposure.take(real_upload(code, [ended], NOON.date()))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ([DayKey(b"a" * 16, interval_of(NOON) - 20, 30)], "ended"),
        ([DayKey(b"a" * 16, interval_of(NOON) - 288), DayKey(b"b" * 16, interval_of(NOON) - 200)], "at the same time"),
        ([DayKey(b"a" * 16, interval_of(NOON) - 288), DayKey(b"a" * 16, interval_of(NOON) - 144)], "are the same"),
        ([DayKey(bytes([n]) * 16, interval_of(NOON) - 100 - n, 1) for n in range(16)], "at most 15"),
        ([], "wanted day keys"),
    ],
)
def test_keys_that_no_phone_could_have_made_are_refused(place: Place, keys: list[DayKey], words: str) -> None:
    (code,) = place.exposure.issue(HANA)
    with pytest.raises(InputError, match=words):
        place.exposure.take(real_upload(code, keys, NOON.date()))


def test_all_uploads_have_one_length_and_another_is_refused(place: Place) -> None:
    phone = place.phone()
    for _ in range(15):
        phone.say()
        place.pass_time(days=1)
    keys, code = phone.day_keys(), new_venue_code("A café, Hauptstraße 3")
    venue = Upload(new_code(), notices=tuple(notices(code, NOON, NOON + timedelta(hours=24))))
    bodies = [
        u.packed()
        for u in (
            fake_upload(),
            real_upload(new_code(), keys, NOON.date()),
            real_upload(new_code(), keys[:1], NOON.date()),
            venue,
        )
    ]
    assert {len(body) for body in bodies} == {UPLOAD_BYTES}
    with pytest.raises(InputError, match="exactly 8,192"):
        read_upload(bodies[0] + b" ")
    with pytest.raises(InputError, match="upload"):
        read_upload(b"{" * UPLOAD_BYTES)


def test_a_fake_upload_leaves_nothing(place: Place) -> None:
    before = place.tables()
    place.exposure.take(read_upload(fake_upload().packed()))
    assert place.tables() == before


def test_a_file_has_a_thousand_keys_also_where_nobody_tested_positive(place: Place) -> None:
    phone = place.phone()
    keys, venues, _ = read_files(place.exposure.publish(HANA), place.exposure.public_pem)
    assert KEYS_AT_LEAST <= len(keys.keys) <= KEYS_AT_LEAST + PADDING_RANGE + 2 * 14
    assert venues.notices == ()
    assert phone.take(keys, digest="first", risk=RISK).matched == 0


def test_real_keys_have_no_field_that_an_invented_one_cannot_have(place: Place) -> None:
    """Each real key's (start modulo a day, period, report, days since onset in range) is of a form that invented ones have too."""
    ill = place.phone()
    for _ in range(4):
        ill.say()
        place.pass_time(days=1)
    place.upload(ill, place.clock.now().date() - timedelta(days=2))
    place.pass_time(hours=3)
    keys, _, _ = read_files(place.exposure.publish(HANA), place.exposure.public_pem)
    real = {bytes(k.key) for k in ill.day_keys()}
    mine = [k for k in keys.keys if k.day.key in real]
    others = [k for k in keys.keys if k.day.key not in real]
    assert len(mine) == 4
    for key in mine:
        assert key.report in {k.report for k in others}
        assert key.day.start in {k.day.start for k in others}
        assert key.days_since_onset in {k.days_since_onset for k in others}


def test_a_key_is_published_only_when_a_replay_of_it_comes_too_late(place: Place) -> None:
    ill = place.phone()
    rpi, _ = ill.say()
    place.pass_time(minutes=10)
    place.upload(ill, NOON.date())
    place.pass_time(hours=1)
    first, _, _ = read_files(place.exposure.publish(HANA), place.exposure.public_pem)
    place.pass_time(hours=2)
    second, _, _ = read_files(place.exposure.publish(HANA), place.exposure.public_pem)
    told = [{r for k in export.keys for r in identifiers(k.day)} for export in (first, second)]
    assert [rpi in each for each in told] == [False, True]
    assert all(k.day.end + 12 <= interval_of(place.clock.now()) for k in second.keys)


def test_what_is_replayed_after_two_hours_counts_for_nothing(place: Place) -> None:
    ill, victim = place.phone(), place.phone()
    said = ill.say()
    place.pass_time(minutes=10)
    place.upload(ill, NOON.date())
    place.pass_time(hours=2, minutes=10)
    victim.hear(*said, rssi_dbm=-50, seconds=600)
    place.pass_time(hours=1)
    (taken,) = place.publish_to(victim)
    assert (taken.matched, taken.replayed) == (0, 1)
    assert victim.status(purpose="drill", risk=RISK).colour is Colour.GREEN


def test_files_come_once_an_hour_and_their_names_rise(place: Place) -> None:
    first = place.exposure.publish(HANA)
    with pytest.raises(Conflict, match="after the full hour"):
        place.exposure.publish(HANA)
    place.pass_time(hours=1)
    second = place.exposure.publish(HANA)
    assert [number for number, _ in place.exposure.exports()] == [first.number, second.number] == [first.number, first.number + 1]
    with pytest.raises(NotFound, match="no file 7"):
        place.exposure.export(7)


def test_files_and_what_waits_are_gone_after_fourteen_days(place: Place) -> None:
    ill = place.phone()
    ill.say()
    place.pass_time(minutes=10)
    place.upload(ill, NOON.date())
    place.exposure.publish(HANA)
    place.pass_time(days=15)
    newest = place.exposure.publish(HANA)
    assert [number for number, _ in place.exposure.exports()] == [newest.number]
    assert {row[0] for row in place.tables()["exposure_issued"]} == set()
    oldest = interval_of(place.clock.now() - timedelta(days=14))
    assert all(row[1] + row[2] > oldest for row in place.tables()["exposure_key"])


def test_only_a_health_official_issues_publishes_and_decides(place: Place) -> None:
    for role in ("operator", "planner", "commander", "administrator", "auditor", "sensor", "bearer"):
        actor = Actor("eve", frozenset({role}))
        for ask in (
            lambda a=actor: place.exposure.issue(a),
            lambda a=actor: place.exposure.publish(a),
            lambda a=actor: place.exposure.appeals(a),
            lambda a=actor: place.exposure.spend_flows(a, NOON.date(), epsilon="1", words="flows"),
        ):
            with pytest.raises(Refused, match="eve may not"):
                ask()


def test_an_official_issues_a_bounded_number_of_codes_a_day(place: Place) -> None:
    for _ in range(CODES_PER_DAY // 100):
        place.exposure.issue(HANA, count=100)
    with pytest.raises(Refused, match="hana has issued 500 today"):
        place.exposure.issue(HANA)
    assert len(place.exposure.issue(Actor("ivo", frozenset({"health"})))) == 1
    place.pass_time(days=1)
    assert len(place.exposure.issue(HANA)) == 1


def exposed(place: Place) -> Phone:
    """A phone that met somebody who tested positive."""
    ill, near = place.phone(), place.phone()
    place.meet(ill, near)
    place.upload(ill, NOON.date())
    place.pass_time(hours=3)
    place.publish_to(near)
    return near


def test_an_appeal_that_is_upheld_turns_the_phone_green_and_nothing_of_it_is_in_the_ledger(place: Place) -> None:
    phone = exposed(place)
    form = phone.appeal("I sat behind a glass wall, my name is Ada Lovelace", purpose="visit a ward", risk=RISK)
    due = place.exposure.file_appeal(form)
    assert due == place.clock.now() + timedelta(hours=24)
    assert place.exposure.ruling(form.id) is None
    (waiting,) = place.exposure.appeals(HANA)
    assert (waiting.form, waiting.ruling) == (form, None)
    ruling = place.exposure.decide(HANA, form.id, upheld=True, reason="A wall is no contact.")
    assert place.exposure.ruling(form.id) == ruling
    phone.hear_ruling(ruling, place.exposure.public_pem)
    assert phone.status(purpose="visit a ward", risk=RISK).colour is Colour.GREEN
    text = b"".join(msgspec.json.encode(entry.record) for entry in place.ledger.read())
    assert b"an appeal was upheld by hana: SHA-256 of the ruling " + ruling.digest().encode() in text
    assert b"Lovelace" not in text
    assert form.id.encode() not in text


def test_an_appeal_that_is_not_upheld_leaves_the_colour_and_a_decision_is_not_changed(place: Place) -> None:
    phone = exposed(place)
    form = phone.appeal("no", purpose="visit a ward", risk=RISK)
    place.exposure.file_appeal(form)
    ruling = place.exposure.decide(HANA, form.id, upheld=False, reason="20 minutes at one table.")
    phone.hear_ruling(ruling, place.exposure.public_pem)
    assert phone.status(purpose="visit a ward", risk=RISK).colour is Colour.RED
    with pytest.raises(Conflict, match="decided already"):
        place.exposure.decide(HANA, form.id, upheld=True, reason="again")


def test_no_restriction_stands_on_an_appeal_that_nobody_decided_in_time(place: Place) -> None:
    phone = exposed(place)
    place.exposure.file_appeal(phone.appeal("no", purpose="visit a ward", risk=RISK))
    assert phone.status(purpose="visit a ward", risk=RISK).colour is Colour.RED
    place.pass_time(hours=24, seconds=1)
    told = phone.status(purpose="visit a ward", risk=RISK)
    assert told.colour is Colour.YELLOW
    assert "not decided in time" in told.says
    (waiting,) = place.exposure.appeals(HANA)
    assert waiting.due < place.clock.now()
    place.exposure.decide(HANA, waiting.form.id, upheld=False, reason="late, but no")
    assert "after it was due" in msgspec.json.encode(list(place.ledger.read())[-1].record).decode()


def test_a_ruling_that_was_forged_or_is_anothers_is_refused(place: Place) -> None:
    phone, other = exposed(place), place.phone()
    form = phone.appeal("no", purpose="visit a ward", risk=RISK)
    place.exposure.file_appeal(form)
    ruling = place.exposure.decide(HANA, form.id, upheld=False, reason="no")
    with pytest.raises(Refused, match="not signed by the platform"):
        phone.hear_ruling(msgspec.structs.replace(ruling, upheld=True), place.exposure.public_pem)
    with pytest.raises(Refused, match="this phone has not filed"):
        other.hear_ruling(ruling, place.exposure.public_pem)


def test_an_appeal_that_somebody_changed_is_refused_and_an_unknown_one_is_not_there(place: Place) -> None:
    form = exposed(place).appeal("no", purpose="visit a ward", risk=RISK)
    with pytest.raises(Refused, match="not signed by the key that it names"):
        place.exposure.file_appeal(msgspec.structs.replace(form, words="yes"))
    with pytest.raises(NotFound):
        place.exposure.ruling(form.id)


def test_a_venue_warns_its_guests_and_the_platform_never_sees_the_code_at_the_door(place: Place) -> None:
    guest, other, door = place.phone(), place.phone(), new_venue_code("Café Lindgren")
    for phone, code in ((guest, door), (other, new_venue_code("Café Lindgren"))):
        assert phone.visit(code.text(), entered=NOON - timedelta(hours=3), left=NOON) == "Café Lindgren"
    (code,) = place.exposure.issue(HANA, purpose="venue")
    sent = notices(door, NOON - timedelta(minutes=90), NOON + timedelta(minutes=30))
    place.exposure.take(read_upload(Upload(code, notices=tuple(sent)).packed()))
    taken = place.publish_to(guest, other)
    assert [t.visits for t in taken] == [2, 0]  # two hours of the visit
    told = guest.status(purpose="visit a ward", risk=RISK)
    assert told.colour is Colour.YELLOW
    assert told.reasons[0].venue_min == 90
    assert "venue_yellow_from_min" in told.rests_on
    stolen = place.everything()
    for secret in (door.seed, door.seed.hex().encode(), "Café Lindgren".encode(), b"Lindgren"):
        assert secret not in stolen


def test_a_file_of_venues_that_was_changed_is_refused(place: Place) -> None:
    published = place.exposure.publish(HANA)
    file = read_venues(published.venues, place.exposure.public_pem)
    with pytest.raises(Refused, match="changed on the way"):
        read_venues(msgspec.json.encode(msgspec.structs.replace(file, number=1)), place.exposure.public_pem)
    with pytest.raises(InputError, match="no file of venues"):
        read_venues(b"[]", place.exposure.public_pem)


def test_the_key_that_signs_files_stays_with_the_folder_and_nobody_else_may_read_it(place: Place) -> None:
    first = place.exposure.public_pem
    again = Exposure(place.ledger.store, clock=place.clock, gate=RoleGate(), ledger=place.ledger)
    assert again.public_pem == first
    key = place.folder / "exposure.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    with pytest.raises(InputError, match="others may read it"):
        Exposure(place.ledger.store, clock=place.clock, gate=RoleGate(), ledger=place.ledger)


def test_there_is_no_column_for_a_person_a_time_or_a_place(place: Place) -> None:
    """The whole schema, so that whoever adds a column has to look at this page."""
    with place.ledger.store.reading() as db:
        columns = {
            f"{table}.{row[1]}"
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'exposure%'").fetchall()
            for row in db.execute(f"PRAGMA table_info({table})").fetchall()
        }
    assert columns == {
        *("exposure_code.digest", "exposure_code.purpose", "exposure_code.expires"),
        *("exposure_issued.day", "exposure_issued.actor", "exposure_issued.count"),
        *("exposure_key.key", "exposure_key.start", "exposure_key.period", "exposure_key.report", "exposure_key.onset"),
        *("exposure_notice.name", "exposure_notice.nonce", "exposure_notice.closed"),
        *("exposure_export.number", "exposure_export.ends", "exposure_export.keys", "exposure_export.venues"),
        *("exposure_appeal.id", "exposure_appeal.form", "exposure_appeal.due", "exposure_appeal.ruling"),
        *("exposure_flow.day", "exposure_flow.epsilon"),
    }
