"""Where a value stands in JSON: `$.features[*].properties['stage']`, and nothing more, so that a payload cannot make it slow.

`$` is the whole, `.name` or `['any name']` a member, `[0]` an element, `[*]` all elements or members. There is no search, no
condition and no arithmetic: what a path costs is bounded by its length and by how many values may be found.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tocsin.vocabulary import InputError

PATH_CHARACTERS_MOST = 500
_STEP = re.compile(r"""\.([A-Za-z_][A-Za-z0-9_-]*)|\[(\d{1,9})\]|\[(\*)\]|\['([^']{1,200})'\]|\["([^"]{1,200})"\]""", re.ASCII)


class Path(msgspec.Struct, frozen=True):
    """A path that was read: names, numbers, and None for "all"."""

    text: str
    steps: tuple[str | int | None, ...]

    def find(self, value: Any, *, most: int) -> list[Any]:
        """All that stands there, at most `most` values; what is not there is not found.

        >>> path("$.gauges[*].stage").find({"gauges": [{"stage": 1.5}, {"name": "quay"}, 7]}, most=10)
        [1.5]
        """
        found = [value]
        for step in self.steps:
            following: list[Any] = []
            for one in found:
                if step is None:
                    room = most - len(following)
                    following += (
                        list(one.values())[:room] if isinstance(one, dict) else one[:room] if isinstance(one, list) else ()
                    )
                elif isinstance(step, int):
                    if isinstance(one, list) and step < len(one):
                        following.append(one[step])
                elif isinstance(one, dict) and step in one:
                    following.append(one[step])
            found = following
        return found

    def first(self, value: Any, otherwise: Any = None) -> Any:
        """The first that stands there, or `otherwise`."""
        return next(iter(self.find(value, most=1)), otherwise)


def path(text: str) -> Path:
    """Read a path; raises InputError with the place that it does not understand.

    >>> path("$.rows[*]['stage (ft)']").steps
    ('rows', None, 'stage (ft)')
    """
    if not text.startswith("$") or len(text) > PATH_CHARACTERS_MOST:
        raise InputError(f"path {text[:80]!r}: wanted one that begins with $, of at most {PATH_CHARACTERS_MOST} characters")
    steps: list[str | int | None] = []
    at = 1
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise InputError(f"path {text!r}: cannot be read from {text[at : at + 20]!r} on; wanted .name, ['name'], [0] or [*]")
        name, number, everything, quoted, doubled = match.groups()
        steps.append(None if everything else int(number) if number is not None else name or quoted or doubled)
        at = match.end()
    return Path(text, tuple(steps))
