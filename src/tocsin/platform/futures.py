"""Futures at rest: one folder a scenario, whole after every future that is done, whoever stops it and when.

`futures.json` says what is run: the twin by its digest, the model, the scenario, the version. `fields.zarr` has peak, arrival and end of every future,
(member, place), eight futures to a file. `runs.jsonl` has a line for each future that is done, written after its fields, with their digest: what was
cut off in between is not believed, and run again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np

from tocsin.pack import Model, Scenario
from tocsin.vocabulary.errors import Conflict, InputError, NotFound, Unavailable
from tocsin.vocabulary.footprint import Member
from tocsin.vocabulary.place import Grid
from tocsin.vocabulary.quantity import Quantity
from tocsin.vocabulary.series import Series

FORMAT = 1
MANIFEST, RUNS, FIELDS, LOCK = "futures.json", "runs.jsonl", "fields.zarr", ".lock"
SHARD_MEMBERS = 8  # a file is written anew with each of its futures: more would cost more than fewer files save
MEMBERS_ROOM = 100_000


class FuturesManifest(msgspec.Struct, frozen=True):
    """What the futures of a folder are: of which twin, by which model, from which scenario and seed, and who made them."""

    format: int
    tocsin: str
    twin: str
    twin_digest: str
    made_up: bool
    hazard: str
    model: str
    source: str
    scenario: Scenario
    asked: dict[str, str]
    begun: datetime
    world_time: datetime
    grid: Grid
    quantity: Quantity
    companions: tuple[str, ...] = ()


class RunLine(msgspec.Struct, frozen=True):
    """One future that is done: the digest of its fields and its own account, or why it could not be played."""

    number: int
    seed: int
    digest: str = ""
    notes: dict[str, float] = {}
    courses: dict[str, Series] = {}
    failed: str = ""


def member_digest(member: Member) -> str:
    """SHA-256 over peak, arrival, end and companions of one future, as little-endian float32, and over its courses, as float64."""
    told = hashlib.sha256()
    for array in (member.peak, member.arrival_s, member.end_s, *(member.companions[name] for name in sorted(member.companions))):
        told.update(np.ascontiguousarray(array, "<f4").tobytes())
    for name in sorted(member.courses):
        told.update(name.encode())
        told.update(np.ascontiguousarray([member.courses[name].time_s, member.courses[name].value], "<f8").tobytes())
    return told.hexdigest()


class StoredFutures:
    """A folder of futures, to be read; futures are read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / MANIFEST).is_file():
            raise NotFound(
                f"{folder}: holds no futures: it has no {MANIFEST}; make them with `tocsin futures run ... --save {folder}`"
            )
        self.manifest = _read_manifest(folder)
        self.done, self.failed = _read_runs(folder, self.manifest.scenario.members)

    def member(self, number: int) -> Member:
        """One future; raises NotFound where it is not done."""
        if number not in self.done:
            raise NotFound(
                f"{self.folder}: future {number} is not done; there are {len(self.done)} of {self.manifest.scenario.members}"
            )
        root = self._root()

        def read(name: str) -> Any:
            return np.asarray(root[name][number], np.float32)

        companions = {name: read(f"companion_{name}") for name in self.manifest.companions}
        return Member(
            read("peak"), read("arrival_s"), read("end_s"), companions, None, self.done[number].notes, self.done[number].courses
        )

    def broken(self) -> list[int]:
        """The futures whose fields are not what their line says."""
        return [number for number, line in self.done.items() if member_digest(self.member(number)) != line.digest]

    def _root(self) -> Any:
        import zarr

        try:
            return zarr.open_group(str(self.folder / FIELDS), mode="r")
        except (OSError, ValueError) as fault:
            raise InputError(f"{self.folder / FIELDS}: cannot be read: {fault}; run the futures again") from fault


