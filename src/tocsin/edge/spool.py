"""Readings on disk before anybody is told that they arrived: an append-only log with one fsync for each group of batches.

A segment file is a row of blocks; a block is a batch: 16 bytes of head (mark, lengths, CRC-32 of the rest), a MessagePack header
and the columns as they lie in memory. After a crash the log is read from the start: a block whose sum is wrong is skipped and
told in `damage`, a torn tail is cut off. A batch that was written but not acknowledged comes again; `read` gives every reading
once.

Blocks are numbered from 1, without end, so that they can be sent on and nobody takes one twice. The blocks of one `append` that
names an `origin` (whose blocks they are, and up to which of theirs) are a group: after a crash the last group is there as a whole,
or not at all. So what is said of the origin is as durable as the readings themselves, and in the same moment.
"""

from __future__ import annotations

import errno
import fcntl
import io
import logging
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from tocsin.vocabulary import Conflict, InputError, NotFound, Observations, Quantity, Unavailable, column

log = logging.getLogger(__name__)

MARK = b"TCSP"
HEAD = struct.Struct("<4sIII")  # mark, size of the header, size of the columns, CRC-32 of both
Origin = tuple[str, int]  # whose blocks, and up to which of their numbers all of them are here
NOBODY: Origin = ("", 0)
HISTORY, COMPACTED = "history", "compacted.json"  # a platform's compaction writes it beside its parts, after them
TALLY = "dropped.json"
FULL = (errno.ENOSPC, errno.EDQUOT)
HEADER_BYTES_MOST = 64 << 20
COLUMN_BYTES_MOST = 1 << 30
COLUMNS = (("site", "<i4"), ("time_us", "<i8"), ("value", "<f8"), ("flag", "u1"), ("arrived_us", "<i8"))
ROW_BYTES = sum(np.dtype(kind).itemsize for _, kind in COLUMNS)


class _Header(msgspec.Struct, frozen=True, array_like=True):
    quantity: str
    unit: str
    low: float
    high: float
    sites: tuple[str, ...]
    rows: int
    from_us: int
    to_us: int
    number: int = 0
    entries: int = 0
    group: tuple[int, int] = (0, 1)  # the number of its first block, and how many it has
    origin: Origin = NOBODY


class Block(msgspec.Struct, frozen=True):
    """A block as it is sent on: its number, how long the ledger was when it was written, and its bytes."""

    number: int
    entries: int
    rows: int
    from_us: int
    to_us: int
    data: bytes


class Dropped(msgspec.Struct, frozen=True):
    """Blocks that had to go before they were sent on: which, how many readings, and of what time."""

    first: int
    last: int
    readings: int
    from_us: int
    to_us: int

    def __add__(self, other: Dropped) -> Dropped:
        """Both as one span."""
        return Dropped(
            min(self.first, other.first),
            max(self.last, other.last),
            self.readings + other.readings,
            min(self.from_us, other.from_us),
            max(self.to_us, other.to_us),
        )


class _Tally(msgspec.Struct):
    """What was dropped so far, as it is kept beside the segments; `unsent` until the receiver knows of it. `unkept`: readings that
    went before the history had them."""

    segments: int = 0
    readings: int = 0
    sent: int | None = None
    unsent: Dropped | None = None
    unkept: int = 0


class _Segment(msgspec.Struct):
    """A file of the log, and what times it holds of each quantity."""

    path: Path
    size: int = 0
    spans: dict[str, tuple[int, int]] = {}
    first: int = 0
    last: int = 0
    readings: int = 0

    def holds(self, number: int, quantity: str, rows: int, from_us: int, to_us: int) -> None:
        low, high = self.spans.get(quantity, (from_us, to_us))
        self.spans[quantity] = min(low, from_us), max(high, to_us)
        self.first, self.last, self.readings = self.first or number, number, self.readings + rows


def encode_block(
    batch: Observations, *, number: int = 0, entries: int = 0, group: tuple[int, int] = (0, 1), origin: Origin = NOBODY
) -> bytes:
    """A batch as a block, as it lies on disk and as it may be sent; only the sites that speak in it are named."""
    used, site = np.unique(batch.site, return_inverse=True)
    times = batch.time_us
    header = msgspec.msgpack.encode(
        _Header(
            batch.quantity.name,
            batch.quantity.unit,
            batch.quantity.low,
            batch.quantity.high,
            tuple(batch.sites[k] for k in used),
            len(batch),
            int(times.min()),
            int(times.max()),
            number,
            entries,
            group,
            origin,
        )
    )
    parts = [site if name == "site" else getattr(batch, name) for name, _ in COLUMNS]
    body = b"".join(np.ascontiguousarray(part, kind).tobytes() for part, (_, kind) in zip(parts, COLUMNS, strict=True))
    crc = zlib.crc32(body, zlib.crc32(header))
    return HEAD.pack(MARK, len(header), len(body), crc) + header + body


