"""A twin that was built: opened lazily, and seen as a world at any moment."""

from __future__ import annotations

import threading
import zoneinfo
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from tocsin.pack.rule import Limits
from tocsin.platform.twin.dependencies import FILE as DEPENDENCIES
from tocsin.platform.twin.dependencies import open_dependencies
from tocsin.platform.twin.manifest import MANIFEST, check_files, read_manifest, sha256_of
from tocsin.platform.twin.rasters import read_field
from tocsin.platform.twin.vectors import read_geoparquet
from tocsin.platform.twin.waters import read_waters
from tocsin.vocabulary import (
    Assets,
    Dependency,
    Grid,
    InputError,
    Level,
    Line,
    NotFound,
    Quantity,
    Roads,
    Unavailable,
    Water,
    Window,
    World,
    Zones,
    column,
)

Readings = Callable[[Quantity, float], Window]

DAY_FROM_H, DAY_TO_H = (
    8.0,
    18.0,
)  # an assumption: people are at work from 8 to 18 h; an hour before and after, a part is on its way
NEARBY_M = 750.0
TILES_KEPT = 256  # about 25 MB of terrain tiles
FIELD_FILES = {"elevation_m": "elevation"}
EDGE_COLUMNS = ("source", "target", "length_m", "speed_km_per_h", "way", "highway", "name", "bridge", "places")
LEVELS = (Level.BLUE, Level.YELLOW, Level.ORANGE, Level.RED)
GAUGE_ERRORS = ("error_sd", "error_share")


class Gauge(msgspec.Struct, frozen=True):
    """A sensor's place in the twin. `zero_m` is its zero in the terrain's datum, NaN where nobody said; `water` is what it stands in.

    `error_sd` is how far the truth may lie from what it shows, as a standard deviation in the quantity's unit, `error_share` the same as a share of
    an amount of rain; NaN where nobody said.
    """

    site: str
    name: str
    quantity: str
    x_m: float
    y_m: float
    lon: float
    lat: float
    place: int
    zero_m: float
    limits: Limits | None
    unit: str = ""
    water: str = ""
    error_sd: float = float("nan")
    error_share: float = float("nan")


class Recent:
    """The latest things that were made of a twin and cost to make again, at most `kept` of them. Safe for threads."""

    def __init__(self, kept: int) -> None:
        self._kept, self._lock = kept, threading.Lock()
        self._made: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """What was made for the key, or what `make` makes now."""
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        made = make()
        with self._lock:
            self._made[key] = made
            while len(self._made) > self._kept:
                self._made.popitem(last=False)
        return made


