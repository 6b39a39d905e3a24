"""What phones say aloud: the specification's own values, and matching that misses nothing and invents nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from exposure_vectors import (
    CROWD_IDENTITIES,
    CROWD_NONCE_1,
    CROWD_NONCE_2,
    CROWD_NOTIFICATION_KEY,
    CROWD_PAYLOAD,
    DP3T_IDENTIFIERS_OF_THE_SECOND,
    DP3T_SEEDS,
    GAEN_AEMK,
    GAEN_KEY,
    GAEN_METADATA,
    GAEN_RPIK,
    GAEN_SENT,
    GAEN_START,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.security.exposure import dp3t
from tocsin.security.exposure.identifiers import (
    KEY_BYTES,
    DayKey,
    day_start,
    derive,
    hidden,
    identifier,
    identifier_key,
    identifiers,
    interval_of,
    matches,
    metadata_key,
    metadata_of,
    oldest_kept,
    time_of,
    tx_power_dbm,
)
from tocsin.security.exposure.venues import hour_name, venue_secrets
from tocsin.vocabulary import InputError

KEY = DayKey(GAEN_KEY, GAEN_START)


def test_the_keys_that_a_day_key_makes_are_the_published_ones() -> None:
    assert (identifier_key(GAEN_KEY), metadata_key(GAEN_KEY)) == (GAEN_RPIK, GAEN_AEMK)


@settings(deadline=None)
@given(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_two_hmacs_are_hkdf(key: bytes) -> None:
    assert identifier_key(key) == HKDF(algorithm=SHA256(), length=16, salt=None, info=b"EN-RPIK").derive(key)


@pytest.mark.parametrize(("number", "rpi", "aem"), GAEN_SENT)
def test_what_is_sent_in_each_interval_is_the_published_value(number: int, rpi: bytes, aem: bytes) -> None:
    assert identifier(KEY, GAEN_START + number) == identifiers(KEY)[number] == rpi
    assert hidden(KEY, rpi, GAEN_METADATA) == aem
    assert hidden(KEY, rpi, aem) == GAEN_METADATA


def test_the_published_moment_is_the_published_interval() -> None:
    moment = datetime.fromtimestamp(1_585_785_600, UTC)
    assert interval_of(moment) == day_start(GAEN_START + 143) == GAEN_START
    assert time_of(GAEN_START) == moment


@pytest.mark.parametrize("power", [-127, -21, 0, 8, 127])
def test_the_transmit_power_comes_out_as_it_went_in(power: int) -> None:
    assert tx_power_dbm(metadata_of(power)) == power


def test_metadata_of_another_major_version_say_nothing_of_power() -> None:
    assert tx_power_dbm(bytes([0x80, 8, 0, 0])) is None
    assert tx_power_dbm(GAEN_METADATA) == 8


@pytest.mark.parametrize(
    ("key", "start", "period"), [(b"short", 0, 144), (bytes(16), -1, 144), (bytes(16), 0, 0), (bytes(16), 0, 145)]
)
def test_a_key_that_cannot_be_is_refused(key: bytes, start: int, period: int) -> None:
    with pytest.raises(InputError, match="exposure key"):
        DayKey(key, start, period)


def test_a_key_makes_no_identifier_outside_its_day() -> None:
    with pytest.raises(InputError, match=f"holds for intervals {GAEN_START} to {GAEN_START + 143}"):
        identifier(KEY, GAEN_START + 144)


def test_what_is_older_than_fourteen_days_is_not_kept() -> None:
    now = datetime(2026, 5, 15, 12, tzinfo=UTC)
    assert time_of(oldest_kept(now)) == now - timedelta(days=14)


def some_keys(count: int, seed: int) -> list[DayKey]:
    rng = np.random.default_rng(seed)
    return [DayKey(rng.bytes(16), GAEN_START + 144 * int(rng.integers(14)), int(rng.integers(1, 145))) for _ in range(count)]


@pytest.mark.parametrize("at_once", [1, 7, 4_096])
def test_matching_finds_what_a_plain_search_finds(at_once: int) -> None:
    keys = some_keys(120, seed=1)
    heard = frozenset(
        [identifiers(keys[n])[-1] for n in (0, 17, 63, 119)] + [identifiers(keys[64])[0]] + [bytes([n]) * 16 for n in range(200)]
    )
    plain = [(n, rpi, key.start + at) for n, key in enumerate(keys) for at, rpi in enumerate(identifiers(key)) if rpi in heard]
    assert len(plain) == 5
    assert [(m.key, m.rpi, m.interval) for m in matches(derive(keys, at_once=at_once), heard)] == plain


def test_what_shares_only_its_first_bits_is_no_match() -> None:
    key = some_keys(1, seed=2)[0]
    near = bytes(identifiers(key)[0][:4]) + bytes(12)
    assert list(matches(derive([key]), frozenset([near]))) == []


def test_who_heard_nothing_matches_nothing() -> None:
    assert list(matches(derive(some_keys(3, seed=3)), frozenset())) == []


def test_identifiers_of_one_key_cannot_be_joined_by_any_byte() -> None:
    """Each byte of 14 days' identifiers is as even as chance: chi-squared over 256 values stays under its 99.9 % quantile (330.5)."""
    said = b"".join(b"".join(identifiers(DayKey(GAEN_KEY, GAEN_START + 144 * day))) for day in range(14))
    counts = np.bincount(np.frombuffer(said, np.uint8), minlength=256)
    assert ((counts - len(said) / 256) ** 2 / (len(said) / 256)).sum() < 330.5


def test_dp3ts_seeds_and_identifiers_are_those_of_its_reference() -> None:
    assert tuple(dp3t.next_seed(seed) for seed in DP3T_SEEDS[:2]) == DP3T_SEEDS[1:]
    made = dp3t.ephemeral_identifiers(DP3T_SEEDS[1])
    assert len(made) == 96
    assert tuple(made[:3]) == DP3T_IDENTIFIERS_OF_THE_SECOND


def test_a_dp3t_seed_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match="31 bytes; wanted 32"):
        dp3t.next_seed(bytes(31))


def test_a_venues_secrets_are_crowdnotifiers() -> None:
    assert venue_secrets(CROWD_PAYLOAD) == (CROWD_NONCE_1, CROWD_NONCE_2, CROWD_NOTIFICATION_KEY)


@pytest.mark.parametrize(("start_s", "payload", "identity"), CROWD_IDENTITIES)
def test_a_venues_hour_is_named_as_by_crowdnotifier(start_s: int, payload: bytes, identity: bytes) -> None:
    assert hour_name(payload, start_s) == identity
