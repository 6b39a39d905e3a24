"""What a twin folder holds, from where, under which licence, and how each file can be checked."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

import msgspec

from tocsin.vocabulary.errors import InputError, NotFound
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


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in parts."""
    told = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            told.update(part)
    return told.hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a twin folder; raises NotFound where there is none, InputError where it cannot be read."""
    path = folder / MANIFEST
    if not path.is_file():
        raise NotFound(f"{folder}: is no twin: it has no {MANIFEST}; make one with `tocsin twin build {folder} --elevation ...`")
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.MsgspecError as fault:
        raise InputError(f"{path}: cannot be read: {fault}; build the twin again") from fault
    if manifest.format != FORMAT:
        raise InputError(f"{path}: format {manifest.format}; this version of Tocsin reads format {FORMAT}: build the twin again")
    return manifest


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raise InputError at the first file that is missing or not what the manifest says."""
    for name, wanted in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: is missing from the twin; build it again")
        if (got := sha256_of(path)) != wanted:
            raise InputError(
                f"{path}: SHA-256 is {got[:16]}..., the manifest says {wanted[:16]}...: the file was changed; build it again"
            )
