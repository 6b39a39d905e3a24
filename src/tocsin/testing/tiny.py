"""A world so small that everything in it can be checked by hand: one street through two zones, a barrier, a shelter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Transformer

from tocsin.vocabulary import Assets, Dependency, Grid, InputError, Line, NotFound, Quantity, Roads, Water, Window, Zones, column

# What a world may be without; a twin of a place that nobody has mapped well has no more.
PARTS = ("roads", "zones", "assets", "waters", "lines", "people")


class Thing(NamedTuple):
    """An asset to stand in the tiny world: in which cell, how much of the kind's unit it stands for, and of which sort it is."""

    id: str
    place: int
    amount: float = 0.0
    sort: str = ""
    name: str = ""


class TinyWorld:
    """4 x 6 cells of 10 m. Zone `low` is the western half, `high` the eastern; ten people in each cell of row 1.

    The street runs along row 1 from west to east, a node in each cell's middle, and ends at the shelter in the easternmost cell.
    The barrier `gate` stands between columns 2 and 3, from the northern to the southern edge.

    `fields` are further fields by name, a number or (row, col); `things` further assets by kind; `readings` windows by quantity;
    `without` names PARTS that are not there.
    """

    time = datetime(2026, 1, 1, tzinfo=UTC)
    made_up = True

    def __init__(
        self,
        ground_m: NDArray[np.float64] | None = None,
        *,
        cell_m: float = 10.0,
        fields: Mapping[str, ArrayLike] | None = None,
        things: Mapping[str, Sequence[Thing]] | None = None,
        readings: Mapping[str, Window] | None = None,
        without: Collection[str] = (),
    ) -> None:
        if unknown := set(without) - set(PARTS):
            raise InputError(f"tiny world: without {', '.join(sorted(unknown))}; it can be without {', '.join(PARTS)}")
        self._without, self._readings, self._things = frozenset(without), dict(readings or {}), dict(things or {})
        self.grid = Grid("EPSG:32631", 0.0, 4 * cell_m, cell_m, 4, 6)
        self._fields: Mapping[str, NDArray[np.float32]] = {
            "elevation_m": (np.zeros((4, 6)) if ground_m is None else ground_m).astype(np.float32),
            "manning": np.full((4, 6), 0.03, np.float32),
            **{name: np.array(np.broadcast_to(np.asarray(v, np.float32), (4, 6))) for name, v in (fields or {}).items()},
        }
        for values in self._fields.values():
            values.setflags(write=False)
        self._lines: tuple[str, ...] = () if "lines" in self._without else ("gate",)
        self._waters: tuple[str, ...] = () if "waters" in self._without else ("lake",)
        x_m = (np.arange(6) + 0.5) * cell_m
        y_m = np.full(6, 2.5 * cell_m)
        ahead, back = np.arange(5), np.arange(1, 6)
        source, target = np.concatenate([ahead, back]), np.concatenate([back, ahead])
        places = np.column_stack([6 + source, 6 + target]).reshape(-1)
        self.roads = Roads(
            node_x_m=column(x_m, np.float64),
            node_y_m=column(y_m, np.float64),
            source=column(source, np.int32),
            target=column(target, np.int32),
            length_m=column(np.full(10, cell_m), np.float64),
            speed_km_per_h=column(np.full(10, 30.0), np.float64),
            way=column(np.concatenate([ahead, ahead]), np.int64),
            highway=("residential",) * 10,
            name=("Main Street",) * 10,
            bridge=column(np.zeros(10), bool),
            start=column(np.arange(11) * 2, np.int64),
            places=column(places, np.int64),
            line_start=column(np.arange(11) * 2, np.int64),
            line_x_m=column(x_m[np.column_stack([source, target])].reshape(-1), np.float64),
            line_y_m=column(np.full(20, y_m[0]), np.float64),
        )
        zone_of = np.tile(np.where(np.arange(6) < 3, 0, 1), (4, 1))
        self.zones = Zones(("low", "high"), column(zone_of.reshape(-1), np.int32))
        if "roads" in self._without:
            self.roads = _no_roads()
        if "zones" in self._without:
            self.zones = Zones((), column(np.full(24, -1), np.int32))

    def point(self, place: int) -> str:
        """The middle of a cell as a forcing or an effect names it: "lon,lat"."""
        x_m, y_m = self.grid.centre(place)
        lon, lat = Transformer.from_crs(self.grid.crs, "EPSG:4326", always_xy=True).transform(float(x_m), float(y_m))
        return f"{lon:.7f},{lat:.7f}"

    def window(self, quantity: Quantity, span_s: float) -> Window:
        if quantity.name in self._readings:
            said = self._readings[quantity.name]
            return Window(quantity, said.sites, said.age_s, said.value, said.good & (said.age_s <= span_s))
        nothing = np.zeros((0, 0))
        return Window(quantity, (), nothing, nothing, nothing.astype(bool))

    def field(self, quantity: Quantity) -> NDArray[np.float32]:
        if quantity.name not in self._fields:
            raise NotFound(f"tiny world: no field {quantity.name!r}; there are: {', '.join(self._fields)}")
        return self._fields[quantity.name]

    def assets(self, kind: str) -> Assets:
        rows = {"shelters": Thing("shelter-1", 11, 25.0, "hall", "Hall"), "buildings": Thing("house-1", 6, 100.0, "residential")}
        found = [] if "assets" in self._without else [*([rows[kind]] if kind in rows else ()), *self._things.get(kind, ())]
        place = np.array([thing.place for thing in found], np.int64)
        x_m, y_m = self.grid.centre(place)
        return Assets(
            kind,
            "m2" if kind == "buildings" else "persons",
            tuple(thing.id for thing in found),
            tuple(thing.name for thing in found),
            tuple(thing.sort for thing in found),
            column(x_m, np.float64),
            column(y_m, np.float64),
            column(place, np.int64),
            column([thing.amount for thing in found], np.float64),
        )

    def people(self, hour: float) -> NDArray[np.float64]:  # noqa: ARG002
        people = np.zeros((4, 6))
        if "people" not in self._without:
            people[1] = 10.0
        return people.reshape(-1)

    def water(self, name: str) -> Water:
        if name not in self._waters:
            raise NotFound(f"tiny world: no water {name!r}; there are: {', '.join(self._waters) or 'none'}")
        return Water("lake", column([0, 6, 12, 18], np.int64), 0.0, 0.0)

    def waters(self) -> tuple[str, ...]:
        return self._waters

    def lines(self) -> tuple[str, ...]:
        return self._lines

    def line(self, name: str) -> Line:
        if name not in self._lines:
            raise NotFound(f"tiny world: no line {name!r}; there are: {', '.join(self._lines) or 'none'}")
        middle, south, north = 3 * self.grid.cell_m, -self.grid.cell_m, 5 * self.grid.cell_m
        return Line("gate", "barrier", column([middle, middle], np.float64), column([south, north], np.float64), crest_m=3.0)

    def dependencies(self) -> tuple[Dependency, ...]:
        return ()


def _no_roads() -> Roads:
    nodes, edges, none = column(np.zeros(0), np.float64), column(np.zeros(0), np.int32), column(np.zeros(0), np.int64)
    return Roads(
        nodes,
        nodes,
        edges,
        edges,
        length_m=nodes,
        speed_km_per_h=nodes,
        way=none,
        highway=(),
        name=(),
        bridge=column(np.zeros(0), bool),
        start=column([0], np.int64),
        places=none,
        line_start=column([0], np.int64),
        line_x_m=nodes,
        line_y_m=nodes,
    )