def decode_blocks(data: bytes) -> tuple[Observations, ...]:
    """The batches of blocks that were sent, one behind the other; raises InputError where one is not whole or not sound."""
    batches: list[Observations] = []
    file, at = io.BytesIO(data), 0
    while at < len(data):
        file.seek(at)
        block = _block_at(file, len(data) - at) if len(data) - at >= HEAD.size else None
        if block is None:
            raise InputError(f"block {len(batches) + 1} at byte {at}: is torn or its sum is wrong; wanted blocks of encode_block")
        batches.append(_decode(block[0], block[1]))
        at += HEAD.size + block[2]
    return tuple(batches)


def open_blocks(blocks: Iterable[bytes]) -> Iterator[tuple[int, Observations]]:
    """(number, batch) of blocks that were sent, each by itself; raises InputError where one is not whole or not sound."""
    for data in blocks:
        block = _block_at(io.BytesIO(data), len(data)) if len(data) >= HEAD.size else None
        if block is None or HEAD.size + block[2] != len(data) or block[0].number < 1:
            raise InputError(f"a block of {len(data)} bytes: is torn, its sum is wrong, or it has no number")
        yield block[0].number, _decode(block[0], block[1])


def _decode(header: _Header, body: bytes) -> Observations:
    columns, begin = {}, 0
    for name, kind in COLUMNS:
        size = np.dtype(kind).itemsize * header.rows
        columns[name] = column(np.frombuffer(body[begin : begin + size], kind), np.dtype(kind).newbyteorder("="))
        begin += size
    return Observations(Quantity(header.quantity, header.unit, header.low, header.high), header.sites, **columns)


def _blocks(file: io.BufferedReader, damage: list[str], name: str, at: int = 0) -> Iterator[tuple[_Header, bytes, int, int]]:
    """Every sound block with its begin and end; says in `damage` what lies between, and where the sound part ends at last."""
    file.seek(0, os.SEEK_END)
    size, bad_from = file.tell(), -1
    while at + HEAD.size <= size:
        file.seek(at)
        block = _block_at(file, size - at)
        if block is None:
            bad_from = at if bad_from < 0 else bad_from
            at = _next_mark(file, at + 1, size)
            continue
        if bad_from >= 0:
            damage.append(f"{name}: {at - bad_from} bytes from byte {bad_from} on are damaged and were skipped")
            bad_from = -1
        begin, at = at, at + HEAD.size + block[2]
        yield block[0], block[1], begin, at


def _block_at(file: BinaryIO, room: int) -> tuple[_Header, bytes, int] | None:
    mark, header_bytes, column_bytes, crc = HEAD.unpack(file.read(HEAD.size))
    length = header_bytes + column_bytes
    if mark != MARK or header_bytes > HEADER_BYTES_MOST or column_bytes > COLUMN_BYTES_MOST or HEAD.size + length > room:
        return None
    rest = file.read(length)
    if zlib.crc32(rest) != crc:
        return None
    try:
        header = msgspec.msgpack.decode(rest[:header_bytes], type=_Header)
    except msgspec.MsgspecError:
        return None
    return (header, rest[header_bytes:], length) if header.rows * ROW_BYTES == column_bytes else None


def _next_mark(file: io.BufferedReader, at: int, size: int) -> int:
    """Where the next block may begin, or the end of the file."""
    while at < size:
        file.seek(at)
        piece = file.read(1 << 20)
        found = piece.find(MARK)
        if found >= 0:
            return at + found
        if len(piece) < len(MARK):
            return size
        at += len(piece) - len(MARK) + 1
    return size


