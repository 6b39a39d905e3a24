"""The warning levels, from nothing to red."""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """The four warning colours; a larger number is worse. NONE is "no warning", BLIND is "nobody can see"."""

    BLIND = -1
    NONE = 0
    BLUE = 1
    YELLOW = 2
    ORANGE = 3
    RED = 4

    @property
    def word(self) -> str:
        """How an operator says it: 'red'."""
        return self.name.lower()
