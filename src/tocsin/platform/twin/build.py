"""Build a twin: files of the usual kinds go in, a folder that says what it is comes out, or nothing at all."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
from pyproj import Transformer

from tocsin.platform.twin.dependencies import write_dependencies
from tocsin.platform.twin.folder import whole_folder, write_file
from tocsin.platform.twin.layers import (
    write_assets,
    write_buildings,
    write_gauges,
    write_lifelines,
    write_lines,
    write_roads,
    write_zones,
)
from tocsin.platform.twin.manifest import FORMAT, MANIFEST, Manifest, checksums
from tocsin.platform.twin.notes import Notes
from tocsin.platform.twin.people import Floors, read_people
from tocsin.platform.twin.rasters import read_extra, read_manning, read_terrain, write_field
from tocsin.platform.twin.waters import write_waters
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.place import Grid

Told = Callable[[str, int, int], None]
STEPS = ("terrain", "water", "roads", "buildings", "people", "zones", "assets", "checksums")
KIND_LONGEST = 40
NOT_KINDS = frozenset(
    [
        "buildings",
        "dependencies",
        "gauges",
        "lines",
        "people",
        "population",
        "roads",
        "water",
        "waters",
        "zones",
        "elevation",
        "landcover",
    ]
)
NOT_FIELDS = frozenset(
    ["elevation", "elevation_m", "manning", "population_night", "population_day", "water_depth_m"]
)  # what a twin, or a run that goes on from now, has under these names


def build_twin(
    folder: Path,
    *,
    elevation: Path,
    created: datetime,
    roads: Path | None = None,
    population: Path | None = None,
    buildings: Path | None = None,
    landcover: Path | None = None,
    zones: Path | None = None,
    lines: Path | None = None,
    gauges: Path | None = None,
    assets: Mapping[str, Path] | None = None,
    lifelines: Path | None = None,
    dependencies: Path | None = None,
    water: Mapping[str, str] | None = None,
    extra: Mapping[str, Path] | None = None,
    cell_m: float | None = None,
    crs: str | None = None,
    name: str | None = None,
    made_up: bool = False,
    time_zone: str = "",
    licences: Mapping[str, str] | None = None,
    attributions: Mapping[str, str] | None = None,
    titles: Mapping[str, str] | None = None,
    overwrite: bool = False,
    on_progress: Told | None = None,
) -> Manifest:
    """Build a twin folder of files; all or nothing.

    It is written beside its place and renamed when it is complete and on the disk: an error or Ctrl-C leaves no half of one, and an
    existing twin stays as it was unless `overwrite` is set and the new one is complete. `water` names water bodies: {"lake": "auto"},
    {"lake": "lake.geojson"} or {"lake": "-51.24,-30.03"} (a point in it), each with ",zero=0.3" if the gauge's zero is not the terrain's;
    without it the twin has what the terrain shows. `lifelines` is an
    OpenStreetMap file to take substations, pumps, masts and hospitals from, as far as it has them; `dependencies` is a CSV of which asset needs which: see `dependencies.py`.
    `extra` are further rasters by name, which a pack reads as the field of that name. `licences`, `attributions` and `titles` are by what ("elevation", "roads", a kind of
    assets, ...). The same files give the same layers, byte for byte. Raises InputError for what cannot be used, and says which file, what
    was wanted and what to do; Conflict where the folder is taken.
    """
    assets = assets or {}
    name = Notes.check_name(folder.resolve().name if name is None else name, "--name")
    for kind in assets:
        if not (kind.isascii() and kind.replace("_", "").isalnum() and kind == kind.lower() and len(kind) <= KIND_LONGEST):
            raise InputError(f"--assets {kind[:40]!r}: wanted a kind such as hospitals, shelters, fire_stations")
        if kind in NOT_KINDS:
            raise InputError(f"--assets {kind}: is no kind of assets; give it as --{kind}")
    for field in (extra := extra or {}):
        if not (field.isascii() and field.replace("_", "").isalnum() and len(field) <= KIND_LONGEST):
            raise InputError(f"--field {field[:40]!r}: wanted a name such as fuel_model, as the pack that reads it calls it")
        if field.lower() in NOT_FIELDS:
            raise InputError(f"--field {field}: the twin makes this field itself; wanted another name")
    if created.tzinfo is None:
        raise InputError(f"twin: created {created} has no zone; wanted UTC")
    _check_zone(time_zone)
    given = {"elevation": elevation, "roads": roads, "population": population, "buildings": buildings, "landcover": landcover}
    given |= {"zones": zones, "lines": lines, "gauges": gauges, "lifelines": lifelines, "dependencies": dependencies}
    notes = Notes(licences or {}, attributions or {}, titles or {})
    known = {what for what, path in given.items() if path is not None} | assets.keys()
    notes.check_known(known | {f"water {one}" for one in water or {}} | {f"field {one}" for one in extra})

    def step(what: str) -> None:
        if on_progress is not None:
            on_progress(what, STEPS.index(what), len(STEPS))

    with whole_folder(folder, overwrite=overwrite, marker=MANIFEST) as unfinished:
        fields = unfinished / "fields"
        fields.mkdir()
        (unfinished / "assets").mkdir()
        step("terrain")
        grid, ground, remarks = read_terrain(elevation, crs=crs, cell_m=cell_m)
        notes.cite("elevation", elevation)
        notes.remark(*remarks)
        write_field(fields / "elevation.tif", grid, ground, what="elevation, m")
        manning, remark = read_manning(landcover, grid)
        if landcover is not None:
            notes.cite("landcover", landcover)
        notes.remark(remark)
        write_field(fields / "manning.tif", grid, manning, what="Manning's n, s/m^(1/3)")
        for field, path in extra.items():
            values, remark = read_extra(path, grid, what=f"field {field}")
            notes.cite(f"field {field}", path)
            notes.remark(remark)
            write_field(fields / f"{field}.tif", grid, values, what=field)
        step("water")
        waters, dry = write_waters(unfinished, water, ground, grid, notes)
        step("roads")
        if roads is not None:
            write_roads(unfinished, roads, grid, notes)
        step("buildings")
        floors: Floors | None = None
        if buildings is not None:
            floors = write_buildings(unfinished, buildings, grid, notes)
        step("people")
        night = np.zeros(grid.cells)
        if population is not None:
            people = read_people(population, grid, dry=dry, floors=floors)
            notes.cite("population", population)
            notes.remark(*people.remarks)
            night = people.night
            write_field(fields / "population_night.tif", grid, people.night, what="persons by night")
            write_field(fields / "population_day.tif", grid, people.day, what="persons by day")
            notes.counts |= {"people_night": float(people.night.sum()), "people_day": float(people.day.sum())}
        step("zones")
        ids = {"zones": write_zones(unfinished, zones, grid, night=night, dry=dry, notes=notes)}
        if lines is not None:
            write_lines(unfinished, lines, grid, notes)
        step("assets")
        for kind, path in assets.items():
            ids[kind] = write_assets(unfinished, kind, path, grid, notes)
        if lifelines is not None:
            ids |= write_lifelines(unfinished, lifelines, grid, notes, given=assets.keys())
        if dependencies is not None:
            write_dependencies(unfinished, dependencies, ids, notes)
        if gauges is not None:
            write_gauges(unfinished, gauges, grid, zero_m={note.name: note.gauge_zero_m for note in waters}, notes=notes)
        step("checksums")
        manifest = Manifest(
            format=FORMAT,
            name=name,
            made_up=made_up,
            created=created,
            grid=grid,
            extent_lonlat=_extent(grid),
            sources=tuple(notes.sources),
            waters=waters,
            counts=notes.counts,
            remarks=tuple(notes.remarks),
            files=checksums(unfinished),
            time_zone=time_zone,
        )
        write_file(unfinished / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        if on_progress is not None:
            on_progress("done", len(STEPS), len(STEPS))
    return manifest


def _check_zone(time_zone: str) -> None:
    if not time_zone:
        return
    try:
        zoneinfo.ZoneInfo(time_zone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as fault:
        raise InputError(
            f"--time-zone {time_zone[:40]!r}: is not known here; wanted an IANA name, e.g. America/Sao_Paulo"
        ) from fault


def _extent(grid: Grid) -> tuple[float, float, float, float]:
    """West, south, east, north in degrees; west is larger than east where the twin crosses 180 degrees."""
    west, south, east, north = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform_bounds(*grid.bounds_m)
    return west, south, east, north
