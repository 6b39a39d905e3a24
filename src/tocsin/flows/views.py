"""A stored forecast as a person asks of it: how strong here, how likely, when, which roads, which zone."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from tocsin.pack import Pack
from tocsin.platform.forecasts import StoredForecast
from tocsin.vocabulary import Footprint, Forecast, Grid, InputError, NotFound, World

QUANTILES = {"q05": 0.05, "q50": 0.50, "q95": 0.95}
FIELDS_KEPT = 24
FILM_SHARE = (
    1.0 / 3.0
)  # of what is dangerous: less slows nobody who can see it, as a film of rain (0.1 m of 0.3 m; `unverified` for others)
ARRIVED_SHARE_MIN = 0.05  # below this share of futures no arrival time is told: it would be the time of one or two


class LonLat:
    """Between the twin's metres and longitude, latitude (WGS 84)."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._out = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
        self._in = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True)

    def of(self, x_m: Any, y_m: Any) -> list[list[float]]:
        """[[lon, lat], ...] of points."""
        lon, lat = self._out.transform(np.atleast_1d(x_m), np.atleast_1d(y_m))
        return [[round(float(a), 7), round(float(b), 7)] for a, b in zip(lon, lat, strict=True)]

    def place(self, lon: float, lat: float) -> int:
        """The cell at a longitude and latitude; raises NotFound outside the twin."""
        x_m, y_m = self._in.transform(lon, lat)
        place = int(self.grid.place(x_m, y_m)) if np.isfinite([x_m, y_m]).all() else -1
        if place < 0:
            raise NotFound(f"{lon:.5f}, {lat:.5f} lies outside the twin")
        return place

    def corners(self) -> list[list[float]]:
        """The grid's corners: north-west, north-east, south-east, south-west."""
        west, south, east, north = self.grid.bounds_m
        return self.of([west, east, east, west], [north, north, south, south])


