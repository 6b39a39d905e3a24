"""Files in and out: read no more than is expected, and write all or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tocsin.vocabulary.errors import InputError, NotFound, Unavailable


def read_bounded(path: Path, bytes_max: int) -> bytes:
    """All bytes of a file of at most `bytes_max` bytes; raises NotFound, Unavailable, or InputError where it is larger."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; wanted a file")
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except FileNotFoundError as fault:
        raise NotFound(f"{path}: there is no such file; check the path") from fault
    except OSError as fault:
        raise Unavailable(f"{path}: cannot be read: {fault.strerror}; give a file that you may read") from fault
    if len(data) > bytes_max:
        raise InputError(f"{path}: is larger than {bytes_max / 2**20:,.1f} MB; wanted a smaller file")
    return data


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all; raises Unavailable where the disk does not take it."""

    def write(unfinished: Path) -> None:
        unfinished.write_bytes(data)

    make_whole(path, write)


def make_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make a file beside its place and rename it when it is complete; an error or Ctrl-C leaves what was there before."""
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.unfinished{path.suffix}")
    try:
        write(unfinished)
        unfinished.replace(path)
    except OSError as fault:
        raise Unavailable(
            f"{path}: was not written: {fault.strerror or fault}; free some space or choose another place"
        ) from fault
    finally:
        unfinished.unlink(missing_ok=True)
