"""The hot end of the history: what the node's log holds and the parts do not have yet, read while the node writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tocsin.edge.spool import HEAD, Found, read_segment, segment_files
from tocsin.platform.history.manifest import Manifest, Seen
from tocsin.vocabulary import Unavailable

READINGS = "readings"


class Taken(msgspec.Struct, frozen=True):
    """A batch of the log, and how far its segment is read when this one is taken too."""

    segment: str
    found: Found
    size: int


def unread(
    data: Path,
    manifest: Manifest,
    damage: list[str],
    *,
    sync: bool = False,
    wanted: Callable[[str, int, int], bool] = lambda *_: True,
) -> Iterator[Taken]:
    """The batches that the manifest does not cover, oldest first. With `sync` only those that a loss of power leaves on disk."""
    files = segment_files(data / READINGS)
    for number, path in enumerate(files, 1):
        try:
            size = _synced(path) if sync else None
            at = _resume_at(path, manifest.seen.get(path.name))
            for found in read_segment(path, at, is_last=number == len(files), damage=damage, wanted=wanted):
                if size is not None and found.end > size:
                    break
                yield Taken(path.name, found, found.end)
        except FileNotFoundError:  # the node dropped it meanwhile
            continue
        except OSError as fault:
            raise Unavailable(f"{path}: {fault}; the node's log cannot be read") from fault


def unread_bytes(data: Path, manifest: Manifest) -> int:
    """How much of the log the manifest does not cover yet."""
    total = 0
    for path in segment_files(data / READINGS):
        try:
            total += path.stat().st_size - _resume_at(path, manifest.seen.get(path.name))
        except FileNotFoundError:  # the node dropped it meanwhile
            continue
    return total


def mark(path: Path, found: Found) -> Seen:
    """What to remember of a segment that was taken up to the end of a block."""
    return Seen(found.end, found.begin, _head(path, 0), _head(path, found.begin))


def _resume_at(path: Path, seen: Seen | None) -> int:
    """Where to go on; 0 where this is not the file that was seen, or it was cut back and written on."""
    if seen is None or path.stat().st_size < seen.size:
        return 0
    return seen.size if (_head(path, 0), _head(path, seen.begin)) == (seen.first, seen.last) else 0


def _head(path: Path, at: int) -> str:
    with path.open("rb") as file:
        file.seek(at)
        return file.read(HEAD.size).hex()


def _synced(path: Path) -> int:
    """The size of a file, all of which is on disk: the node may be between its write and its own sync."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        os.fsync(file.fileno())
        return size
