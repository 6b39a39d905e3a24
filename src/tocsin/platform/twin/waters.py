"""Water bodies that a level can be given for: found in the terrain, at a point, or inside polygons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from tocsin.platform.twin.manifest import WaterNote
from tocsin.platform.twin.notes import Notes
from tocsin.platform.twin.people import cells_of
from tocsin.platform.twin.vectors import inside, read_geoparquet, read_table, write_geoparquet
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.observations import column
from tocsin.vocabulary.place import Grid, Water

FLAT_SHARE_MIN = 0.01
# Of the cells beside a flat area, how many may be lower before it is taken for a plain in whole metres and not for water: an outlet or
# a dam, not a slope. A choice of ours, `unverified`.
LOWER_RIM_SHARE_MAX = 0.02
AUTO = "auto"
ASSUMED_ZERO = "the gauge's zero is taken to be the terrain's; give `,zero=METRES` if it is not"
FILE = "waters.parquet"


def write_waters(
    folder: Path, specs: Mapping[str, str] | None, ground: NDArray[np.float32], grid: Grid, notes: Notes
) -> tuple[tuple[WaterNote, ...], NDArray[np.bool_]]:
    """Find the waters, write them, and tell which cells are dry, (place,). Without specs: what the terrain shows, if anything.

    A spec is WHERE or WHERE,zero=METRES. WHERE is `auto` (flat areas of at least a hundredth of the twin with higher ground around them:
    NAME is the largest, NAME-2 the next), LON,LAT (what is connected to that point at the same height), or a file with polygons.
    """
    found: list[WaterNote] = []
    places: list[NDArray[np.int64]] = []
    dry = np.ones(grid.cells, bool)
    for name, spec in (specs if specs is not None else {"lake": AUTO}).items():
        notes.check_name(name, "--water")
        where, _, zero = spec.partition(",zero=")
        gauge_zero_m, note = _gauge_zero(name, spec, zero)
        bodies = _bodies(name, where, ground, grid, notes)
        if not bodies and specs is not None:
            raise InputError(
                f"--water {name}={spec}: no flat area of {FLAT_SHARE_MIN:.0%} of the twin; give a file or a lon,lat point in it"
            )
        for number, every in enumerate(bodies, 1):
            cells = every[dry[every]]
            if not cells.size:
                raise InputError(f"--water {name}={spec}: lies wholly in a water that was named before; leave one out")
            dry[cells] = False
            level_m = float(np.median(ground.reshape(-1)[cells]))
            if number == 1:
                one = WaterNote(name, int(cells.size), level_m, gauge_zero_m, note)
            else:  # a zero that was given is that of the water that was named
                one = WaterNote(f"{name}-{number}", int(cells.size), level_m, 0.0, ASSUMED_ZERO)
            notes.remark(
                f"water {one.name}: {one.cells:,} cells ({where}), surface at {level_m:g} m when the terrain was measured; {one.note}"
            )
            found.append(one)
            places.append(cells)
    if len({note.name for note in found}) != len(found):
        raise InputError(f"--water: two waters have one name: {', '.join(note.name for note in found)}")
    if found:
        write_geoparquet(
            folder / FILE,
            np.array([_outline(cells, grid) for cells in places], object),
            {
                "name": [note.name for note in found],
                "usual_level_m": [note.usual_level_m for note in found],
                "gauge_zero_m": [note.gauge_zero_m for note in found],
                "cells": [cells.tolist() for cells in places],
            },
            grid.crs,
        )
    return tuple(found), dry


def read_waters(folder: Path, waters: tuple[WaterNote, ...], grid: Grid) -> tuple[dict[str, Water], dict[str, Any]]:
    """The waters by name, and their outlines in the twin's metres."""
    if not waters:
        return {}, {}
    shapes, columns = read_geoparquet(folder / FILE, "name", "cells")
    if [str(name) for name in columns["name"]] != [note.name for note in waters]:
        raise InputError(f"{folder / FILE}: holds other waters than the manifest names; build the twin again")
    found = {}
    for note, cells in zip(waters, columns["cells"], strict=True):
        place = column(cells, np.int64)
        if place.size and not (place.min() >= 0 and place.max() < grid.cells):
            raise InputError(f"{folder / FILE}: {note.name} has cells outside the grid; build the twin again")
        found[note.name] = Water(note.name, place, note.usual_level_m, note.gauge_zero_m, note.note)
    return found, dict(zip(found, shapes, strict=True))


