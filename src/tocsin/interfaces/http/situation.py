"""What is known now: gauges, warnings and alerts, as the console shows them."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tocsin.flows.centre import Centre, Sources
from tocsin.interfaces.http.guard import number_of
from tocsin.security.actor import Actor
from tocsin.vocabulary import AlertDraft, NotFound, Warning

SPARKLINE_POINTS = 96
HOURS_MOST = 24.0 * 31


def gauges(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """Every gauge with its latest reading, its quality and its level."""
    return [centre.gauge_status(gauge, points=SPARKLINE_POINTS) for gauge in centre.gauges]


def gauge(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """One gauge with its readings of the last hours."""
    site = request.path_params["site"]
    found = next((g for g in centre.gauges if g.site == site), None)
    if found is None:
        raise NotFound(f"no gauge {site!r}; there are: {', '.join(g.site for g in centre.gauges)}")
    hours = number_of(request, "hours", usual=24.0, low=0.1, high=HOURS_MOST)
    return centre.gauge_status(found, points=SPARKLINE_POINTS) | {"series": centre.gauge_series(found, hours * 3600.0)}


def warning_row(centre: Centre, warning_id: str, warning: Warning) -> dict[str, Any]:
    """A warning as a row of the situation list."""
    alert = next((i for i, draft in centre.board.alerts.items() if warning_id in draft.cause), None)
    return {
        "id": warning_id,
        "time": warning.time,
        "site": warning.subject,
        "hazard": warning.hazard,
        "level": int(warning.level),
        "before": int(warning.before),
        "reason": warning.reason,
        "rule": warning.rule,
        "value": warning.value,
        "unit": warning.unit,
        "public": warning.public,
        "cause": warning.cause,
        "active": centre.board.is_active(warning_id),
        "alert": alert,
    }


def sources(centre: Centre, request: Request, actor: Actor) -> Sources:
    """Every stream: last seen, lag, rate, quality, what is wrong with it; and what became of the readings."""
    return centre.sources()


def warnings(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """All warnings, newest first."""
    return [warning_row(centre, i, w) for i, w in reversed(centre.board.warnings.items())][:500]


def alert_row(alert_id: str, draft: AlertDraft) -> dict[str, Any]:
    """A CAP message without its XML."""
    return {
        "id": alert_id,
        "time": draft.time,
        "identifier": draft.identifier,
        "status": draft.status,
        "message_type": draft.message_type,
        "headline": draft.headline,
        "warning": next((c for c in draft.cause if c.startswith("warning-")), None),
        "draft": next((c for c in draft.cause if c.startswith("alertdraft-")), None),
    }


def alerts(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """All CAP messages, newest first."""
    return [alert_row(i, draft) for i, draft in reversed(centre.board.alerts.items())][:500]


async def release(centre: Centre, request: Request, actor: Actor) -> dict[str, str]:
    """Let a drafted message go out."""
    return {"id": await asyncio.to_thread(centre.messages.release, actor, request.path_params["alert"])}


def alert_xml(centre: Centre, request: Request, actor: Actor) -> Response:
    """One CAP message as it would be sent."""
    alert_id = request.path_params["alert"].removesuffix(".xml")
    if alert_id not in centre.board.alerts:
        raise NotFound(f"no alert {alert_id!r}")
    return Response(centre.board.alerts[alert_id].xml, media_type="application/cap+xml")