class ForecastView:
    """One forecast beside the world that it was made for. Safe to ask from several threads."""

    def __init__(self, forecast_id: str, record: Forecast, stored: StoredForecast, world: World, pack: Pack, hour: float) -> None:
        self.id, self.record, self.stored, self.world, self.pack = forecast_id, record, stored, world, pack
        self._hour = hour
        self._fields: OrderedDict[tuple[str, int | None], NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    @cached_property
    def footprint(self) -> Footprint:
        return self.stored.footprint()

    @cached_property
    def lonlat(self) -> LonLat:
        return LonLat(self.stored.meta.grid)

    def summary(self) -> dict[str, Any]:
        """What the forecast is of, without its fields."""
        row: dict[str, Any] = msgspec.to_builtins(self.record, builtin_types=())
        limits = next((m.limits for m in self.pack.models if m.name == self.record.model), "")
        return row | {
            "id": self.id,
            "limits": limits,
            "frame_s": list(self.stored.meta.frame_s),
            "corners": self.lonlat.corners(),
            "quantity": msgspec.to_builtins(self.stored.meta.quantity),
            "danger_from": self.pack.harm.danger_from,
            "shown_as": self.pack.harm.shown_as,
            "words": dict(self.pack.harm.words),
            "opens_with": self.pack.harm.opens_with,
            "made_up": self.stored.meta.made_up,
        }

    def field(self, which: str, frame: int | None) -> NDArray[np.float32]:
        """One field, (row, col): a quantile over the futures, the chance of danger, or one future; at a frame, or the peak."""
        with self._lock:
            if (which, frame) in self._fields:
                self._fields.move_to_end((which, frame))
                return self._fields[which, frame]
        field = self._compute(which, frame).astype(np.float32).reshape(self.stored.meta.grid.shape)
        with self._lock:
            self._fields[which, frame] = field
            if len(self._fields) > FIELDS_KEPT:
                self._fields.popitem(last=False)
        return field

    def _compute(self, which: str, frame: int | None) -> NDArray[Any]:
        members = self.footprint.peak if frame is None else self.stored.frame(frame)
        if which in QUANTILES:
            return np.asarray(np.quantile(members, QUANTILES[which], axis=0))
        if which == "chance":
            return np.asarray(self.pack.harm.share(members).mean(axis=0))
        number = which.removeprefix("member:")
        if number.isdigit() and int(number) < self.footprint.members:
            return np.asarray(members[int(number)])
        raise InputError(
            f"view = {which!r}; wanted {', '.join(QUANTILES)}, chance, or member:0 to member:{self.footprint.members - 1}"
        )

    def at(self, lon: float, lat: float) -> dict[str, Any]:
        """What may happen at one place."""
        place = self.lonlat.place(lon, lat)
        peak, arrival_s = self.footprint.peak[:, place], self.footprint.arrival_s[:, place]
        came = np.isfinite(arrival_s)
        arrival_h = None
        if came.mean() >= ARRIVED_SHARE_MIN:
            arrival_h = {name: float(np.quantile(arrival_s[came], q)) / 3600.0 for name, q in QUANTILES.items()}
        return {
            "depth": {name: float(np.quantile(peak, q)) for name, q in QUANTILES.items()},
            "chance": float(self.pack.harm.share(peak).mean()),
            "arrival_h": arrival_h,
            "people": float(self.world.people(self.pack.harm.hour(self._hour))[place]),
        }

    def roads(self, field: NDArray[Any]) -> dict[str, Any]:
        """Streets that the field cuts or slows, each once, as GeoJSON lines."""
        roads, harm = self.world.roads, self.pack.harm
        worst = roads.worst_along(field)
        lost = np.zeros(len(roads)) if harm.road_speed is None else harm.road_speed.share(worst)
        film = np.float32(FILM_SHARE * (harm.danger_from or 0.0))
        features: list[dict[str, Any]] = []
        seen: set[tuple[int, float]] = set()
        for edge in np.flatnonzero((lost > 0.0) & (worst >= film)):
            # both directions of a street lie on the same line
            key = (int(roads.way[edge]), round(float(roads.length_m[edge]), 2))
            if key in seen:
                continue
            seen.add(key)
            part = slice(int(roads.line_start[edge]), int(roads.line_start[edge + 1]))
            features.append(
                {
                    "type": "Feature",
                    "properties": {
                        "name": roads.name[edge],
                        "class": roads.highway[edge],
                        "state": "cut" if lost[edge] >= 1.0 else "slow",
                        "peak": float(f"{worst[edge]:.3g}"),
                    },
                    "geometry": {"type": "LineString", "coordinates": self.lonlat.of(roads.line_x_m[part], roads.line_y_m[part])},
                }
            )
        return {"type": "FeatureCollection", "features": features}

    @cached_property
    def chains(self) -> dict[str, Any]:
        """The path of the risk: what fails in these futures and why, and what would help; points with their longitude and latitude."""
        from tocsin.flows.chains import trace_chains

        place = self.record.subject
        report = trace_chains(place, self.world, [self.pack], [self.footprint], hour=self._hour, seed=self.record.seed)
        row: dict[str, Any] = msgspec.to_builtins(report)
        where = self.lonlat.of([p.x_m for p in report.points], [p.y_m for p in report.points]) if report.points else []
        for point, (lon, lat) in zip(row["points"], where, strict=True):
            point |= {"lon": lon, "lat": lat}
        return row | {"forecast": self.id}

    def zones(self) -> list[dict[str, Any]]:
        """People in the hazard's way, zone by zone, worst first."""
        zones, people = self.world.zones, self.world.people(self.pack.harm.hour(self._hour))
        rows = []
        for name in zones.name:
            places = zones.places(name)
            here = people[places]
            exposed = self.pack.harm.share(self.footprint.peak[:, places]) @ here
            arrival_s = np.where(here > 0, self.footprint.arrival_s[:, places], np.inf)
            first_s = arrival_s.min(axis=1) if places.size else np.full(self.footprint.members, np.inf)
            came = np.isfinite(first_s)
            low, middle, high = (float(np.quantile(exposed, q)) for q in QUANTILES.values())
            rows.append(
                {
                    "zone": name,
                    "people": float(here.sum()),
                    "exposed": {"mean": float(exposed.mean()), "low": low, "middle": middle, "high": high, "unit": "persons"},
                    "chance": float((exposed > 0.5).mean()),
                    "first_arrival_h": float(np.median(first_s[came])) / 3600.0 if came.mean() >= ARRIVED_SHARE_MIN else None,
                }
            )
        return sorted(rows, key=lambda row: (-row["exposed"]["mean"], row["zone"]))
