"""A twin as a map wants it: its outline, zones, lines and waters, and what stands on it, as GeoJSON."""

from __future__ import annotations

from typing import Any

from tocsin.flows.views import LonLat
from tocsin.platform.twin import Twin
from tocsin.vocabulary import NotFound


def describe_twin(twin: Twin) -> dict[str, Any]:
    """The twin as the map wants it."""
    manifest, lonlat = twin.manifest, LonLat(twin.grid)
    people = twin.world(manifest.created).people(3.0)
    zones = twin.zones
    return {
        "name": manifest.name,
        "made_up": manifest.made_up,
        "crs": twin.grid.crs,
        "rows": twin.grid.rows,
        "cols": twin.grid.cols,
        "cell_m": twin.grid.cell_m,
        "bounds": manifest.extent_lonlat,
        "corners": lonlat.corners(),
        "people_night": manifest.counts.get("people_night", 0.0),
        "people_day": manifest.counts.get("people_day", 0.0),
        "buildings": manifest.counts.get("buildings", 0.0),
        "road_km": manifest.counts.get("road_km", 0.0),
        "waters": [{"name": w.name, "usual_level_m": w.usual_level_m} for w in twin.waters.values()],
        "zones": _collection(
            [
                _shape(twin.lonlat(shape), {"name": name, "people": float(people[zones.places(name)].sum())})
                for name, shape in twin.zone_shapes.items()
            ]
        ),
        "lines": _collection(
            [_line(lonlat.of(line.x_m, line.y_m), {"name": line.name, "sort": line.sort}) for line in twin.lines.values()]
        ),
        "sources": [
            {"what": s.what, "title": s.title or s.file, "licence": s.licence, "attribution": s.attribution}
            for s in manifest.sources
        ],
        "counts": manifest.counts,
        "remarks": manifest.remarks,
        "asset_kinds": twin.asset_kinds(),
    }


def assets_geojson(twin: Twin, kind: str) -> dict[str, Any]:
    """All assets of a kind as points; raises NotFound with the kinds that there are."""
    if kind not in twin.asset_kinds():
        raise NotFound(f"twin: no assets {kind!r}; there are: {', '.join(twin.asset_kinds()) or 'none'}")
    assets = twin.assets(kind)
    points = LonLat(twin.grid).of(assets.x_m, assets.y_m)
    return _collection(
        [
            {
                "type": "Feature",
                "properties": {
                    "id": assets.id[k],
                    "name": assets.name[k],
                    "sort": assets.sort[k],
                    "amount": float(assets.amount[k]),
                    "unit": assets.unit,
                },
                "geometry": {"type": "Point", "coordinates": points[k]},
            }
            for k in range(len(assets))
        ]
    )


def _collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features}


def _shape(shape: Any, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": shape.__geo_interface__}


def _line(points: list[list[float]], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": "LineString", "coordinates": points}}
