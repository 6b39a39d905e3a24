"""Learn: past emergencies from packs and from files, and those that are like what happens now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tocsin.decision.cases import PastCase, cases_of
from tocsin.pack import find_packs
from tocsin.vocabulary import InputError

CASES_BYTES_MOST = 64 * 2**20
CASES_MOST = 100_000


def all_cases(files: Sequence[tuple[str, bytes]] = ()) -> tuple[PastCase, ...]:
    """The cases of all installed packs, and of files, each (name, content). Raises InputError where two have one id."""
    cases = cases_of(find_packs())
    for name, content in files:
        cases += read_cases(content, where=name)
    seen: dict[str, str] = {}
    for case in cases:
        if case.id in seen:
            raise InputError(f"{case.source}: case {case.id!r} stands in {seen[case.id]} too; give each its own id")
        seen[case.id] = case.source
    return cases


def read_cases(content: bytes, *, where: str) -> tuple[PastCase, ...]:
    """Cases from JSON: a list of objects with id, name, hazard or domain, start or when; and observed (or hazard as an object), impact, chain, lessons,
    strategies, sources, confidence where they are known. Raises InputError with the number of the case that is wrong.
    """
    if len(content) > CASES_BYTES_MOST:
        raise InputError(f"{where}: {len(content):,} bytes; wanted at most {CASES_BYTES_MOST:,}")
    try:
        rows = msgspec.json.decode(content)
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise InputError(f"{where}: is no JSON: {fault}") from fault
    if not isinstance(rows, list) or len(rows) > CASES_MOST:
        raise InputError(f"{where}: wanted a list of at most {CASES_MOST:,} cases")
    return tuple(_case(row, f"{where}: case {number}", Path(where).name) for number, row in enumerate(rows, start=1))


def _case(row: Any, at: str, source: str) -> PastCase:
    if not isinstance(row, dict):
        raise InputError(f"{at}: is a {type(row).__name__}; wanted an object")
    hazard = row.get("domain", row.get("hazard"))
    facts = row.get("observed", row.get("hazard") if isinstance(row.get("hazard"), dict) else {})
    told: dict[str, Any] = {
        "id": row.get("id"),
        "name": row.get("name"),
        "hazard": hazard,
        "when": row.get("when", row.get("start")),
    }
    for name, value in told.items():
        if not isinstance(value, str) or not value:
            raise InputError(f"{at}: {name} = {value!r}; wanted text")
    return PastCase(
        **told,
        observed=_numbers(facts, f"{at}: observed"),
        impact=_numbers(row.get("impact", {}), f"{at}: impact"),
        chain=_texts(row, "chain", at),
        lessons=_texts(row, "lessons", at),
        strategies=_texts(row, "strategies", at),
        says=_texts(row, "sources", at),
        confidence=str(row.get("confidence", "")),
        source=source,
    )


def _numbers(facts: Any, at: str) -> dict[str, float]:
    """What is a number; words and lists beside it are for people, and nothing can be compared by them."""
    if not isinstance(facts, dict):
        raise InputError(f"{at}: is a {type(facts).__name__}; wanted an object")
    return {
        str(name): float(value) for name, value in facts.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _texts(row: dict[str, Any], name: str, at: str) -> tuple[str, ...]:
    value = row.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError(f"{at}: {name} = {str(value)[:60]!r}; wanted a list of texts")
    return tuple(value)
