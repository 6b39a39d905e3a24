"""JSON in and out; whole numbers of any size pass unchanged."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tocsin.vocabulary.errors import InputError

DEPTH_MAX = 200


def encode(value: Any) -> str:
    """JSON text."""
    return encode_bytes(value).decode()


def encode_bytes(value: Any) -> bytes:
    """JSON as UTF-8."""
    try:
        return msgspec.json.encode(value)
    except OverflowError:  # a whole number beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def decode(text: str | bytes) -> Any:
    """The value of JSON that we wrote."""
    return msgspec.json.decode(text)


def decode_body(body: bytes, *, where: str) -> Any:
    """The value that a client sent; raises InputError where it is no JSON, or is nested too deep to be handed on."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as fault:
        raise InputError(f"{where}: the body is no JSON: {fault}") from fault
    check_depth(value, where=where)
    return value


def check_depth(value: Any, *, where: str) -> None:
    """Return if a value is not nested deeper than what can be written and read again; else raise InputError."""
    waiting = [(value, 0)]
    while waiting:
        part, depth = waiting.pop()
        if depth > DEPTH_MAX:
            raise InputError(f"{where}: the JSON is nested more than {DEPTH_MAX} deep; wanted less")
        if isinstance(part, dict):
            waiting += [(inner, depth + 1) for inner in part.values()]
        elif isinstance(part, list):
            waiting += [(inner, depth + 1) for inner in part]
