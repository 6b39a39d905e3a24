"""The part of Protocol Buffers' wire format that an exposure key export needs: numbers, fixed 64 bits, and bytes with a length.

Source: protobuf.dev, "Encoding". Written here because three messages of a fixed layout need no schema compiler and no generated code; the tests hold it
against Google's own library in both directions.
"""

from __future__ import annotations

from collections.abc import Iterator

from tocsin.vocabulary.errors import InputError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_VARINT_BYTES_MOST = 10
Value = int | bytes


def number(field: int, value: int) -> bytes:
    """An int32, int64 or enum; what is negative takes ten bytes, as the format wants it."""
    return _varint(field << 3 | VARINT) + _varint(value & (1 << 64) - 1)


def signed(field: int, value: int) -> bytes:
    """A sint32: zigzag, so that -1 is short."""
    return number(field, value << 1 if value >= 0 else (-value << 1) - 1)


def fixed64(field: int, value: int) -> bytes:
    """A fixed64, little-endian."""
    return _varint(field << 3 | FIXED64) + value.to_bytes(8, "little")


def piece(field: int, value: bytes) -> bytes:
    """Bytes, a text or a message inside."""
    return _varint(field << 3 | LENGTH) + _varint(len(value)) + value


def unsigned_zigzag(value: int) -> int:
    """The number that `signed` wrote.

    >>> [unsigned_zigzag(v) for v in (0, 1, 2, 3)]
    [0, -1, 1, -2]
    """
    return (value >> 1) ^ -(value & 1)


def int32(value: int) -> int:
    """The int32 that `number` wrote: the low 32 bits, with their sign."""
    low = value & 0xFFFF_FFFF
    return low - (1 << 32) if low >> 31 else low


def fields(message: bytes, *, where: str) -> Iterator[tuple[int, Value]]:
    """(number of the field, its value) in the order of the message; raises InputError where it is cut short or no message."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _read_varint(message, at, where)
        kind, field = tag & 7, tag >> 3
        if field == 0:
            raise InputError(f"{where}: byte {at}: a field with the number 0; the file is damaged: download it again")
        if kind == VARINT:
            value, at = _read_varint(message, at, where)
            yield field, value
            continue
        if kind == LENGTH:
            size, at = _read_varint(message, at, where)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise InputError(
                f"{where}: byte {at}: a field of kind {kind}, which is not in use; the file is damaged: download it again"
            )
        if size > end - at:
            raise InputError(f"{where}: byte {at}: {size} bytes should follow, {end - at} are there; download it again")
        part = message[at : at + size]
        at += size
        yield field, part if kind == LENGTH else int.from_bytes(part, "little")


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _read_varint(message: bytes, at: int, where: str) -> tuple[int, int]:
    value = 0
    for count in range(_VARINT_BYTES_MOST):
        if at + count >= len(message):
            break
        byte = message[at + count]
        value |= (byte & 0x7F) << 7 * count
        if not byte & 0x80:
            return value, at + count + 1
    raise InputError(f"{where}: byte {at}: a number without an end; the file is damaged: download it again")
