"""Room on the disk that is kept back: when the disk is full it is let go, so that warnings can still be written."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

log = logging.getLogger(__name__)

NAME = "reserve"
FREE_FACTOR = 4  # the reserve is taken only where four times as much is free: it must not be what fills the disk


class Reserve:
    """A file that only takes room. Making it and letting it go never raise."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self._path, self._size, self._told = folder / NAME, size_bytes, ""
        self.keep()

    @property
    def is_held(self) -> bool:
        """True if the room is kept back now."""
        try:
            return self._size == 0 or self._path.stat().st_size == self._size  # a crash may have left a part of it
        except OSError:
            return False

    def keep(self) -> None:
        """Take the room, where there is plenty."""
        if self.is_held:
            return
        try:
            if shutil.disk_usage(self._path.parent).free < FREE_FACTOR * self._size:
                return
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
            self._told = ""
        except OSError as fault:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            if str(fault) != self._told:  # it is tried again every few seconds
                log.warning("no_reserve", extra={"path": str(self._path), "fault": str(fault)})
            self._told = str(fault)

    def let_go(self) -> None:
        """Give the room to whoever needs it now."""
        try:
            self._path.unlink()
            log.warning("reserve_let_go", extra={"size_bytes": self._size})
        except FileNotFoundError:
            return
        except OSError as fault:
            log.warning("reserve_not_let_go", extra={"path": str(self._path), "fault": str(fault)})
