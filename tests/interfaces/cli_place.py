"""A place that a test can build in a moment: a lake in the west, a shore that rises to the east, streets, people, two zones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin
from typer.testing import CliRunner

from tocsin.interfaces.cli import app

CRS, WEST_M, NORTH_M, CELL_M = "EPSG:32631", 500_000.0, 40_000.0, 50.0
ROWS, COLS, LAKE_COLS = 16, 24, 6


def run(*words: str | Path, stdin: str = "") -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    done = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
    return done.exit_code, done.stdout, done.stderr


def lonlat(col: float, row: float) -> list[float]:
    """The longitude and latitude of a point given in cells from the north-western corner."""
    out = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(WEST_M + col * CELL_M, NORTH_M - row * CELL_M)
    return [round(float(v), 7) for v in out]


def feature(kind: str, coordinates: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}


def geojson(path: Path, features: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def box(west: float, east: float, north: float, south: float) -> list[list[list[float]]]:
    return [[lonlat(*p) for p in ((west, north), (east, north), (east, south), (west, south), (west, north))]]


def write_terrain(path: Path, ground: np.ndarray[Any, Any] | None = None, *, crs: str | None = CRS) -> Path:
    """Water at 0 m in the west; then 1 m and a fifth of a metre more with each cell to the east."""
    if ground is None:
        ground = np.tile(np.concatenate([np.zeros(LAKE_COLS), 1.0 + 0.2 * np.arange(COLS - LAKE_COLS)]), (ROWS, 1))
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=ground.shape[0],
        width=ground.shape[1],
        count=1,
        dtype="float32",
        crs=crs,
        transform=from_origin(WEST_M, NORTH_M, CELL_M, CELL_M),
    ) as raster:
        raster.write(ground.astype(np.float32), 1)
    return path


def write_place(folder: Path) -> dict[str, Path]:
    """The files of the place, by the option that takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    streets = [
        feature("LineString", [lonlat(7.5, r), lonlat(23.5, r)], highway="residential", name=f"{r} Street")
        for r in (3.5, 8.5, 12.5)
    ]
    streets += [
        feature("LineString", [lonlat(c, 3.5), lonlat(c, 8.5), lonlat(c, 12.5)], highway="primary", name=f"{c} Road")
        for c in (7.5, 23.5)
    ]
    people = "\n".join(
        [
            "lon,lat,population,jobs",
            *(",".join(map(str, [*lonlat(c + 0.5, r + 0.5), 10, 5])) for r in range(2, 14) for c in range(7, 23)),
        ]
    )
    (folder / "cells.csv").write_text(people)
    return {
        "--elevation": write_terrain(folder / "dem.tif"),
        "--roads": geojson(folder / "roads.geojson", streets),
        "--population": folder / "cells.csv",
        "--zones": geojson(
            folder / "zones.geojson",
            [feature("Polygon", box(6, 12, 0, 16), name="Shore"), feature("Polygon", box(12, 24, 0, 16), name="Hill")],
        ),
        "--lines": geojson(
            folder / "lines.geojson",
            [feature("LineString", [lonlat(6.5, 0), lonlat(6.5, 16)], name="quay wall", sort="barrier", crest_m=4.0)],
        ),
    }


def build_place(folder: Path, *more: str | Path) -> Path:
    """The twin of the place, made up as it is; `more` are words of the command."""
    files = write_place(folder / "files")
    hospitals = geojson(
        folder / "files" / "hospitals.geojson",
        [feature("Point", lonlat(9.5, 8.5), id="h1", name="Shore Hospital", sort="hospital", amount=50, unit="persons")],
    )
    shelters = geojson(
        folder / "files" / "shelters.geojson",
        [feature("Point", lonlat(22.5, 8.5), id="s1", name="Hill School", sort="school", amount=900, unit="persons")],
    )
    words = [str(w) for pair in files.items() for w in pair]
    extra = ["--assets", f"hospitals={hospitals}", "--assets", f"shelters={shelters}", "--made-up", "--name", "Shoreham", *more]
    code, _, err = run("twin", "build", folder / "twin", *words, *extra)
    assert code == 0, err
    return folder / "twin"
