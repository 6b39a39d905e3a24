"""The twin as the map wants it: its outline, what stands on it, its terrain and its base map."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from tocsin.flows.centre import Centre
from tocsin.security.actor import Actor

DAY_S = 86_400


def describe(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """What the twin is of, and where."""
    return centre.describe_twin()


def assets(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """All assets of a kind as points."""
    return centre.assets_geojson(request.path_params["kind"])


def base_map(centre: Centre, request: Request, actor: Actor) -> Response:
    """The base map as one PMTiles file; the browser asks for the ranges that it needs."""
    return FileResponse(
        centre.base_map(), media_type="application/vnd.pmtiles", headers={"Cache-Control": f"private, max-age={DAY_S}"}
    )


def terrain(centre: Centre, request: Request, actor: Actor) -> Response:
    """One terrain tile, terrarium-encoded."""
    p = request.path_params
    tile = centre.terrain_tile(p["z"], p["x"], p["y"])
    return Response(tile, media_type="image/png", headers={"Cache-Control": f"private, max-age={DAY_S}"})
