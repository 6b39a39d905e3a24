"""A folder that is there whole or not at all: written beside its place, flushed to the disk, and renamed at the end."""

from __future__ import annotations

import ctypes
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tocsin.vocabulary.errors import Conflict, InputError, TocsinError, Unavailable

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # renameat2(2), since Linux 3.15


@contextmanager
def whole_folder(folder: Path, *, overwrite: bool, marker: str) -> Iterator[Path]:
    """An empty folder to write in; it takes the place of `folder` when the block ends well, and vanishes when it does not.

    What is there already stays unless `overwrite` is set, and then only a folder that holds the file `marker` is replaced: an order for
    the wrong folder destroys nothing. A process that is killed on the spot leaves a folder `.NAME.*.unfinished`, which can be deleted.
    """
    folder = folder.resolve()
    if not folder.name:
        raise InputError(f"{folder}: wanted a folder of its own, not the root")
    _may_take(folder, overwrite=overwrite, marker=marker)
    made = _make_parents(folder.parent)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}-{threading.get_ident()}.unfinished")
    done = False
    try:
        shutil.rmtree(unfinished, ignore_errors=True)  # of an earlier process with this very number
        unfinished.mkdir()
        yield unfinished
        _flush(unfinished)
        _may_take(folder, overwrite=overwrite, marker=marker)
        _take_place(unfinished, folder)
        done = True
        _flush_names(folder.parent)
    except OSError as fault:
        if isinstance(fault, TocsinError):
            raise
        raise Unavailable(f"{folder}: the twin was not written: {fault}; free some space or choose another folder") from fault
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not done:
            for parent in made:
                with suppress(OSError):
                    parent.rmdir()


def write_file(path: Path, data: bytes | memoryview) -> None:
    """One file of the folder; an error names the file, without the passing name of the folder."""
    try:
        path.write_bytes(data)
    except OSError as fault:
        raise OSError(fault.errno, fault.strerror, path.name) from fault


def _may_take(folder: Path, *, overwrite: bool, marker: str) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise Conflict(f"{folder}: is a file; give the name of a folder")
    if not any(folder.iterdir()):
        return
    if not (folder / marker).is_file():
        raise Conflict(f"{folder}: holds something that is no twin; it is not replaced; give another folder")
    if not overwrite:
        raise Conflict(f"{folder}: is there already; give another folder, or --overwrite to replace it")


def _make_parents(parent: Path) -> list[Path]:
    """Make the folders above; return those that were not there, the deepest first."""
    missing = [p for p in (parent, *parent.parents) if not p.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise Unavailable(f"{parent}: cannot be made: {fault}; choose another folder") from fault
    return missing


def _take_place(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`; afterwards `new` is what was there before, or nothing."""
    if not folder.exists() or not any(folder.iterdir()):
        new.rename(folder)
        return
    if _exchange(new, folder):
        return
    old = new.with_suffix(".old")
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    old.rename(new)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step, where the system can: Linux on its usual file systems."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return int(swap(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)) == 0


def _flush(folder: Path) -> None:
    """Wait until all that is below is on the disk: names and contents."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            _flush_names(path)
    _flush_names(folder)


def _flush_names(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
