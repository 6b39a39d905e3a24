"""The memory of past emergencies: which of them are like what happens now, in what, and what was learnt from them.

Likeness is Gower's coefficient (Gower 1971, Biometrics 27(4):857-871): the mean over all that both sides tell, each 0..1; what one side does not tell
does not count. So a case is never unlike for what nobody wrote down, and `compared` says on how little a likeness rests.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from tocsin.pack import Pack
from tocsin.vocabulary import InputError, NotFound

TENFOLD = 1.0  # decades: a number ten times as large, or a tenth, is as unlike as can be; a choice of ours
WORD = re.compile(r"[^\W_]{3,}")


class PastCase(msgspec.Struct, frozen=True):
    """One emergency: what was observed (names end with their unit), what it cost, what led to what ("rain>flood"), what was learnt, who says so.

    `strategies` are names of plans that its lessons speak for. `source` is where the case is kept: a pack, or a file.
    """

    id: str
    name: str
    hazard: str
    when: str
    observed: Mapping[str, float] = {}
    impact: Mapping[str, float] = {}
    chain: tuple[str, ...] = ()
    lessons: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    confidence: str = ""
    source: str = ""


class Situation(msgspec.Struct, frozen=True):
    """What is known of what happens now: the hazard, numbers by name, steps of the chain, and words."""

    hazard: str = ""
    observed: Mapping[str, float] = {}
    chain: tuple[str, ...] = ()
    text: str = ""

    def __post_init__(self) -> None:
        if not (self.hazard or self.observed or self.chain or self.text.strip()):
            raise InputError("cases: nothing to compare; give a hazard, a number, a step of the chain or words")
        if wrong := [name for name, value in self.observed.items() if not math.isfinite(value)]:
            raise InputError(f"cases: {wrong[0]} = {self.observed[wrong[0]]}; wanted a number")


class Alike(msgspec.Struct, frozen=True):
    """A case beside the situation: how like, 0..1, in how many things compared, and in what, a line each."""

    case: PastCase
    likeness: float
    compared: int
    why: tuple[str, ...]


def cases_of(packs: Mapping[str, Pack]) -> tuple[PastCase, ...]:
    """The cases that packs bring."""
    return tuple(
        PastCase(
            id=f"{hazard}/{case.name}",
            name=case.name,
            hazard=hazard,
            when=case.when,
            observed=dict(case.observed),
            impact=dict(case.impact),
            lessons=case.lessons,
            strategies=case.strategies,
            says=(case.source,),
            source=f"pack {hazard}",
        )
        for hazard, pack in packs.items()
        for case in pack.cases
    )


def find_case(cases: Sequence[PastCase], wanted: str) -> PastCase:
    """One case by its id or name; raises NotFound with those that are near."""
    found = next((case for case in cases if wanted in (case.id, case.name)), None)
    if found is None:
        near = [case.id for case in cases if wanted.lower() in f"{case.id} {case.name}".lower()][:5]
        raise NotFound(
            f"cases: no case {wanted!r}; {'near it: ' + ', '.join(near) if near else f'there are {len(cases)}: see `tocsin cases list`'}"
        )
    return found


def alike(cases: Sequence[PastCase], now: Situation, *, most: int = 5) -> tuple[Alike, ...]:
    """The cases most like a situation, the likest first, where what a case does not tell counts as half alike; of two equals the later one."""
    asked = sum(map(bool, (now.hazard, now.chain, _words(now.text)))) + len(now.observed)
    found = [_beside(case, now) for case in cases]
    found = [one for one in found if one.compared and one.likeness > 0]
    found.sort(key=lambda one: (-(one.likeness - 0.5) * one.compared / asked, _newest_first(one.case.when), one.case.id))
    return tuple(found[:most])


def _newest_first(when: str) -> tuple[int, ...]:
    return tuple(-ord(c) for c in when)


def _beside(case: PastCase, now: Situation) -> Alike:
    parts: list[tuple[float, str]] = []
    if now.hazard:
        same = now.hazard == case.hazard
        parts.append((float(same), f"also {case.hazard}" if same else f"{case.hazard}, not {now.hazard}"))
    for name, value in now.observed.items():
        if name in case.observed:
            parts.append((_as_large(value, case.observed[name]), f"{name} {value:g} here, {case.observed[name]:g} then"))
    if now.chain and case.chain:
        mine, theirs = (set(step.split(">")) for step in (">".join(now.chain), ">".join(case.chain)))
        shared = sorted(mine & theirs)
        parts.append(
            (len(shared) / len(mine | theirs), f"both have {', '.join(shared)}" if shared else "another chain of events")
        )
    words = _words(now.text)
    if words:
        told = _words(" ".join((case.name, *case.chain, *case.lessons, *case.observed)))
        hit = sorted(words & told)
        parts.append((len(hit) / len(words), f"speaks of {', '.join(hit)}" if hit else "speaks of other things"))
    likeness = sum(part for part, _ in parts) / len(parts) if parts else 0.0
    return Alike(case, likeness, len(parts), tuple(words for _, words in sorted(parts, key=lambda part: -part[0])))


def _as_large(a: float, b: float) -> float:
    """1 for equal numbers, 0 from ten times as large or from another sign on; by their logarithms, or by their difference near 0."""
    if a == b:
        return 1.0
    if a * b <= 0:
        return max(0.0, 1.0 - abs(a - b)) if min(abs(a), abs(b)) == 0 else 0.0
    return max(0.0, 1.0 - abs(math.log10(a / b)) / TENFOLD)


def _words(text: str) -> set[str]:
    return {word.lower() for word in WORD.findall(text.replace("_", " "))}