def _gauge_zero(name: str, spec: str, zero: str) -> tuple[float, str]:
    if not zero:
        return 0.0, ASSUMED_ZERO
    try:
        gauge_zero_m = float(zero)
    except ValueError as fault:
        raise InputError(f"--water {name}={spec}: zero = {zero!r}; wanted metres in the terrain's datum") from fault
    if not abs(gauge_zero_m) <= 9_000.0:
        raise InputError(f"--water {name}={spec}: zero = {zero} m; wanted -9,000..9,000 m in the terrain's datum")
    return gauge_zero_m, "the gauge's zero is as it was given"


def _bodies(name: str, where: str, ground: NDArray[np.float32], grid: Grid, notes: Notes) -> list[NDArray[np.int64]]:
    if where == AUTO:
        return flat_areas(ground)
    try:
        lon, lat = (float(part) for part in where.split(","))
    except ValueError:
        path = Path(where)
        if not path.is_file():
            raise InputError(
                f"--water {name}={where}: is neither `{AUTO}`, nor lon,lat, nor a file that is there; wanted one of them"
            ) from None
        what = f"water {name}"
        table = inside(read_table(path, grid, what=what), grid, what=what)
        if not (shapely.area(table.geometry) > 0).all():
            raise InputError(f"{what} {path}: holds something else than polygons; wanted the water's area") from None
        notes.cite(what, path)
        cells = np.unique(np.concatenate([cells_of(shape, grid) for shape in table.geometry]))
        return [cells] if cells.size else []
    x_m, y_m = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(lon, lat)
    seed = int(grid.place(x_m, y_m)) if np.isfinite([x_m, y_m]).all() else -1
    if seed < 0:
        raise InputError(f"--water {name}={where}: the point lies outside the twin; is it lon,lat?")
    return [_connected(ground, seed)]


def flat_areas(ground: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """Connected areas of exactly one height that are large, and lower than what is around them: water that was flattened; largest first."""
    from scipy.ndimage import binary_dilation, label

    around = np.ones((3, 3), bool)
    found: list[NDArray[np.int64]] = []
    heights, counts = np.unique(ground, return_counts=True)
    for height in heights[counts >= FLAT_SHARE_MIN * ground.size]:
        parts, _ = label(ground == height, structure=around)
        sizes = np.bincount(parts.reshape(-1))
        sizes[0] = 0
        for number in np.flatnonzero(sizes >= FLAT_SHARE_MIN * ground.size):
            part = parts == number
            rim = ground[binary_dilation(part, structure=around) & ~part]
            if rim.size and (rim < height).mean() <= LOWER_RIM_SHARE_MAX:
                found.append(np.flatnonzero(part).astype(np.int64))
    return sorted(found, key=lambda cells: (-cells.size, int(cells[0])))


def _connected(ground: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    from scipy.ndimage import label

    parts, _ = label(ground == ground.reshape(-1)[seed], structure=np.ones((3, 3), bool))
    return np.asarray(np.flatnonzero(parts == parts.reshape(-1)[seed]), np.int64)


def _outline(cells: NDArray[np.int64], grid: Grid) -> Any:
    """The outline of cells, in the twin's metres."""
    from rasterio.features import shapes
    from rasterio.transform import from_origin

    mask = np.zeros(grid.shape, np.uint8)
    mask.reshape(-1)[cells] = 1
    where = from_origin(grid.x_min_m, grid.y_max_m, grid.cell_m, grid.cell_m)
    return shapely.union_all([shapely.geometry.shape(s) for s, _ in shapes(mask, mask=mask.astype(bool), transform=where)])
