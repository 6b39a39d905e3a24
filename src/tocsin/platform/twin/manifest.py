"""What a twin folder holds, from where, under which licence, and how each file can be checked."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

import msgspec

from tocsin.vocabulary.errors import InputError, NotFound, Unavailable
from tocsin.vocabulary.place import Grid

FORMAT = 1
MANIFEST = "manifest.json"


class Source(msgspec.Struct, frozen=True):
    """A file that the twin was built from."""

    what: str
    file: str
    sha256: str
    size_bytes: int
    licence: str = ""
    attribution: str = ""
    title: str = ""


class WaterNote(msgspec.Struct, frozen=True):
    """A water body that a level can be given for."""

    name: str
    cells: int
    usual_level_m: float
    gauge_zero_m: float
    note: str


class Manifest(msgspec.Struct, frozen=True):
    """The first page of a twin: where, of what, made when and how, and the checksum of every file."""

    format: int
    name: str
    made_up: bool
    created: datetime
    grid: Grid
    extent_lonlat: tuple[float, float, float, float]
    sources: tuple[Source, ...]
    waters: tuple[WaterNote, ...]
    counts: dict[str, float]
    remarks: tuple[str, ...]
    files: dict[str, str]  # path inside the folder -> SHA-256
    time_zone: str = ""  # IANA name; empty: the hour of the day goes by the sun


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in parts."""
    told = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            told.update(part)
    return told.hexdigest()


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder but the manifest itself, by its path in it."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / MANIFEST)
    return {p.relative_to(folder).as_posix(): sha256_of(p) for p in paths}


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a twin folder whose files are all there; raises NotFound where there is none, InputError where it is broken."""
    path = folder / MANIFEST
    if not path.is_file():
        raise NotFound(f"{folder}: is no twin: it has no {MANIFEST}; make one with `tocsin twin build {folder} --elevation ...`")
    try:
        text = path.read_bytes()
        version = msgspec.json.decode(text, type=_Version).format
        if version != FORMAT:
            raise InputError(f"{path}: format {version}; this version of Tocsin reads format {FORMAT}: build the twin again")
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise InputError(f"{path}: cannot be read: {fault}; build the twin again") from fault
    except OSError as fault:
        raise Unavailable(f"{path}: cannot be read: {fault}") from fault
    for name in manifest.files:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(f"{path}: names a file outside the twin: {name!r}; do not use it, build the twin again")
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: is missing from the twin; copy it again, or build the twin again")
    return manifest


class _Version(msgspec.Struct):
    format: int


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raise InputError at the first file that is missing, changed, or not of the twin."""
    there = checksums(folder)
    for name, wanted in manifest.files.items():
        if name not in there:
            raise InputError(f"{folder / name}: is missing from the twin; build it again")
        if (got := there[name]) != wanted:
            raise InputError(
                f"{folder / name}: SHA-256 is {got[:16]}..., the manifest says {wanted[:16]}...: the file was changed; build it again"
            )
    if strange := sorted(there.keys() - manifest.files.keys()):
        raise InputError(f"{folder / strange[0]}: is not in the manifest; the twin did not come with it: take it out")
