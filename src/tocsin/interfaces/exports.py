"""Results in the formats that others read: GeoTIFF, GeoParquet, PNG. Each file is there whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tocsin.interfaces.files import make_whole, write_whole
from tocsin.interfaces.pictures import classes_of, hillshade, map_picture
from tocsin.vocabulary.errors import Conflict, InputError
from tocsin.vocabulary.quantity import Quantity
from tocsin.vocabulary.units import lasting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tocsin.flows.information import ForecastResult
    from tocsin.platform.twin import Twin

GROUND = Quantity("elevation_m", "m")  # the relief under a picture, whatever the model reads
FORMATS = ".zarr (a folder), .tif or .parquet"

WATER, STREET, PEOPLE = (92, 150, 210), (60, 60, 60), (200, 60, 40)


def twin_picture(twin: Twin) -> bytes:
    """A PNG of a twin: relief, its waters, its streets, and where people live; made-up places say so in the title."""
    from PIL import Image, ImageDraw, ImageFont

    grid = twin.grid
    picture = np.repeat(hillshade(twin.field("elevation"), grid.cell_m)[:, :, None], 3, axis=2).reshape(-1, 3)
    for water in twin.waters.values():
        picture[water.place] = WATER
    if "population_night" in twin.field_names():
        people = twin.field("population_night").reshape(-1)
        shade = np.clip(people / max(float(np.quantile(people[people > 0], 0.95)) if (people > 0).any() else 1.0, 1e-9), 0, 1)[
            :, None
        ]
        picture = (picture * (1 - 0.6 * shade) + np.array(PEOPLE) * 0.6 * shade).astype(np.uint8)
    scale = max(1, -(-800 // grid.cols))
    base = Image.fromarray(picture.reshape(*grid.shape, 3)).resize(
        (grid.cols * scale, grid.rows * scale), Image.Resampling.NEAREST
    )
    sheet = Image.new("RGB", (base.width, base.height + 40), "white")
    sheet.paste(base, (0, 40))
    draw = ImageDraw.Draw(sheet)
    roads, px = twin.roads, scale / grid.cell_m
    x, y = (roads.line_x_m - grid.x_min_m) * px, 40 + (grid.y_max_m - roads.line_y_m) * px
    for begin, end in zip(roads.line_start, roads.line_start[1:], strict=False):
        draw.line([*zip(x[begin:end].tolist(), y[begin:end].tolist(), strict=True)], fill=STREET, width=1)
    draw.rectangle((0, 0, sheet.width, 39), fill="white")
    title = twin.manifest.name + (" | MADE UP" if twin.manifest.made_up and "made up" not in twin.manifest.name.lower() else "")
    draw.text((10, 8), f"{title} | water blue, streets dark, people red", fill="black", font=ImageFont.load_default(size=18))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def save_result(result: ForecastResult, path: Path) -> None:
    """Save a forecast by the path's ending.

    `.zarr`: a folder with the peaks, arrivals and ends of all futures, which `StoredForecast` reads again. `.tif`: a GeoTIFF of the peak, as
    quantiles over the futures and the chance of danger, and the median arrival in hours. `.parquet`: GeoParquet of the zones and of the
    streets that are cut or slowed. What was there before is replaced only by a whole file, and a folder only where it is a forecast.
    """
    match path.suffix.lower():
        case ".zarr":
            _save_folder(result, path)
        case ".tif" | ".tiff":
            write_whole(path, _geotiff(result))
        case ".parquet" | ".geoparquet":
            make_whole(path, lambda unfinished: _write_geoparquet(result, unfinished))
        case _:
            raise InputError(f"--save {path}: the ending {path.suffix!r} says no format; wanted {FORMATS}")


def check_target(path: Path) -> None:
    """Raise before a long run where its result could not be saved afterwards."""
    if path.suffix.lower() not in (".zarr", ".tif", ".tiff", ".parquet", ".geoparquet", ".png", ".json"):
        raise InputError(f"{path}: the ending {path.suffix!r} says no format; wanted {FORMATS}, .png for a picture")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.absolute().parent}; make it first")
    if path.is_dir() and not (path.suffix.lower() == ".zarr" and ((path / "forecast.json").is_file() or not any(path.iterdir()))):
        raise Conflict(f"{path}: is a folder that holds something else; give another name")


def _save_folder(result: ForecastResult, path: Path) -> None:
    from tocsin.platform.forecasts import save_forecast

    check_target(path)
    save_forecast(
        path,
        result.foreseen.footprint,
        grid=result.world.grid,
        hazard=result.pack.hazard,
        model=result.model.name,
        made_up=result.made_up,
        frame_s=result.foreseen.frame_s,
        frames=result.foreseen.frames,
    )


def _geotiff(result: ForecastResult) -> bytes:
    """The peak as a GeoTIFF. It is made in memory: on a full disk GDAL closes a broken file and says nothing."""
    from rasterio.io import MemoryFile
    from rasterio.transform import from_origin

    grid, footprint, quantity = result.world.grid, result.foreseen.footprint, result.foreseen.footprint.quantity
    came = np.isfinite(footprint.arrival_s)
    hours = np.where(came.mean(axis=0) >= 0.5, np.median(np.where(came, footprint.arrival_s, np.inf), axis=0) / 3600.0, np.nan)
    bands = [
        (f"peak {quantity.name}, {which[1:]} % of the futures, {quantity.unit}", result.field(which))
        for which in ("q05", "q50", "q95")
    ]
    bands += [
        ("chance of danger, 0..1", result.field("chance")),
        ("median arrival, h; NaN where it comes in less than half", hours.reshape(grid.shape)),
    ]
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            height=grid.rows,
            width=grid.cols,
            count=len(bands),
            dtype="float32",
            nodata=float("nan"),
            crs=grid.crs,
            transform=from_origin(grid.x_min_m, grid.y_max_m, grid.cell_m, grid.cell_m),
            compress="deflate",
            predictor=3,
        ) as raster:
            for number, (name, field) in enumerate(bands, 1):
                raster.write(np.asarray(field, np.float32), number)
                raster.set_band_description(number, name)
            raster.update_tags(**_about(result))
        return bytes(memory.read())


def _about(result: ForecastResult) -> dict[str, str]:
    """What every file says of itself."""
    return {
        "TITLE": f"{result.place}: {result.pack.hazard}, {result.scenario.members} futures"
        + (" (MADE UP)" if result.made_up else ""),
        "MADE_UP": str(result.made_up).lower(),
        "MODEL": result.model.name,
        "SOURCE": result.model.source,
        "LIMITS": result.model.limits,
    }


def _write_geoparquet(result: ForecastResult, path: Path) -> None:
    """One row a zone and one a street that is cut or slowed in the median future; columns that do not apply are empty."""
    import shapely

    from tocsin.flows.information import report_of
    from tocsin.platform.twin.vectors import write_geoparquet

    world, harm = result.world, result.pack.harm
    shapes, rows = [], []
    report = report_of(result)
    for zone in report.zones:
        places = world.zones.places(zone.zone)
        x, y = world.grid.centre(places)
        half = world.grid.cell_m / 2
        shapes.append(shapely.union_all(shapely.box(x - half, y - half, x + half, y + half)))
        rows.append({"kind": "zone", "name": zone.zone, "in_danger_night": zone.in_danger_night.mean, "in_danger_day": zone.in_danger_day.mean,
                     "chance": zone.chance, "state": None, "peak": None})  # fmt: skip
    roads = world.roads
    if len(roads) and harm.road_speed is not None:
        worst = roads.worst_along(result.field("q50"))
        lost = harm.road_speed.share(worst)
        once = np.unique(roads.way, return_index=True)[1]
        for edge in once[lost[once] > 0.0]:
            line = slice(int(roads.line_start[edge]), int(roads.line_start[edge + 1]))
            shapes.append(shapely.LineString(np.column_stack([roads.line_x_m[line], roads.line_y_m[line]])))
            state = "cut" if lost[edge] >= 1.0 else "slowed"
            rows.append({"kind": "road", "name": roads.name[edge], "in_danger_night": None, "in_danger_day": None,
                         "chance": None, "state": state, "peak": float(worst[edge])})  # fmt: skip
    columns: dict[str, Any] = {
        name: [row[name] for row in rows]
        for name in ("kind", "name", "in_danger_night", "in_danger_day", "chance", "state", "peak")
    }
    columns["made_up"] = [result.made_up] * len(rows)
    write_geoparquet(path, np.array(shapes, object), columns, world.grid.crs)


def forecast_picture(result: ForecastResult) -> bytes:
    """A PNG of the median peak over the relief, without the water bodies where these are full of it anyway; a made-up place says so."""
    from tocsin.flows.information import land_of

    field = np.array(result.field("q50"), np.float32).reshape(-1)
    field[~land_of(result)] = 0.0
    members = result.scenario.members
    title = f"{result.place}{' | MADE UP' if result.made_up else ''} | {result.pack.hazard}, highest in {lasting(result.scenario.duration_s)}"
    title += f", median of {members} futures" if members > 1 else ", one future"
    made = result.model.makes
    return map_picture(
        ground_of(result),
        result.world.grid.cell_m,
        field.reshape(result.world.grid.shape),
        title=title,
        legend=result.pack.harm.shown_as or made.name.replace("_", " "),
        classes=classes_of(result.pack.harm, on_paper=True),
        unit=made.unit,
    )


def ground_of(result: ForecastResult) -> NDArray[np.float32]:
    """The height of the ground for the relief of a picture, m, (row, col); flat where the twin has none."""
    from tocsin.vocabulary import NotFound, Quantity

    try:
        return np.asarray(result.world.field(Quantity("elevation_m", "m")), np.float32)
    except NotFound:
        return np.zeros(result.world.grid.shape, np.float32)
