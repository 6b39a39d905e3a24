"""Passwords: costly to guess, bounded in what they cost us, and slower after each failure."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from tocsin.security import passwords as module
from tocsin.security.passwords import AT_ONCE, WAITING_MOST, Attempts, Cost, Passwords, check_worthy
from tocsin.vocabulary import InputError, Refused, Unavailable

CHEAPEST = Cost(passes=5, memory_kib=7 * 1024, lanes=1)
NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords(CHEAPEST)


def test_the_right_password_fits_and_no_other(passwords: Passwords) -> None:
    stored = passwords.hash("correct horse battery")
    assert passwords.fits(stored, "correct horse battery")
    assert not passwords.fits(stored, "correct horse batterz")
    assert not passwords.fits(stored, "")
    assert "correct" not in stored


def test_one_password_has_two_hashes(passwords: Passwords) -> None:
    assert passwords.hash("correct horse battery") != passwords.hash("correct horse battery")


def test_the_same_letters_from_another_keyboard_are_the_same_password(passwords: Passwords) -> None:
    assert passwords.fits(passwords.hash("caf\u00e9 am Rhein"), "cafe\u0301 am Rhein")


def test_an_unknown_name_costs_as_much_as_a_known_one(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    verify = passwords._hasher.verify

    class Counting:
        def verify(self, stored: str, password: bytes) -> bool:
            hashed.append(stored.split("$")[3])
            return bool(verify(stored, password))

    monkeypatch.setattr(passwords, "_hasher", Counting())
    assert not passwords.fits(None, "correct horse battery")
    assert hashed == ["m=7168,t=5,p=1"]


@pytest.mark.parametrize("password", ["x" * 5_000_000, "\ud800 lone surrogate", "\x00" * 12, "a\u0300" * 600])
def test_hostile_passwords_just_do_not_fit(passwords: Passwords, password: str) -> None:
    assert not passwords.fits(passwords.hash("correct horse battery"), password)


def test_the_usual_cost_is_that_of_rfc_9106() -> None:
    assert (Cost().passes, Cost().memory_kib, Cost().lanes) == (3, 65_536, 4)


@pytest.mark.parametrize("cost", [(1, 8), (4, 7 * 1024), (100, 1024)])
def test_no_cheap_cost_can_be_made(cost: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="password cost"):
        Cost(passes=cost[0], memory_kib=cost[1])


@pytest.mark.parametrize("password", ["short", "", "x" * 1_001, "aaaaaaaaaaaaaaaa", "i am Ada and well"])
def test_an_unworthy_password_is_refused(password: str) -> None:
    with pytest.raises(InputError, match="password of ada"):
        check_worthy(password, name="ada")


def test_a_stored_hash_that_cannot_be_read_is_said_so(passwords: Passwords) -> None:
    with pytest.raises(Unavailable, match="stored hash"):
        passwords.fits("$argon2id$rubbish", "correct horse battery")


def test_only_a_few_are_checked_at_once_and_a_flood_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(CHEAPEST)
    running, most, lock, go = 0, 0, threading.Lock(), threading.Event()

    class Slow:
        def verify(self, stored: str, password: bytes) -> bool:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            go.wait(30)
            with lock:
                running -= 1
            return True

    monkeypatch.setattr(passwords, "_hasher", Slow())
    done: list[bool] = []
    threads = [threading.Thread(target=lambda: done.append(passwords.fits("x", "y"))) for _ in range(AT_ONCE + WAITING_MOST)]
    for thread in threads:
        thread.start()
    while passwords._waiting < AT_ONCE + WAITING_MOST:
        go.wait(0.001)
    with pytest.raises(Unavailable, match="try again"):
        passwords.fits("x", "y")
    go.set()
    for thread in threads:
        thread.join()
    assert len(done) == AT_ONCE + WAITING_MOST
    assert most == AT_ONCE
    assert passwords.fits("x", "y")


def test_each_failure_beyond_the_third_doubles_the_wait_up_to_a_minute() -> None:
    attempts, now, waits = Attempts(), NOON, []
    for _ in range(12):
        for waited_s in range(100):
            try:
                attempts.begin("ada", "", now + timedelta(seconds=waited_s))
            except Refused:
                continue
            waits.append(waited_s)
            now += timedelta(seconds=waited_s)
            break
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_refusal_says_how_long_to_wait() -> None:
    attempts = Attempts()
    for _ in range(3):
        attempts.begin("ada", "", NOON)
    with pytest.raises(Refused, match="3 wrong passwords for ada; wait 1 s"):
        attempts.begin("ada", "", NOON)


def test_who_guesses_from_elsewhere_delays_only_himself() -> None:
    attempts = Attempts()
    for _ in range(3):
        attempts.begin("ada", "192.0.2.1", NOON)
    attempts.begin("ada", "192.0.2.2", NOON)
    attempts.begin("bob", "192.0.2.1", NOON)
    with pytest.raises(Refused):
        attempts.begin("ada", "192.0.2.1", NOON)


def test_the_right_password_and_a_quiet_hour_forget_the_failures() -> None:
    attempts = Attempts()
    for _ in range(3):
        attempts.begin("ada", "", NOON)
    attempts.succeeded("ada", "")
    for _ in range(3):
        attempts.begin("ada", "", NOON)
    with pytest.raises(Refused):
        attempts.begin("ada", "", NOON)
    for _ in range(3):
        attempts.begin("ada", "", NOON + timedelta(hours=1, seconds=1))


def test_a_try_that_was_not_judged_counts_for_nothing() -> None:
    attempts = Attempts()
    for _ in range(20):
        attempts.begin("ada", "", NOON)
        attempts.undo("ada", "")


def test_a_million_made_up_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_MOST", 100)
    attempts = Attempts()
    for k in range(1_000):
        attempts.begin(str(k), "", NOON)
    assert len(attempts._failures) == 100
