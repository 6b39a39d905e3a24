"""A world so small that everything in it can be checked by hand: one street through two zones, a barrier, a shelter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary import Assets, Dependency, Grid, Line, NotFound, Quantity, Roads, Water, Window, Zones, column


class TinyWorld:
    """4 x 6 cells of 10 m. Zone `low` is the western half, `high` the eastern; ten people in each cell of row 1.

    The street runs along row 1 from west to east, a node in each cell's middle, and ends at the shelter in the easternmost cell.
    The barrier `gate` stands between columns 2 and 3, from the northern to the southern edge.
    """

    time = datetime(2026, 1, 1, tzinfo=UTC)
    made_up = True

    def __init__(self, ground_m: NDArray[np.float64] | None = None, *, cell_m: float = 10.0) -> None:
        self.grid = Grid("EPSG:32631", 0.0, 4 * cell_m, cell_m, 4, 6)
        self._fields: Mapping[str, NDArray[np.float32]] = {
            "elevation_m": (np.zeros((4, 6)) if ground_m is None else ground_m).astype(np.float32),
            "manning": np.full((4, 6), 0.03, np.float32),
        }
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

    def window(self, quantity: Quantity, span_s: float) -> Window:  # noqa: ARG002
        nothing = np.zeros((0, 0))
        return Window(quantity, (), nothing, nothing, nothing.astype(bool))

    def field(self, quantity: Quantity) -> NDArray[np.float32]:
        if quantity.name not in self._fields:
            raise NotFound(f"tiny world: no field {quantity.name!r}; there are: {', '.join(self._fields)}")
        return self._fields[quantity.name]

    def assets(self, kind: str) -> Assets:
        rows = {"shelters": ("shelter-1", "Hall", "hall", 11, 25.0), "buildings": ("house-1", "", "residential", 6, 100.0)}
        found = [rows[kind]] if kind in rows else []
        place = np.array([r[3] for r in found], np.int64)
        x_m, y_m = self.grid.centre(place)
        return Assets(
            kind,
            "m2" if kind == "buildings" else "persons",
            tuple(r[0] for r in found),
            tuple(r[1] for r in found),
            tuple(r[2] for r in found),
            column(x_m, np.float64),
            column(y_m, np.float64),
            column(place, np.int64),
            column([r[4] for r in found], np.float64),
        )

    def people(self, hour: float) -> NDArray[np.float64]:  # noqa: ARG002
        people = np.zeros((4, 6))
        people[1] = 10.0
        return people.reshape(-1)

    def water(self, name: str) -> Water:
        if name != "lake":
            raise NotFound(f"tiny world: no water {name!r}; there are: lake")
        return Water("lake", column([0, 6, 12, 18], np.int64), 0.0, 0.0)

    def waters(self) -> tuple[str, ...]:
        return ("lake",)

    def lines(self) -> tuple[str, ...]:
        return ("gate",)

    def line(self, name: str) -> Line:
        if name != "gate":
            raise NotFound(f"tiny world: no line {name!r}; there are: gate")
        middle, south, north = 3 * self.grid.cell_m, -self.grid.cell_m, 5 * self.grid.cell_m
        return Line("gate", "barrier", column([middle, middle], np.float64), column([south, north], np.float64), crest_m=3.0)

    def dependencies(self) -> tuple[Dependency, ...]:
        return ()
