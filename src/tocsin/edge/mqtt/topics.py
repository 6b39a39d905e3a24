"""Topics and filters of MQTT: what is valid, what matches what, and a trie that finds all subscribers of a topic at once.

Source: OASIS MQTT 5.0 (2019), section 4.7. A filter that begins with a wildcard does not see topics that begin with `$`.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from tocsin.vocabulary import InputError

V = TypeVar("V")

LEVELS_MOST = 64
REMEMBERED_MOST = 20_000
SHARED = "$share/"


def check_topic(topic: str) -> str:
    """A topic that a message can be sent to, as it is; else InputError."""
    if not topic or "#" in topic or "+" in topic or "\0" in topic or topic.count("/") >= LEVELS_MOST:
        raise InputError(f"topic {topic[:100]!r}; wanted 1 to {LEVELS_MOST} levels and no '#' or '+'")
    return topic


def check_filter(asked: str) -> str:
    """A topic filter that can be subscribed to, as it is; else InputError.

    >>> check_filter("readings/+/level")
    'readings/+/level'
    """
    levels = asked.split("/")
    wild = any(("+" in level or "#" in level) and len(level) > 1 for level in levels)
    if not asked or "\0" in asked or wild or "#" in levels[:-1] or len(levels) > LEVELS_MOST:
        raise InputError(
            f"topic filter {asked[:100]!r}; wanted '+' and '#' as whole levels, '#' last, at most {LEVELS_MOST} levels"
        )
    return asked


def split_shared(asked: str) -> tuple[str | None, str]:
    """The group of a shared subscription, and its filter; (None, filter) where it is not shared.

    >>> split_shared("$share/control-room/warnings/#")
    ('control-room', 'warnings/#')
    """
    if not asked.startswith(SHARED):
        return None, check_filter(asked)
    group, slash, rest = asked[len(SHARED) :].partition("/")
    if not group or not slash or "+" in group or "#" in group:
        raise InputError(f"shared subscription {asked[:100]!r}; wanted $share/GROUP/FILTER")
    return group, check_filter(rest)


def matches(asked: str, topic: str) -> bool:
    """Whether a filter sees a topic.

    >>> matches("a/+/c", "a/b/c"), matches("a/#", "a"), matches("#", "$SYS/x")
    (True, True, False)
    """
    if topic.startswith("$") and asked[:1] in ("+", "#"):
        return False
    return covers(asked, topic)


def covers(granted: str, asked: str) -> bool:
    """Whether every topic that the filter `asked` can see is seen by `granted` as well.

    >>> covers("site/7/#", "site/7/+/level"), covers("site/+", "site/#")
    (True, False)
    """
    have, want = granted.split("/"), asked.split("/")
    if want[0].startswith("$") and have[0] in ("+", "#"):
        return False
    for place, level in enumerate(have):
        if level == "#":
            return True
        if place >= len(want):
            return False
        if level == want[place] or (level == "+" and want[place] != "#"):
            continue
        return False
    return len(want) == len(have)


class _Branch(Generic[V]):
    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.below: dict[str, _Branch[V]] = {}
        self.here: dict[str, V] = {}


class Trie(Generic[V]):
    """Values by topic filter: each filter has any number of values, each under a key of its own."""

    def __init__(self) -> None:
        self._root: _Branch[V] = _Branch()
        self._remembered: dict[str, tuple[V, ...]] = {}

    def put(self, asked: str, key: str, value: V) -> bool:
        """Set the value of `key` at a filter; whether it was there before."""
        branch = self._root
        for level in check_filter(asked).split("/"):
            branch = branch.below.setdefault(level, _Branch())
        known = key in branch.here
        branch.here[key] = value
        self._remembered.clear()
        return known

    def drop(self, asked: str, key: str) -> bool:
        """Take the value of `key` away; whether it was there."""
        path, branch = [], self._root
        for level in asked.split("/"):
            path.append((branch, level))
            below = branch.below.get(level)
            if below is None:
                return False
            branch = below
        if branch.here.pop(key, None) is None:
            return False
        for above, level in reversed(path):
            if above.below[level].here or above.below[level].below:
                break
            del above.below[level]
        self._remembered.clear()
        return True

    def below(self, level: str) -> list[str]:
        """All filters in use that begin with this level."""
        found, open_ = [], [([level], self._root.below[level])] if level in self._root.below else []
        while open_:
            path, branch = open_.pop()
            if branch.here:
                found.append("/".join(path))
            open_ += [([*path, name], further) for name, further in branch.below.items()]
        return found

    def match(self, topic: str) -> tuple[V, ...]:
        """All values whose filter sees the topic. What was asked before is remembered until a filter comes or goes."""
        found = self._remembered.get(topic)
        if found is None:
            if len(self._remembered) >= REMEMBERED_MOST:
                self._remembered.clear()
            found = self._remembered[topic] = tuple(self._find(topic))
        return found

    def _find(self, topic: str) -> list[V]:
        found: list[V] = []
        levels = topic.split("/")
        branches = [self._root]
        for place, level in enumerate(levels):
            is_hidden = place == 0 and level.startswith("$")
            reached = []
            for branch in branches:
                if not is_hidden:
                    if (rest := branch.below.get("#")) is not None:
                        found += rest.here.values()
                    if (wild := branch.below.get("+")) is not None:
                        reached.append(wild)
                if (exact := branch.below.get(level)) is not None:
                    reached.append(exact)
            branches = reached
        for branch in branches:
            found += branch.here.values()
            if (rest := branch.below.get("#")) is not None:
                found += rest.here.values()
        return found
