"""The history over HTTP: what there is, readings, sums by place and time, and gaps; the same functions as `tocsin observations`."""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request

from tocsin.flows import observations as flow
from tocsin.flows.centre import Centre
from tocsin.interfaces.http.guard import answer, number_of
from tocsin.platform.history import History
from tocsin.security.actor import Actor
from tocsin.vocabulary import InputError

READINGS_MOST, ROWS_MOST = 100_000, 100_000
KNOWN = frozenset(
    ("unit", "site", "bbox", "zone", "since", "until", "time_zone", "flags", "limit", "by", "every", "quantiles", "over_s")
)


def quantities(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """Every quantity and unit that there is, with its span and what it takes."""
    return [
        {
            "quantity": held.quantity,
            "unit": held.unit,
            "readings": held.readings,
            "in_log": held.in_log,
            "from": flow.moment_text(held.from_us),
            "to": flow.moment_text(held.to_us),
            "size_bytes": held.size_bytes,
            "aggregated": held.aggregated,
        }
        for held in flow.list_observations(History(centre.folder))
    ]


def readings(centre: Centre, request: Request, actor: Actor) -> Any:
    """The newest readings that answer the question, oldest first."""
    history, question, spots = History(centre.folder), _question(request), _spots(centre)
    most = int(number_of(request, "limit", usual=1_000, low=1, high=READINGS_MOST))
    batch, is_more = flow.newest_observations(history, question, most=most, spots=spots)
    rows = flow.rows_of(flow.readings_table(batch, spots))
    return answer(
        {"quantity": question.quantity, "unit": batch.quantity.unit, "more": is_more, "readings": rows, "damage": history.damage}
    )


def summary(centre: Centre, request: Request, actor: Actor) -> Any:
    """Sums by place and time step."""
    history, question, told = History(centre.folder), _question(request), request.query_params
    table = flow.summarise(
        history,
        question,
        by=told.get("by", "site"),
        every=told.get("every", "all"),
        zone=told.get("time_zone", "UTC"),
        quantiles=_numbers(request, "quantiles") or (),
        spots=_spots(centre),
    )
    return _table(history, question, table)


def gaps(centre: Centre, request: Request, actor: Actor) -> Any:
    """Silences longer than `over_s` seconds."""
    history, question = History(centre.folder), _question(request)
    over = number_of(request, "over_s", usual=3_600.0, low=1.0, high=1e9)
    return _table(history, question, flow.gaps(history, question, longer_than_s=over, spots=_spots(centre)))


def _table(history: History, question: flow.Question, table: Any) -> Any:
    if table.num_rows > ROWS_MOST:
        raise InputError(
            f"{question.quantity}: {table.num_rows:,} rows; wanted at most {ROWS_MOST:,}: ask for wider steps, fewer sites or a shorter "
            "time, or use `tocsin observations mine`"
        )
    unit = history.measure(question.quantity, question.unit).unit
    return answer({"quantity": question.quantity, "unit": unit, "rows": flow.rows_of(table), "damage": history.damage})


def _question(request: Request) -> flow.Question:
    told = request.query_params
    unknown = sorted(set(told) - KNOWN)
    if unknown:
        raise InputError(f"{request.url.path}: {', '.join(unknown)}: no such parameter; there are: {', '.join(sorted(KNOWN))}")
    box = _numbers(request, "bbox")
    if box is not None and len(box) != 4:
        raise InputError(f"{request.url.path}: bbox = {told['bbox'][:80]!r}; wanted WEST,SOUTH,EAST,NORTH in degrees")
    zone = told.get("time_zone")
    return flow.Question(
        quantity=request.path_params["quantity"],
        unit=told.get("unit"),
        sites=tuple(told.getlist("site")) or None,
        box=None if box is None else (box[0], box[1], box[2], box[3]),
        zones=tuple(told.getlist("zone")) or None,
        since=flow.moment_of(told["since"], zone) if "since" in told else None,
        until=flow.moment_of(told["until"], zone) if "until" in told else None,
        flags=told.get("flags", "usable"),
    )


def _numbers(request: Request, name: str) -> tuple[float, ...] | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = (math.nan,)
    if not all(map(math.isfinite, numbers)):
        raise InputError(f"{request.url.path}: {name} = {text[:80]!r}; wanted numbers with commas between them")
    return numbers


def _spots(centre: Centre) -> dict[str, flow.Spot]:
    return flow.spots_of_twin(centre.twin)


ROUTES = (
    ("", quantities),
    ("/{quantity}", readings),
    ("/{quantity}/summary", summary),
    ("/{quantity}/gaps", gaps),
)
