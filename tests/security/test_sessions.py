"""Sessions: tokens that nobody guesses, and an end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tocsin.security.sessions import SessionLimits, check_csrf, csrf_of, new_token, token_digest
from tocsin.vocabulary import InputError, Refused

NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)
LIMITS = SessionLimits(idle=timedelta(hours=1), whole=timedelta(hours=8))


@pytest.mark.parametrize(
    ("used_h", "now_h", "alive"), [(0.0, 0.0, True), (0.0, 0.99, True), (0.0, 1.0, False), (7.5, 7.99, True), (7.9, 8.0, False)]
)
def test_a_session_ends_after_an_idle_hour_and_after_a_shift(used_h: float, now_h: float, alive: bool) -> None:
    used, now = NOON + timedelta(hours=used_h), NOON + timedelta(hours=now_h)
    assert LIMITS.is_alive(began=NOON, used=used, now=now) is alive


@pytest.mark.parametrize(("idle_h", "whole_h"), [(0, 8), (9, 8), (-1, 8)])
def test_limits_that_make_no_sense_are_refused(idle_h: int, whole_h: int) -> None:
    with pytest.raises(InputError, match="session limits"):
        SessionLimits(idle=timedelta(hours=idle_h), whole=timedelta(hours=whole_h))


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 43 for token in tokens)  # 256 bits in base 64


def test_what_is_stored_is_not_the_token_nor_is_the_csrf_token() -> None:
    token = new_token()
    assert token not in token_digest(token) + csrf_of(token)
    assert token_digest(token) != csrf_of(token)


def test_a_request_without_the_right_csrf_token_is_refused() -> None:
    token = new_token()
    check_csrf(token, csrf_of(token))
    for wrong in ("", csrf_of(new_token()), "é"):
        with pytest.raises(Refused, match="CSRF"):
            check_csrf(token, wrong)
