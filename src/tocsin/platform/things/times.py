"""Times as SensorThings writes them, and as microseconds since 1970 UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import msgspec

from tocsin.vocabulary.errors import InputError

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (naive on purpose: it only ever meets UTC, and formats faster)
SECOND_US, MINUTE_US, HOUR_US, DAY_US = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
MIN_US, MAX_US = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999

INSTANT = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:[Zz]|[+\- ]\d\d:?\d\d)"
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?(?:([Zz])|([+\- ])(\d\d):?(\d\d))", re.ASCII
)
_DURATION = re.compile(r"([+-]?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,12}))?S)?)?", re.ASCII | re.IGNORECASE)
WANTED = "wanted ISO 8601 with a zone, such as 2026-11-23T07:15:00Z"


class When(msgspec.Struct, frozen=True):
    """A moment, or an interval where `end_us` is set. `text` is how it was written where that is not how Tocsin writes it."""

    us: int
    end_us: int | None = None
    text: str | None = None

    def __str__(self) -> str:
        return self.text or format_when(self.us, self.end_us)


def parse_instant(text: str, *, where: str) -> tuple[int, int]:
    """Microseconds since 1970 and the zone's minutes; raises InputError."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise InputError(f"{where}: {text[:60]!r} is no time; {WANTED}")
    year, month, day, hour, minute, second, fraction, _, sign, zone_h, zone_m = match.groups()
    offset = 0 if sign is None else (int(zone_h) * 60 + int(zone_m)) * (-1 if sign == "-" else 1)
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0))  # noqa: DTZ001
    except ValueError as fault:
        raise InputError(f"{where}: {text[:60]!r} is no time: {fault}; {WANTED}") from fault
    us = (moment - EPOCH) // timedelta(microseconds=1) + int((fraction or "0")[:6].ljust(6, "0")) - offset * MINUTE_US
    if not MIN_US <= us <= MAX_US or abs(offset) > 24 * 60:
        raise InputError(f"{where}: {text[:60]!r} is outside the years 1 to 9999; {WANTED}")
    return us, offset


def parse_when(value: object, *, where: str, interval: bool | None = None) -> When:
    """A time as a client wrote it; `interval` True or False asks for one or refuses it."""
    if not isinstance(value, str):
        raise InputError(f"{where}: {str(value)[:60]!r} is no text; {WANTED}")
    first, slash, second = value.partition("/")
    if slash and interval is False:
        raise InputError(f"{where}: {value[:80]!r} is an interval; wanted one moment: {WANTED}")
    if not slash and interval is True:
        raise InputError(f"{where}: {value[:80]!r} is one moment; wanted an interval: two times joined by a slash")
    us, _ = parse_instant(first, where=where)
    end_us = None
    if slash:
        end_us, _ = parse_instant(second, where=where)
        if end_us < us:
            raise InputError(f"{where}: {value[:80]!r} ends before it begins")
    return When(us, end_us, None if format_when(us, end_us) == value else value)


def parse_duration(text: str, *, where: str) -> int:
    """Microseconds of an ISO 8601 duration of days, hours, minutes and seconds."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()[1:]) or len(text) > 40:
        raise InputError(f"{where}: {text[:40]!r} is no duration; wanted days to seconds, such as duration'P1DT2H30M'")
    sign, days, hours, minutes, seconds, fraction = match.groups()
    us = int(days or 0) * DAY_US + int(hours or 0) * HOUR_US + int(minutes or 0) * MINUTE_US + int(seconds or 0) * SECOND_US
    us += int((fraction or "0")[:6].ljust(6, "0"))
    if us > 2**62:
        raise InputError(f"{where}: {text[:40]!r} is too long; wanted less than 100,000 years")
    return -us if sign == "-" else us


@lru_cache(maxsize=4_096)
def _date(day: int) -> str:
    return (EPOCH.date() + timedelta(days=day)).isoformat()


@lru_cache(maxsize=8_192)
def _clock(second: int) -> str:
    return f"T{second // 3_600:02}:{second // 60 % 60:02}:{second % 60:02}"


def format_us(us: int) -> str:
    """How Tocsin writes a moment: UTC, with as many digits of the second as it needs (0, 3 or 6).

    A page of a thousand observations is mostly this: days and times of day that were written before are remembered.
    """
    day, rest = divmod(us, DAY_US)
    second, fraction = divmod(rest, SECOND_US)
    if not fraction:
        return f"{_date(day)}{_clock(second)}Z"
    digits = f"{fraction:06}"
    return f"{_date(day)}{_clock(second)}.{digits if fraction % 1_000 else digits[:3]}Z"


def format_when(us: int, end_us: int | None) -> str:
    """A moment or an interval."""
    return format_us(us) if end_us is None else f"{format_us(us)}/{format_us(end_us)}"


def us_of(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (moment.astimezone(UTC).replace(tzinfo=None) - EPOCH) // timedelta(microseconds=1)


def date_us(text: str, *, where: str) -> int:
    """Midnight UTC of a date."""
    try:
        return (date.fromisoformat(text) - EPOCH.date()).days * DAY_US
    except ValueError as fault:
        raise InputError(f"{where}: {text!r} is no date: {fault}; wanted such as 2026-11-23") from fault


def time_of_day_us(text: str, *, where: str) -> int:
    """Microseconds since midnight of hh:mm[:ss[.f]]."""
    clock, _, fraction = text.partition(".")
    parts = [int(part) for part in clock.split(":")]
    hour, minute, second = (*parts, 0)[:3]
    if hour > 23 or minute > 59 or second > 59:
        raise InputError(f"{where}: {text!r} is no time of day; wanted 00:00:00 to 23:59:59")
    return hour * HOUR_US + minute * MINUTE_US + second * SECOND_US + int((fraction or "0")[:6].ljust(6, "0"))
