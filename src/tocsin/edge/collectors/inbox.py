"""A folder into which somebody puts files: which of them are whole, and where they go when they are read or cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from tocsin.vocabulary import InputError, Unavailable


class Inbox:
    """The files of some endings in a folder; a file is whole when its size has not changed for `settled_s`."""

    def __init__(self, collector: str, folder: str, ends: Sequence[str], settled_s: float) -> None:
        self._collector, self._folder, self._ends, self._settled_s = collector, Path(folder), tuple(ends), settled_s
        self._sizes: dict[str, tuple[int, datetime]] = {}  # how large each file was, and since when

    def finished(self, now: datetime) -> list[Path]:
        """The files that are whole. Raises InputError where there is no such folder, Unavailable where it cannot be read."""
        try:
            found = sorted(file for file in self._folder.iterdir() if file.name.lower().endswith(self._ends) and file.is_file())
            sizes = {file.name: file.stat().st_size for file in found}
        except FileNotFoundError as fault:
            raise InputError(f"collector {self._collector}: no folder {self._folder}; make it, or name another") from fault
        except OSError as fault:
            raise Unavailable(f"collector {self._collector}: {self._folder}: {fault}") from fault
        before = self._sizes
        self._sizes = {
            name: (size, before[name][1] if before.get(name, (-1, now))[0] == size else now) for name, size in sizes.items()
        }
        return [
            self._folder / name for name, (_, since) in self._sizes.items() if now - since >= timedelta(seconds=self._settled_s)
        ]

    def move(self, file: Path, to: str) -> Path:
        """Move a file aside; one of the same name that is there already is kept."""
        target = file.parent / to / file.name
        target.parent.mkdir(exist_ok=True)
        number = 1
        while target.exists():
            number += 1
            target = target.with_name(f"{number}-{file.name}")
        return file.replace(target)

    def put_aside(self, file: Path, why: str) -> None:
        """Move a file that cannot be read to `bad`, with the reason beside it."""
        target = self.move(file, "bad")
        target.with_suffix(".why").write_text(f"{why}\n", encoding="utf-8", errors="replace")
