"""Which parts the history has, and how far each segment of the node's log is in them: one small file, replaced as a whole.

What the manifest does not name does not count. It is the one step in which a compaction takes place: before it the readings are in
the log, after it they are in the parts, and a file that is left over on either side is deleted by the next compaction.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import msgspec

from tocsin.edge.spool import COMPACTED
from tocsin.platform.history.parts import About, Part, make_folders, read_about, sync_folder
from tocsin.vocabulary import InputError, Unavailable

FORMAT = 1
NAME, LOCK, CURSOR = "manifest.json", "lock", COMPACTED


class Seen(msgspec.Struct, frozen=True):
    """How far a segment was taken: up to byte `size`, where the block that begins at `begin` ends; and what the heads looked like.

    A node cuts a segment back after a fault and writes on: then the heads differ, and the segment is read again from its start.
    """

    size: int
    begin: int
    first: str
    last: str


class Gone(msgspec.Struct, frozen=True):
    """Raw readings of a measure that were replaced by aggregates: how many, and up to which moment."""

    quantity: str
    unit: str
    readings: int
    until_us: int


class Manifest(msgspec.Struct, frozen=True):
    """The parts, how far each segment is in them, and what is kept as aggregates only. `generation` counts the changes."""

    format: int = FORMAT
    generation: int = 0
    next_number: int = 1
    parts: tuple[Part, ...] = ()
    seen: dict[str, Seen] = {}
    gone: tuple[Gone, ...] = ()


def load_manifest(root: Path, damage: list[str]) -> Manifest:
    """The manifest of a history; made again from the parts themselves, and told in `damage`, where it cannot be read."""
    path = root / NAME
    try:
        data = path.read_bytes()
        told, _, body = data.partition(b"\n")
        if int(told, 16) != zlib.crc32(body):
            raise InputError(f"{path}: its sum is wrong")
        manifest = msgspec.json.decode(body, type=Manifest)
        if manifest.format == FORMAT:
            return manifest
    except FileNotFoundError:
        if next(root.glob("*/*/*/*.parquet"), None) is None:
            return Manifest()
        damage.append(f"{path}: is missing; made again from the parts, and the log is read again from its start")
    except OSError as fault:
        raise Unavailable(f"{path}: {fault}; the history cannot be read") from fault
    except (ValueError, msgspec.MsgspecError) as fault:
        damage.append(f"{path}: {fault}; made again from the parts, and the log is read again from its start")
    else:
        raise InputError(f"{path}: format {manifest.format}; this version of Tocsin reads format {FORMAT}")
    return _rebuild(root, damage)


def _rebuild(root: Path, damage: list[str]) -> Manifest:
    """What the parts say of themselves.

    A change that was not finished leaves both sides: then what is complete wins, the new parts where all that came together are
    there, else the old ones. The log is read again from its start; what is in the parts already is known by site, time and value.
    """
    found: dict[int, About] = {}
    for path in sorted(root.glob("*/*/*/*.parquet")):
        try:
            about = read_about(path)
        except InputError as fault:
            damage.append(f"{fault}; left out")
            continue
        found[about.part.number] = about
    dropped: set[int] = set()
    for number, about in sorted(found.items()):
        if any(old in found for old in about.replaces):
            is_whole = all(other in found for other in about.together)
            dropped.update(about.replaces if is_whole else (number,))
    parts = tuple(about.part for number, about in sorted(found.items()) if number not in dropped)
    return Manifest(next_number=max(found, default=0) + 1, parts=parts)


def save_manifest(root: Path, manifest: Manifest) -> None:
    """Put the manifest in its place, on disk when this returns; raises Unavailable, and then the old one still holds."""
    body = msgspec.json.encode(manifest)
    write_small(root, NAME, f"{zlib.crc32(body):08x}\n".encode() + body)


def write_small(root: Path, name: str, data: bytes) -> None:
    """Put a small file in its place as a whole: after a crash it is the old one or the new one."""
    unfinished = root / f".{name}.unfinished"
    try:
        make_folders(root.parent, root)
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(root / name)
        sync_folder(root)
    except OSError as fault:
        raise Unavailable(f"history {root / name}: {fault}; what was there before still holds; make room on the disk") from fault
    finally:
        unfinished.unlink(missing_ok=True)