class Twin:
    """A twin folder. Layers are read when they are first asked for; nothing in it is ever written. Safe for threads."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.manifest = folder, read_manifest(folder)
        self.grid: Grid = self.manifest.grid
        self.recent = Recent(TILES_KEPT)
        self._fields: dict[str, NDArray[np.float32]] = {}
        self._assets: dict[str, Assets] = {}
        self._lock = threading.RLock()
        self._zone = _zone_of(folder, self.manifest.time_zone) if self.manifest.time_zone else None
        self._to_lonlat = Transformer.from_crs(self.grid.crs, "EPSG:4326", always_xy=True)

    def world(
        self, time: datetime, *, readings: Readings | None = None, fields: Mapping[str, NDArray[np.float32]] | None = None
    ) -> World:
        """The twin at one moment, with what the sensors say, and fields that hold at this moment only (the water that stands now)."""
        return _World(self, time, readings, fields or {})

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest, which holds that of every file: one twin, one digest."""
        return sha256_of(self.folder / MANIFEST)

    def field_names(self) -> tuple[str, ...]:
        """The fields that there are."""
        return tuple(sorted(Path(name).stem for name in self.manifest.files if name.startswith("fields/")))

    def field(self, name: str) -> NDArray[np.float32]:
        """One field, (row, col), read-only; raises NotFound with those that there are."""
        with self._lock:
            if name not in self._fields:
                if name not in self.field_names():
                    raise NotFound(f"twin {self.manifest.name}: no field {name!r}; there are: {', '.join(self.field_names())}")
                self._fields[name] = column(read_field(self.folder / "fields" / f"{name}.tif", self.grid), np.float32)
            return self._fields[name]

    @cached_property
    def _people(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Persons per cell by night and by day, in full precision."""
        if "population_night" not in self.field_names():
            return column(np.zeros(self.grid.cells), np.float64), column(np.zeros(self.grid.cells), np.float64)
        night, day = (read_field(self.folder / "fields" / f"population_{part}.tif", self.grid) for part in ("night", "day"))
        return column(night.reshape(-1), np.float64), column(day.reshape(-1), np.float64)

    def people(self, hour: float) -> NDArray[np.float64]:
        """Persons per cell, (place,), at an hour of the local day: by night until 7, by day from 8 to 18, by night from 19, lines between.

        The hours are an assumption of ours, the same everywhere and on every day of the week.
        """
        if not 0 <= hour <= 24:
            raise InputError(f"people at hour {hour}; wanted 0..24")
        share = float(np.interp(hour, (DAY_FROM_H - 1, DAY_FROM_H, DAY_TO_H, DAY_TO_H + 1), (0.0, 1.0, 1.0, 0.0)))
        night, day = self._people
        return np.asarray((1.0 - share) * night + share * day)

    def local_hour(self, time: datetime) -> float:
        """The hour of the local day, 0..24: by the twin's time zone where it has one, otherwise by the sun (legal time may differ)."""
        if self._zone is not None:
            time = time.astimezone(self._zone)
            return time.hour + time.minute / 60.0 + time.second / 3600.0
        return _sun_hour(self.grid, time)

    @cached_property
    def roads(self) -> Roads:
        """The road graph; an empty one where the twin has none."""
        if "roads/edges.parquet" not in self.manifest.files:
            nothing: dict[str, Any] = dict.fromkeys(("source", "target"), column([], np.int32))
            nothing |= dict.fromkeys(
                ("node_x_m", "node_y_m", "length_m", "speed_km_per_h", "line_x_m", "line_y_m"), column([], np.float64)
            )
            nothing |= dict.fromkeys(("way", "places"), column([], np.int64)) | dict.fromkeys(
                ("start", "line_start"), column([0], np.int64)
            )
            return Roads(**nothing, highway=(), name=(), bridge=column([], bool))
        path = self.folder / "roads" / "edges.parquet"
        lines, edge = read_geoparquet(path, *EDGE_COLUMNS)
        nodes, _ = read_geoparquet(self.folder / "roads" / "nodes.parquet")
        points, owner = shapely.get_coordinates(lines, return_index=True)
        places = np.concatenate(edge["places"])
        start = np.append(0, np.cumsum([len(cells) for cells in edge["places"]]))
        ends = np.concatenate([edge["source"], edge["target"]])
        if (
            ends.min() < 0
            or ends.max() >= len(nodes)
            or (places.size and not (places.min() >= 0 and places.max() < self.grid.cells))
        ):
            raise InputError(f"{path}: names nodes or cells that the twin does not have; build the twin again")
        return Roads(
            node_x_m=column(shapely.get_x(nodes), np.float64),
            node_y_m=column(shapely.get_y(nodes), np.float64),
            source=column(edge["source"], np.int32),
            target=column(edge["target"], np.int32),
            length_m=column(edge["length_m"], np.float64),
            speed_km_per_h=column(edge["speed_km_per_h"], np.float64),
            way=column(edge["way"], np.int64),
            highway=tuple(map(str, edge["highway"])),
            name=tuple(map(str, edge["name"])),
            bridge=column(edge["bridge"], bool),
            start=column(start, np.int64),
            places=column(places, np.int64),
            line_start=column(np.append(0, np.cumsum(np.bincount(owner, minlength=len(lines)))), np.int64),
            line_x_m=column(points[:, 0], np.float64),
            line_y_m=column(points[:, 1], np.float64),
        )

    @cached_property
    def zone_shapes(self) -> dict[str, Any]:
        """The zones' outlines in the twin's metres, by name."""
        path = self.folder / "zones.parquet"
        if "zones.parquet" not in self.manifest.files:
            return {}
        shapes, columns = read_geoparquet(path, "name")
        return dict(zip(map(str, columns["name"]), shapes, strict=True))

    @cached_property
    def zones(self) -> Zones:
        """Which zone each cell's middle lies in; where zones overlap, the first."""
        from tocsin.platform.twin.people import cells_of

        zone_of = np.full(self.grid.cells, -1, np.int32)
        for number, shape in reversed(list(enumerate(self.zone_shapes.values()))):
            zone_of[cells_of(shape, self.grid)] = number
        return Zones(tuple(self.zone_shapes), column(zone_of, np.int32))

    @cached_property
    def lines(self) -> dict[str, Line]:
        """Named lines: barriers, dikes."""
        path = self.folder / "lines.parquet"
        if "lines.parquet" not in self.manifest.files:
            return {}
        shapes, columns = read_geoparquet(path, "name", "sort", "crest_m")
        found = {}
        for row, shape in enumerate(shapes):
            points, crest_m = shapely.get_coordinates(shape), float(columns["crest_m"][row])
            name = str(columns["name"][row])
            found[name] = Line(
                name,
                str(columns["sort"][row]),
                column(points[:, 0], np.float64),
                column(points[:, 1], np.float64),
                crest_m if np.isfinite(crest_m) else None,
            )
        return found

    @property
    def waters(self) -> dict[str, Water]:
        """Water bodies that a level can be given for."""
        return self._waters[0]

    @property
    def water_shapes(self) -> dict[str, Any]:
        """The waters' outlines in the twin's metres, by name."""
        return self._waters[1]

    @cached_property
    def _waters(self) -> tuple[dict[str, Water], dict[str, Any]]:
        return read_waters(self.folder, self.manifest.waters, self.grid)

    @cached_property
    def buildings(self) -> tuple[NDArray[Any], tuple[str, ...]]:
        """The footprints of the buildings in the twin's metres, and what each is for."""
        if "buildings.parquet" not in self.manifest.files:
            return np.empty(0, object), ()
        shapes, columns = read_geoparquet(self.folder / "buildings.parquet", "sort")
        return shapes, tuple(map(str, columns["sort"]))

    def asset_kinds(self) -> tuple[str, ...]:
        """The kinds of assets that there are, buildings included."""
        kinds = sorted(Path(name).stem for name in self.manifest.files if name.startswith("assets/"))
        return ("buildings", *kinds) if "buildings.parquet" in self.manifest.files else tuple(kinds)

    def assets(self, kind: str) -> Assets:
        """All assets of a kind; none is an empty set of columns."""
        with self._lock:
            if kind not in self._assets:
                self._assets[kind] = self._read_assets(kind)
            return self._assets[kind]

    def _read_assets(self, kind: str) -> Assets:
        if kind not in self.asset_kinds():
            empty = column([], np.float64)
            return Assets(kind, "", (), (), (), empty, empty, column([], np.int64), empty)
        path = self.folder / ("buildings.parquet" if kind == "buildings" else f"assets/{kind}.parquet")
        shapes, columns = read_geoparquet(path, "id", "name", "sort", "amount", *(() if kind == "buildings" else ("unit",)))
        middle = shapely.centroid(shapes)
        x_m, y_m = shapely.get_x(middle), shapely.get_y(middle)
        return Assets(
            kind,
            "m2" if kind == "buildings" else str(columns["unit"][0]),
            tuple(map(str, columns["id"])),
            tuple(map(str, columns["name"])),
            tuple(map(str, columns["sort"])),
            column(x_m, np.float64),
            column(y_m, np.float64),
            column(self.grid.place(x_m, y_m), np.int64),
            column(columns["amount"], np.float64),
        )

    @cached_property
    def dependencies(self) -> tuple[Dependency, ...]:
        """Which asset needs which, as far as the twin was told."""
        return open_dependencies(self.folder) if DEPENDENCIES in self.manifest.files else ()

    @cached_property
    def gauges(self) -> tuple[Gauge, ...]:
        """The sensors that the twin knows of."""
        path = self.folder / "gauges.parquet"
        if "gauges.parquet" not in self.manifest.files:
            return ()
        colours = tuple(level.word for level in LEVELS)
        shapes, columns = read_geoparquet(path, "site", "name", "quantity", "unit", "water", "zero_m", "limits_source", *colours)
        found = []
        for row, shape in enumerate(shapes):
            lon, lat = self._to_lonlat.transform(shape.x, shape.y)
            errors = [float(columns[c][row]) if c in columns else float("nan") for c in GAUGE_ERRORS]  # none in older twins
            at = {level: float(columns[level.word][row]) for level in LEVELS if np.isfinite(columns[level.word][row])}
            source = str(columns["limits_source"][row])
            unit = str(columns["unit"][row])
            limits = Limits(at, unit, source or "set with the gauge, source not named", verified=bool(source)) if at else None
            found.append(
                Gauge(
                    str(columns["site"][row]),
                    str(columns["name"][row]),
                    str(columns["quantity"][row]),
                    float(shape.x),
                    float(shape.y),
                    float(lon),
                    float(lat),
                    int(self.grid.place(shape.x, shape.y)),
                    float(columns["zero_m"][row]),
                    limits,
                    unit,
                    str(columns["water"][row]),
                    *errors,
                )
            )
        return tuple(found)

    def lonlat(self, shape: Any) -> Any:
        """A geometry of the twin in longitude and latitude."""
        return shapely.transform(shape, lambda points: np.column_stack(self._to_lonlat.transform(points[:, 0], points[:, 1])))

    def surroundings(self, gauge: Gauge) -> tuple[str, Any]:
        """Whom a warning at a gauge concerns: the zones near it, as a name and an outline in longitude and latitude."""
        here = shapely.Point(gauge.x_m, gauge.y_m).buffer(NEARBY_M)
        near = {name: shape for name, shape in self.zone_shapes.items() if shape.intersects(here)}
        if not near:
            return gauge.name or gauge.site, self.lonlat(here)
        return ", ".join(near), self.lonlat(shapely.union_all(list(near.values())))


class _World:
    """A twin at one moment. See `World` for what each part promises."""

    def __init__(self, twin: Twin, time: datetime, readings: Readings | None, fields: Mapping[str, NDArray[np.float32]]) -> None:
        self._twin, self._time, self._readings, self._fields = twin, time, readings, fields

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the same folder; what holds at this moment only goes along, and readings do not."""
        fields = {name: np.asarray(field) for name, field in self._fields.items()}
        return _open_world, (self._twin.folder.absolute(), self._twin.digest, self._time, fields, self._readings is not None)

    @property
    def time(self) -> datetime:
        return self._time

    @property
    def grid(self) -> Grid:
        return self._twin.grid

    @property
    def made_up(self) -> bool:
        return self._twin.manifest.made_up

    def window(self, quantity: Quantity, span_s: float) -> Window:
        if self._readings is not None:
            return self._readings(quantity, span_s)
        nothing = np.zeros((0, 0))
        return Window(quantity, (), nothing, nothing, nothing.astype(bool))

    def field(self, quantity: Quantity) -> NDArray[np.float32]:
        if quantity.name in self._fields:
            return self._fields[quantity.name]
        return self._twin.field(FIELD_FILES.get(quantity.name, quantity.name))

    def assets(self, kind: str) -> Assets:
        return self._twin.assets(kind)

    def people(self, hour: float) -> NDArray[np.float64]:
        return self._twin.people(hour)

    def local_hour(self, time: datetime) -> float:
        return self._twin.local_hour(time)

    @property
    def roads(self) -> Roads:
        return self._twin.roads

    @property
    def zones(self) -> Zones:
        return self._twin.zones

    def water(self, name: str) -> Water:
        if name not in self._twin.waters:
            raise NotFound(
                f"twin {self._twin.manifest.name}: no water {name!r}; there are: {', '.join(self._twin.waters) or 'none'}"
            )
        return self._twin.waters[name]

    def waters(self) -> tuple[str, ...]:
        return tuple(self._twin.waters)

    def lines(self) -> tuple[str, ...]:
        return tuple(self._twin.lines)

    def line(self, name: str) -> Line:
        if name not in self._twin.lines:
            raise NotFound(
                f"twin {self._twin.manifest.name}: no line {name!r}; there are: {', '.join(self._twin.lines) or 'none'}"
            )
        return self._twin.lines[name]

    def dependencies(self) -> tuple[Dependency, ...]:
        return self._twin.dependencies


def _open_world(
    folder: Path, digest: str, time: datetime, fields: Mapping[str, NDArray[np.float32]], had_readings: bool
) -> World:
    """The same world in another process; raises Unavailable where the folder is not there, or is another twin."""
    try:
        twin = _twin_at(folder, digest)
    except NotFound as fault:
        raise Unavailable(
            f"{folder}: the twin is not there on this worker; give all workers the folder at the same path"
        ) from fault
    if twin.digest != digest:
        raise Unavailable(f"{folder}: is another twin on this worker; give all workers the same folder")
    return twin.world(time, readings=_no_readings if had_readings else None, fields=fields)


@lru_cache(maxsize=2)
def _twin_at(folder: Path, digest: str) -> Twin:  # noqa: ARG001
    return Twin(folder)  # by digest too: a folder that was built again is read again


def _no_readings(quantity: Quantity, span_s: float) -> Window:
    raise Unavailable(
        f"{quantity.name} of the last {span_s:g} s: readings stay with the platform; a model that asks for them runs with --compute threads"
    )


def open_twin(folder: Path, *, verify: bool = False) -> Twin:
    """Open a twin folder; with `verify` every file is held to its checksum first."""
    twin = Twin(folder)
    if verify:
        check_files(folder, twin.manifest)
    return twin


def local_hour(world: World, time: datetime) -> float:
    """The hour of the local day, 0..24, by the twin's time zone or the sun. See `Twin.local_hour`."""
    return world.local_hour(time) if isinstance(world, _World) else _sun_hour(world.grid, time)


def _zone_of(folder: Path, name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as fault:
        raise InputError(
            f"{folder}: its time zone {name[:40]!r} is not known on this machine; install the system's time zones or `pip install tzdata`"
        ) from fault


def _sun_hour(grid: Grid, time: datetime) -> float:
    """UTC plus the longitude's share of a day."""
    west, south, east, north = grid.bounds_m
    lon, _ = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform((west + east) / 2, (south + north) / 2)
    time = time.astimezone(UTC)
    return float((time.hour + time.minute / 60.0 + time.second / 3600.0 + lon / 15.0) % 24.0)
