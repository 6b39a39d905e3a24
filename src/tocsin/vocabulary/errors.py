"""Every way that Tocsin says no, as one small tree.

    TocsinError
      InputError   (ValueError)       what was given cannot be used
      NotFound     (LookupError)      what was asked for is not there
      Refused      (PermissionError)  the gate said no
      Conflict     (RuntimeError)     true when it was asked, no longer true now
      Unavailable  (RuntimeError)     a disk, a service or a tool does not answer
      PackFault    (RuntimeError)     a pack broke its own declaration

A message says what, where, got, wanted, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TocsinError(Exception):
    """The root: an interface catches this one, and shows its message without a traceback."""


class InputError(TocsinError, ValueError):
    """What was given cannot be used; the message says where it is and what would do."""


class NotFound(TocsinError, LookupError):
    """What was asked for is not there; the message names what is."""


class Refused(TocsinError, PermissionError):
    """The gate said no; the message names who, what, on what, and which role would be enough."""


class Conflict(TocsinError, RuntimeError):
    """Somebody else was first, or the thing has moved on; read again and decide again."""


class Unavailable(TocsinError, RuntimeError):
    """A disk, a service or a tool does not answer; what was asked was not done."""


class PackFault(TocsinError, RuntimeError):
    """A pack broke its own declaration; the message says which pack, which part, what was promised and what came."""


NAMED_MOST = 12


def named(name: str, known: Iterable[str]) -> str:
    """What there is instead of a name that is not there: all where they are few, else those that are spelt nearly so, a dozen and how many more.

    >>> named("Quai", ["Hill", "Quay"]), named("x", [])
    ('Hill, Quay', 'none')
    >>> named("Quai", [*"abcdefghijklmn", "Quay"])
    'did you mean Quay? a, b, c, d, e, f, g, h, i, j, k, l and 3 more'
    """
    there = list(known)
    if len(there) <= NAMED_MOST:
        return ", ".join(there) or "none"
    near = get_close_matches(name, there, 3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{meant}{', '.join(there[:NAMED_MOST])} and {len(there) - NAMED_MOST:,} more"