class Spool:
    """Readings on disk, in segments of bounded size; the oldest segments go when the whole is larger than `keep_bytes`.

    One process writes a folder; a second one is refused. Raises Unavailable where the disk does not take it: then nothing of the
    group counts as written, and it may be given again.
    """

    def __init__(
        self, folder: Path, *, segment_bytes: int = 64 << 20, keep_bytes: int = 8 << 30, history: Path | None = None
    ) -> None:
        """`history` is the folder whose `compacted.json` says up to which segment all is in the history; what goes before that is told."""
        if not 0 < segment_bytes <= keep_bytes:
            raise InputError(
                f"spool {folder}: segment_bytes = {segment_bytes}, keep_bytes = {keep_bytes}; wanted 0 < segment <= keep"
            )
        self.folder, self.segment_bytes, self.keep_bytes, self._history = folder, segment_bytes, keep_bytes, history
        self.damage: list[str] = []
        self.number = 0
        self.origins: dict[str, int] = {}
        self.news: list[Dropped] = []
        self._place: tuple[int, Path, int] | None = None
        self._telling = threading.RLock()  # who sends on is another thread than who writes
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("a")
        except OSError as fault:
            raise Unavailable(f"spool {folder}: {fault}; readings cannot be kept, so none is acknowledged") from fault
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            self._lock.close()
            raise Conflict(
                f"spool {folder}: another process writes it; stop that one, or give this node its own folder"
            ) from fault
        self._tally = self._read_tally()
        self.number = max(self._tally.sent or 0, self._tally.unsent.last if self._tally.unsent else 0)
        self._segments = [_Segment(path) for path in sorted(folder.glob("segment-*.log"))]
        for segment in self._segments:
            self._recover(segment, is_last=segment is self._segments[-1])
        for line in self.damage:
            log.warning("spool_damaged", extra={"folder": str(folder), "damage": line})
        self._file: io.FileIO | None = None
        self._was_abandoned = False
        self._is_closed = False

    def _recover(self, segment: _Segment, *, is_last: bool) -> None:
        end = begin = 0  # of what is sound, and of the group that is not whole yet
        group, missing, origin, before = (0, 1), 0, NOBODY, (0, 0)
        with segment.path.open("rb") as file:
            for header, _, _, block_end in _blocks(file, self.damage, segment.path.name):
                if header.group != group or not missing:
                    group, missing, origin, begin = header.group, header.group[1], header.origin, end
                    before = segment.last, segment.readings
                missing -= 1
                self.number = max(self.number, header.number or self.number + 1)
                segment.holds(header.number or self.number, header.quantity, header.rows, header.from_us, header.to_us)
                end = block_end
                if not missing:
                    self._know(header.origin)
            size = file.seek(0, os.SEEK_END)
        segment.size = size
        if is_last and missing and origin[0]:
            (segment.last, segment.readings), self.number, end = before, group[0] - 1, begin
        if size > end:
            self.damage.append(
                f"{segment.path.name}: {size - end} bytes after byte {end} are no whole block, or not its whole group"
                + ("; cut off, they were never acknowledged or are lost" if is_last else "; skipped")
            )
            if is_last:
                os.truncate(segment.path, end)
                segment.size = end

    def _know(self, origin: Origin) -> None:
        if origin[0]:
            self.origins[origin[0]] = max(origin[1], self.origins.get(origin[0], 0))

    def _read_tally(self) -> _Tally:
        try:
            return msgspec.json.decode((self.folder / TALLY).read_bytes(), type=_Tally)
        except FileNotFoundError:
            return _Tally()
        except (OSError, msgspec.MsgspecError) as fault:
            self.damage.append(f"{TALLY}: {fault}; what was dropped before is not known any more")
            return _Tally()

    def append(self, batches: Sequence[Observations], *, entries: int = 0, origin: Origin = NOBODY) -> int:
        """Write all batches and wait for the disk, once; return how many readings are now safe.

        `entries` is how long the ledger is: who sends the blocks on can send first what was told before them. `origin` says whose
        blocks these are, and up to which number; it holds from the moment in which they are all on disk. Where the disk is full,
        the oldest segments go: the newest readings are those that warn.
        """
        full = [batch for batch in batches if len(batch)]
        if not full:
            return 0
        if self._is_closed:
            raise Unavailable(f"spool {self.folder}: is closed; nothing was written")
        first = self.number + 1
        blocks = [
            encode_block(batch, number=first + k, entries=entries, group=(first, len(full)), origin=origin)
            for k, batch in enumerate(full)
        ]
        segment = self._write(b"".join(blocks), len(full))
        for k, (batch, block) in enumerate(zip(full, blocks, strict=True)):
            segment.size += len(block)
            times = batch.time_us
            segment.holds(first + k, batch.quantity.name, len(batch), int(times.min()), int(times.max()))
        self._know(origin)
        self.number = first + len(full) - 1
        return sum(len(batch) for batch in full)

    def _write(self, data: bytes, batches: int) -> _Segment:
        """Put the bytes of one group on disk; return the segment that has them."""
        while True:
            try:
                file = self._open_for(len(data))
            except OSError as fault:
                if fault.errno in FULL and len(self._segments) > 1:
                    self._drop_oldest()
                    continue
                raise Unavailable(
                    f"spool {self.folder}: {fault}; nothing is stored, nothing is acknowledged; make room on the disk"
                ) from fault
            segment = self._segments[-1]
            try:
                rest = memoryview(data)
                while rest:
                    written = file.write(rest)
                    if not written:
                        raise OSError(errno.EIO, "the disk took nothing")
                    rest = rest[written:]
                os.fsync(file.fileno())
                return segment
            except OSError as fault:
                self._abandon(file, segment)
                if fault.errno in FULL and len(self._segments) > 1:
                    self._drop_oldest()
                    continue
                raise Unavailable(
                    f"spool {self.folder}: {fault}; {batches} batches are not stored and not acknowledged; make room on the disk"
                ) from fault

    def _open_for(self, size: int) -> io.FileIO:
        """The file that takes the next `size` bytes; a new segment where the last one is full or was left after an error."""
        if self._file is not None and self._segments[-1].size + size > self.segment_bytes and self._segments[-1].size:
            self._file.close()
            self._file = None
        if self._file is None:
            reuse = bool(self._segments) and self._segments[-1].size + size <= self.segment_bytes and not self._was_abandoned
            number = int(self._segments[-1].path.stem.rpartition("-")[2]) + 1 if self._segments else 1
            segment = self._segments[-1] if reuse else _Segment(self.folder / f"segment-{number:010d}.log")
            file = io.FileIO(segment.path, "ab")
            try:
                _sync_folder(self.folder)  # only then may anything be acknowledged that is written to it
            except OSError:
                file.close()
                raise
            self._file = file
            if not reuse:
                self._segments.append(segment)
            self._was_abandoned = False
            self._forget()
        return self._file

    def _abandon(self, file: io.FileIO, segment: _Segment) -> None:
        """After a failed write nobody knows what the disk holds: cut back what can be cut, and go on in a new file."""
        self._was_abandoned, self._file = True, None
        try:
            os.ftruncate(file.fileno(), segment.size)
            if segment.size == 0:
                segment.path.unlink(missing_ok=True)
                self._segments.pop()
        except OSError as fault:
            log.warning("spool_not_cut_back", extra={"segment": str(segment.path), "fault": str(fault)})
        finally:
            file.close()

    def _forget(self) -> None:
        """Drop the oldest segments until the rest fits `keep_bytes` together with a full new one."""
        while len(self._segments) > 1 and sum(s.size for s in self._segments) + self.segment_bytes > self.keep_bytes:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Let the oldest segment go; what of it was not sent on is counted on disk first, and told in `news`."""
        with self._telling:
            self._forget_segment(self._segments[0])

    def _forget_segment(self, oldest: _Segment) -> None:
        self._tally.segments += 1
        self._tally.readings += oldest.readings
        if self.sent is not None and oldest.last > self.sent:
            spans = oldest.spans.values()
            first, rows = oldest.first, oldest.readings
            if first <= self.sent:  # a part of it was sent: only the log itself knows how many readings are in the rest
                first, rows = self.sent + 1, sum(block.rows for block in self.blocks(self.sent, oldest.last))
            gone = Dropped(first, oldest.last, rows, min(low for low, _ in spans), max(high for _, high in spans))
            self._tally.unsent = gone if self._tally.unsent is None else self._tally.unsent + gone
            self.news.append(gone)
            log.warning("unsent_readings_dropped", extra={"segment": oldest.path.name, "readings": rows})
        elif self._history is not None and oldest.readings and _number_of(oldest.path) > compacted(self._history):
            spans = oldest.spans.values()
            low, high = min(first for first, _ in spans), max(last for _, last in spans)
            self._tally.unkept += oldest.readings
            self.news.append(Dropped(oldest.first, oldest.last, oldest.readings, low, high))
            log.warning("readings_dropped_before_the_history", extra={"segment": oldest.path.name, "readings": oldest.readings})
        is_kept = self._keep_tally()
        self._segments.pop(0)
        oldest.path.unlink(missing_ok=True)
        if not is_kept:  # on a full disk the segment has to go before anything fits
            self._keep_tally()
        log.info("spool_segment_dropped", extra={"segment": oldest.path.name, "size_bytes": oldest.size})

    def _keep_tally(self) -> bool:
        try:
            write_whole(self.folder / TALLY, msgspec.json.encode(self._tally))
        except OSError as fault:
            log.warning("tally_not_kept", extra={"folder": str(self.folder), "fault": str(fault)})
            return False
        return True

    @property
    def dropped_segments(self) -> int:
        """How many segments have gone since the spool began."""
        return self._tally.segments

    @property
    def dropped_readings(self) -> int:
        """How many readings were in them."""
        return self._tally.readings

    @property
    def unkept_readings(self) -> int:
        """How many readings went before the history was known to have them: they may be nowhere any more."""
        return self._tally.unkept

    @property
    def unsent(self) -> Dropped | None:
        """What was dropped before it was sent, until the receiver knows of it."""
        return self._tally.unsent

    @property
    def sent(self) -> int | None:
        """Up to which block the receiver has everything, or knows that it is lost; None where nothing is sent on."""
        return self._tally.sent

    def mark_sent(self, number: int) -> None:
        """Keep what the receiver said; from the first time on, what goes before it was sent is counted."""
        with self._telling:
            if number == self._tally.sent:
                return
            self._tally.sent = number
            if self._tally.unsent is not None and self._tally.unsent.last <= number:
                self._tally.unsent = None
            self._keep_tally()

    def waiting(self, after: int) -> tuple[int, int]:
        """How many readings and bytes lie after block `after`; of a segment that is sent in part, its share."""
        readings = size = 0
        for segment in tuple(self._segments):
            if segment.last > after:
                fresh, all_of_it = segment.last - max(after, segment.first - 1), segment.last - segment.first + 1
                readings += segment.readings * fresh // all_of_it
                size += segment.size * fresh // all_of_it
        return readings, size

    def oldest(self, after: int) -> datetime | None:
        """The oldest time among the segments that hold blocks after number `after`; None where all is sent."""
        for segment in tuple(self._segments):
            if segment.last > after and segment.spans:
                try:
                    return datetime.fromtimestamp(min(low for low, _ in segment.spans.values()) / 1e6, UTC)
                except (OverflowError, ValueError, OSError):
                    return None
        return None

    def blocks(self, after: int, upto: int | None = None) -> Iterator[Block]:
        """The blocks after number `after`, in order, as they lie on disk; damaged or dropped ones are gaps in the numbers."""
        upto = self.number if upto is None else upto
        for segment in tuple(self._segments):
            if segment.last <= after:
                continue
            try:
                file = segment.path.open("rb")
            except FileNotFoundError:  # the oldest segment was dropped while somebody read
                continue
            place = self._place  # read once: another reader may move it at any moment
            known = place if place is not None and place[:2] == (after, segment.path) else None
            with file:
                number = after if known else 0
                for header, _, begin, end in _blocks(file, [], segment.path.name, known[2] if known else 0):
                    number = header.number or number + 1
                    if number > upto:
                        return
                    if number > after:
                        file.seek(begin)
                        data = file.read(end - begin)
                        self._place = number, segment.path, end
                        yield Block(number, header.entries, header.rows, header.from_us, header.to_us, data)

    def replay(self, *, from_us: int | None = None) -> Iterator[Observations]:
        """All batches in the order in which they were written, those with a reading at or after `from_us` only."""
        for segment in tuple(self._segments):
            if from_us is not None and all(high < from_us for _, high in segment.spans.values()):
                continue
            for header, body in self._stored(segment):
                if from_us is None or header.to_us >= from_us:
                    yield _decode(header, body)

    def _stored(self, segment: _Segment) -> Iterator[tuple[_Header, bytes]]:
        try:
            file = segment.path.open("rb")
        except FileNotFoundError:  # the oldest segment was dropped while somebody read
            return
        with file:
            for header, body, _, _ in _blocks(file, [], segment.path.name):
                yield header, body

    def read(
        self, quantity: Quantity, *, sites: Iterable[str] | None = None, from_us: int | None = None, to_us: int | None = None
    ) -> Observations:
        """The readings of a quantity with from_us <= time < to_us, by site and time, each once (the first that was written)."""
        wanted = None if sites is None else set(sites)
        low = np.iinfo(np.int64).min if from_us is None else from_us
        high = np.iinfo(np.int64).max if to_us is None else to_us
        names: dict[str, int] = {}
        parts: list[tuple[np.ndarray[tuple[int], np.dtype[np.generic]], ...]] = []
        for segment in tuple(self._segments):
            span = segment.spans.get(quantity.name)
            if span is None or span[1] < low or span[0] >= high:
                continue
            for header, body in self._stored(segment):
                if header.quantity != quantity.name or header.to_us < low or header.from_us >= high:
                    continue
                if header.unit != quantity.unit:
                    raise InputError(
                        f"spool {self.folder}: {quantity.name} is stored in {header.unit}; asked for in {quantity.unit}"
                    )
                batch = _decode(header, body)
                asked = np.array([wanted is None or site in wanted for site in batch.sites])
                keep = asked[batch.site] & (batch.time_us >= low) & (batch.time_us < high)
                if keep.any():
                    place = np.array(
                        [names.setdefault(s, len(names)) if ok else -1 for s, ok in zip(batch.sites, asked, strict=True)]
                    )
                    parts.append((place[batch.site[keep]], *(getattr(batch, name)[keep] for name, _ in COLUMNS[1:])))
        if not parts:
            return Observations.of(quantity, (), [], [], [])
        site, time_us, value, flag, arrived_us = (np.concatenate([part[k] for part in parts]) for k in range(len(COLUMNS)))
        order = np.lexsort((np.arange(site.size), time_us, site))
        # the bits, because a NaN is not equal to itself and a second, different value for one moment is kept, flagged
        key = np.stack([site, time_us, np.asarray(value, np.float64).view(np.int64)])
        first = np.sort(np.unique(key, axis=1, return_index=True)[1])
        order = order[np.isin(order, first)]
        return Observations(
            quantity,
            tuple(names),
            column(site[order], np.int32),
            column(time_us[order], np.int64),
            column(value[order], np.float64),
            column(flag[order], np.uint8),
            column(arrived_us[order], np.int64),
        )

    def find(self, digest: str) -> Observations:
        """The batch that a record cites by its digest; raises NotFound."""
        for batch in self.replay():
            if batch.digest() == digest:
                return batch
        raise NotFound(f"spool {self.folder}: no batch {digest[:16]}...; {self.dropped_segments} old segments were dropped")

    @property
    def size_bytes(self) -> int:
        """What the log takes on disk."""
        return sum(segment.size for segment in self._segments)

    def close(self) -> None:
        """Let go of the folder; what was acknowledged is on disk already."""
        self._is_closed = True
        if self._file is not None:
            self._file.close()
            self._file = None
        self._lock.close()


class Found(msgspec.Struct, frozen=True):
    """A batch that another process found in a segment: its block lies at begin..end."""

    batch: Observations
    begin: int
    end: int


def compacted(history: Path) -> int:
    """Up to which segment all readings are in the history, as its last compaction said; 0 where nothing says so."""
    try:
        return int(msgspec.json.decode((history / COMPACTED).read_bytes(), type=dict[str, int]).get("through", 0))
    except (OSError, msgspec.MsgspecError):
        return 0


def _number_of(segment: Path) -> int:
    return int(segment.stem.rpartition("-")[2])


def segment_files(folder: Path) -> list[Path]:
    """The segments of a spool, oldest first, for whoever reads a log that a node may be writing. Only the last one still grows."""
    return sorted(folder.glob("segment-*.log"))


def read_segment(
    path: Path, at: int = 0, *, is_last: bool, damage: list[str], wanted: Callable[[str, int, int], bool] = lambda *_: True
) -> Iterator[Found]:
    """The batches of a segment from byte `at` on, which another process may be writing; none where the file was dropped.

    `wanted` is asked with a quantity's name and the first and last time of a block before its columns are decoded. Of the last
    segment no group is given that is not whole: it may be cut off again. What else is damaged is skipped and told in `damage`.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        open_group: list[Found] = []
        group, missing = (0, 1), 0
        for header, body, begin, end in _blocks(file, damage, path.name, at):
            if header.group != group or not missing:
                if not is_last:
                    yield from open_group
                open_group, group, missing = [], header.group, header.group[1]
            missing -= 1
            if wanted(header.quantity, header.from_us, header.to_us):
                open_group.append(Found(_decode(header, body), begin, end))
            if not missing or not header.origin[0]:
                yield from open_group
                open_group = []
        if not is_last:
            yield from open_group


def write_whole(path: Path, data: bytes) -> None:
    """Put a small file in its place as a whole, on disk when this returns: after a crash it is the old one or the new one."""
    unfinished = path.with_name(f".{path.name}.new")
    with unfinished.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """A new file is only there after a crash when its folder was synced too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