class FuturesFolder:
    """A folder of futures that is being filled; nobody else fills it meanwhile. `done` and `failed` are those that need no run any more.

    A folder that is there is gone on with, if it is of the same twin, model, scenario and seed; it may have asked for fewer members.
    """

    def __init__(self, folder: Path, manifest: FuturesManifest) -> None:
        self.folder, self._root = folder, None
        self.done: dict[int, RunLine] = {}
        self.failed: dict[int, RunLine] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / LOCK).open("w")
        except OSError as fault:
            raise Unavailable(f"{folder}: cannot be written: {fault.strerror}; choose another folder") from fault
        try:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as fault:
                raise Conflict(f"{folder}: another process is filling it; wait for it, or choose another folder") from fault
            self.manifest = manifest
            if (folder / MANIFEST).is_file():
                self._go_on(manifest)
            elif strange := sorted(p.name for p in folder.iterdir() if p.name != LOCK):
                raise InputError(f"{folder}: holds {strange[0]!r} and no futures; choose an empty folder or a new one")
            else:
                self._write_manifest(manifest)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> FuturesFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.close()

    def _go_on(self, manifest: FuturesManifest) -> None:
        before = _read_manifest(self.folder)
        if told := _differs(before, manifest):
            raise Conflict(
                f"{self.folder}: holds futures of another {told}; choose another folder, or run what it was begun with"
            )
        members = max(before.scenario.members, manifest.scenario.members)
        if before.scenario.members != manifest.scenario.members and manifest.scenario.sampling == "latin":
            raise InputError(
                f"{self.folder}: a Latin hypercube of {before.scenario.members} members cannot be grown; take another folder"
            )
        self.manifest = msgspec.structs.replace(before, scenario=msgspec.structs.replace(before.scenario, members=members))
        self._write_manifest(self.manifest)
        stored = StoredFutures(self.folder)
        broken = set(stored.broken()) if stored.done else set()
        self.done = {n: line for n, line in stored.done.items() if n not in broken}
        self.failed = dict(stored.failed)
        lines = [*self.done.values(), *self.failed.values()]
        _write_whole(self.folder / RUNS, b"".join(msgspec.json.encode(line, enc_hook=_plain) + b"\n" for line in lines))

    def add(self, number: int, seed: int, member: Member) -> None:
        """Keep one future; when this returns it is done, also after a crash. Raises Unavailable where the disk does not take it."""
        line = RunLine(number, seed, member_digest(member), dict(member.notes), dict(member.courses))
        try:
            root = self._arrays(member)
            for name, array in _named(member).items():
                root[name][number] = array
            self._append(line)
        except OSError as fault:
            raise Unavailable(
                f"{self.folder}: future {number} was not saved: {fault}; free some space and run it again"
            ) from fault
        self.done[number] = line

    def add_failed(self, number: int, seed: int, reason: str) -> None:
        """Keep that a future could not be played, and why."""
        line = RunLine(number, seed, failed=reason)
        try:
            self._append(line)
        except OSError as fault:
            raise Unavailable(
                f"{self.folder}: future {number} was not noted: {fault}; free some space and run it again"
            ) from fault
        self.failed[number] = line

    def _append(self, line: RunLine) -> None:
        with (self.folder / RUNS).open("ab") as file:
            file.write(msgspec.json.encode(line, enc_hook=_plain) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _arrays(self, member: Member) -> Any:
        """The fields, made with the first future; they have room for every member that a scenario may have."""
        import zarr
        from zarr.codecs import BloscCodec

        if self._root is not None:
            return self._root
        root: Any = zarr.open_group(str(self.folder / FIELDS), mode="a")
        for name, array in _named(member).items():
            if name not in root:
                root.create_array(
                    name,
                    shape=(MEMBERS_ROOM, array.size),
                    chunks=(1, array.size),
                    shards=(SHARD_MEMBERS, array.size),
                    dtype="float32",
                    fill_value=float("nan"),
                    compressors=BloscCodec(cname="zstd", clevel=1),
                )
        if not self.manifest.companions and member.companions:
            self.manifest = msgspec.structs.replace(self.manifest, companions=tuple(sorted(member.companions)))
            self._write_manifest(self.manifest)
        self._root = root
        return root

    def _write_manifest(self, manifest: FuturesManifest) -> None:
        try:
            _write_whole(self.folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest, enc_hook=_plain), indent=1))
        except OSError as fault:
            raise Unavailable(f"{self.folder / MANIFEST}: cannot be written: {fault}") from fault


def manifest_of(
    *,
    version: str,
    twin: str,
    twin_digest: str,
    made_up: bool,
    hazard: str,
    model: Model,
    scenario: Scenario,
    asked: Mapping[str, str],
    now: datetime,
    grid: Grid,
) -> FuturesManifest:
    """The first page of a folder that begins now."""
    return FuturesManifest(
        FORMAT,
        version,
        twin,
        twin_digest,
        made_up,
        hazard,
        model.name,
        model.source,
        scenario,
        dict(asked),
        now,
        now,
        grid,
        model.makes,
    )


def _named(member: Member) -> dict[str, Any]:
    arrays = {"peak": member.peak, "arrival_s": member.arrival_s, "end_s": member.end_s}
    return arrays | {f"companion_{name}": field for name, field in member.companions.items()}


def _differs(before: FuturesManifest, after: FuturesManifest) -> str:
    """In what two differ that makes their futures different ones; empty where they do not."""
    for what in ("twin_digest", "hazard", "model"):
        if getattr(before, what) != getattr(after, what):
            return f"{what.partition('_')[0]} ({getattr(before, what)[:16]} and not {getattr(after, what)[:16]})"
    if before.tocsin != after.tocsin:
        return f"version of Tocsin ({before.tocsin} and not {after.tocsin})"
    one, other = (_scenario_text(m.scenario) for m in (before, after))
    for name in one:
        if one[name] != other[name]:
            return f"scenario ({name} differs)"
    return ""


def _scenario_text(scenario: Scenario) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(scenario, enc_hook=_plain))
    del told["members"]
    return told


def _read_manifest(folder: Path) -> FuturesManifest:
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=FuturesManifest, dec_hook=_array)
    except (OSError, msgspec.MsgspecError) as fault:
        raise InputError(f"{path}: cannot be read: {fault}; run the futures again into another folder") from fault
    if manifest.format != FORMAT:
        raise InputError(f"{path}: format {manifest.format}; this version of Tocsin reads format {FORMAT}")
    return manifest


def _read_runs(folder: Path, members: int) -> tuple[dict[int, RunLine], dict[int, RunLine]]:
    """The futures that are done and those that failed; a last line that was cut off is none."""
    try:
        rows = (folder / RUNS).read_bytes().splitlines() if (folder / RUNS).exists() else []
    except OSError as fault:
        raise Unavailable(f"{folder / RUNS}: cannot be read: {fault}") from fault
    done: dict[int, RunLine] = {}
    failed: dict[int, RunLine] = {}
    for place, row in enumerate(rows):
        try:
            line = msgspec.json.decode(row, type=RunLine, dec_hook=_array)
        except msgspec.MsgspecError as fault:
            if place == len(rows) - 1:
                break
            raise InputError(
                f"{folder / RUNS}: line {place + 1} cannot be read: {fault}; take the line out, its future is run again"
            ) from fault
        if 0 <= line.number < members:
            (failed if line.failed else done)[line.number] = line
    return done, failed


def _write_whole(path: Path, data: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise NotImplementedError(f"no JSON for {type(value).__name__}")


def _array(_kind: Any, value: Any) -> Any:
    return np.array(value, np.float64)
