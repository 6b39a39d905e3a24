"""An assessment at rest: the table that its ranking rests on and the futures that made it, so that readings follow it after a restart too.

One file beside the forecast's fields. Its digest is in the comparison that rests on it, so what was changed or cut off is not followed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tocsin.decision.compare import Compared
from tocsin.decision.futures import Foreseen
from tocsin.pack import Scenario
from tocsin.vocabulary import InputError, NotFound, Unavailable

FORMAT = 2
NAME = "assessment.msgpack"


class Rested(msgspec.Struct, frozen=True):
    """What is kept of an assessment. `model` goes by its name and `ground` by site and quantity; the courses of plans are those of the table."""

    format: int
    began: datetime
    subject: str
    scenario: Scenario
    model: str
    foreseen: Foreseen
    ground: tuple[tuple[str, str], ...]
    compared: Compared


def rest(
    *,
    began: datetime,
    subject: str,
    scenario: Scenario,
    model: str,
    foreseen: Foreseen,
    ground: Sequence[tuple[str, str]],
    compared: Compared,
) -> bytes:
    """An assessment as bytes; raises InputError where its table was not kept."""
    if compared.grounds is None:
        raise InputError("keep: this comparison has kept no table; compare again")
    slim = msgspec.structs.replace(compared, courses={}, foreseen=None)
    return msgspec.msgpack.encode(Rested(FORMAT, began, subject, scenario, model, foreseen, tuple(ground), slim), enc_hook=_told)


def digest_of(kept: bytes) -> str:
    """SHA-256 of an assessment's bytes."""
    return hashlib.sha256(kept).hexdigest()


def save(folder: Path, kept: bytes) -> None:
    """Write it whole or not at all; raises Unavailable if the disk does not take it."""
    unfinished = folder / f".{NAME}.unfinished"
    try:
        with unfinished.open("wb") as file:
            file.write(kept)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(folder / NAME)
    except OSError as fault:
        raise Unavailable(f"{folder / NAME}: the assessment was not kept: {fault}; free some space") from fault


def load(folder: Path, digest: str) -> Rested:
    """An assessment as it was kept; raises NotFound where there is none, InputError where it is not what the ledger says."""
    path = folder / NAME
    try:
        kept = path.read_bytes()
    except OSError as fault:
        raise NotFound(f"{path}: cannot be read: {fault.strerror}; assess again") from fault
    if digest_of(kept) != digest:
        raise InputError(f"{path}: is not what the ledger says that it was; assess again")
    try:
        rested = msgspec.msgpack.decode(kept, type=Rested, dec_hook=_array)
    except (msgspec.MsgspecError, ValueError, KeyError) as fault:
        raise InputError(f"{path}: was written by another version: {fault}; assess again") from fault
    if rested.format != FORMAT:
        raise InputError(f"{path}: format {rested.format}; this version of Tocsin reads format {FORMAT}: assess again")
    grounds = rested.compared.grounds
    if grounds is None:
        raise InputError(f"{path}: has no table; assess again")
    table = grounds.table
    courses = {plan.name: row for plan, row in zip(table.plans, table.courses, strict=True)}
    return msgspec.structs.replace(rested, compared=msgspec.structs.replace(rested.compared, courses=courses))


def _told(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"type": value.dtype.str, "shape": list(value.shape), "bytes": np.ascontiguousarray(value).tobytes()}
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"no bytes for {type(value).__name__}")


def _array(_kind: Any, value: Any) -> Any:
    return np.frombuffer(value["bytes"], value["type"]).reshape(value["shape"])
