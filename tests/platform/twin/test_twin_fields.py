"""Further rasters of a twin: classes stay classes, numbers are interpolated, and a pack reads them by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.transform import from_origin
from twin_files import CELL_M, COLS, CREATED, GRID, NORTH_M, ROWS, WEST_M, write_terrain

from tocsin.platform.twin import Twin, build_twin, open_twin
from tocsin.vocabulary import InputError, NotFound, Quantity


def built(tmp_path: Path, **fields: Path) -> Twin:
    build_twin(
        tmp_path / "twin", elevation=write_terrain(tmp_path / "dem.tif"), created=CREATED, extra=fields, overwrite=True,
        licences={f"field {name}": "CC-BY 4.0" for name in fields},
    )  # fmt: skip
    return open_twin(tmp_path / "twin", verify=True)


def half_cells(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    """A raster whose pixels are twice as wide as the twin's cells, over the same extent."""
    return {
        "height": values.shape[0],
        "width": values.shape[1],
        "transform": from_origin(WEST_M, NORTH_M, 2 * CELL_M, 2 * CELL_M),
    }


def test_a_raster_on_the_same_grid_is_read_by_a_pack_under_its_name(tmp_path: Path) -> None:
    fuel = np.arange(ROWS * COLS, dtype=np.int16).reshape(ROWS, COLS) % 13
    twin = built(tmp_path, fuel_model=write_terrain(tmp_path / "fuel.tif", fuel))
    np.testing.assert_array_equal(twin.world(CREATED).field(Quantity("fuel_model", "1")), fuel)
    assert "fuel_model" in twin.field_names()
    assert [s.licence for s in twin.manifest.sources if s.what == "field fuel_model"] == ["CC-BY 4.0"]
    assert "field fuel_model: whole numbers; each cell has the nearest pixel" in twin.manifest.remarks


def test_classes_are_never_mixed_and_numbers_lie_between_their_neighbours(tmp_path: Path) -> None:
    columns = np.where(np.arange(COLS // 2) % 2 == 0, 1, 9)
    coarse = np.tile(columns, (ROWS // 2, 1))
    classes = write_terrain(tmp_path / "classes.tif", coarse.astype(np.uint8), **half_cells(coarse))
    ramp = np.tile(np.arange(COLS // 2, dtype=np.float32), (ROWS // 2, 1))
    numbers = write_terrain(tmp_path / "numbers.tif", ramp, **half_cells(ramp))
    twin = built(tmp_path, classes=classes, numbers=numbers)
    assert set(np.unique(twin.field("classes"))) == {1.0, 9.0}
    np.testing.assert_array_equal(twin.field("classes"), np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1))
    # a pixel's centre lies at column 2 k + 1 of the cells; a cell's centre at c + 0.5: the ramp there is (c + 0.5 - 1) / 2
    inside = np.arange(2, COLS - 2)
    np.testing.assert_allclose(twin.field("numbers")[ROWS // 2, inside], (inside - 0.5) / 2.0, atol=1e-5)
    assert "field numbers: numbers; each cell has the value between pixels (bilinear)" in twin.manifest.remarks


def test_cells_that_are_wider_than_pixels_take_the_most_frequent_class_or_the_mean(tmp_path: Path) -> None:
    def fine(values: np.ndarray[Any, Any]) -> dict[str, Any]:
        return {
            "height": values.shape[0],
            "width": values.shape[1],
            "transform": from_origin(WEST_M, NORTH_M, CELL_M / 3, CELL_M / 3),
        }

    block = np.array([[5, 5, 5], [5, 5, 7], [7, 7, 5]])  # 5 six times of nine
    whole = np.tile(block, (ROWS, COLS))
    twin = built(
        tmp_path,
        classes=write_terrain(tmp_path / "classes.tif", whole.astype(np.uint8), **fine(whole)),
        numbers=write_terrain(tmp_path / "numbers.tif", whole.astype(np.float32), **fine(whole)),
    )
    assert (twin.field("classes") == 5.0).all()
    np.testing.assert_allclose(twin.field("numbers"), block.mean(), atol=1e-5)


def test_cells_without_a_value_stay_empty_and_are_counted(tmp_path: Path) -> None:
    values = np.full((ROWS, COLS), 3, np.int16)
    values[:, :6] = -1
    twin = built(tmp_path, fuel_model=write_terrain(tmp_path / "fuel.tif", values, nodata=-1))
    assert np.isnan(twin.field("fuel_model")[:, :6]).all()
    assert (twin.field("fuel_model")[:, 6:] == 3.0).all()
    assert f"nearest pixel; {6 * ROWS} cells (20.0%) have none" in " ".join(twin.manifest.remarks)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("elevation", "the twin makes this field itself"),
        ("Manning", "the twin makes this field itself"),
        ("fuel model", "wanted a name such as fuel_model"),
        ("../fuel", "wanted a name such as fuel_model"),
        ("", "wanted a name such as fuel_model"),
    ],
)
def test_a_name_that_is_taken_or_is_none_is_refused(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        built(tmp_path, **{name: write_terrain(tmp_path / "x.tif")})
    assert not (tmp_path / "twin").exists()


def test_a_raster_that_is_missing_elsewhere_or_a_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="field fuel: no file"):
        built(tmp_path, fuel=tmp_path / "absent.tif")
    far = write_terrain(tmp_path / "far.tif", transform=from_origin(WEST_M + 1e6, NORTH_M, CELL_M, CELL_M))
    with pytest.raises(InputError, match="has no value in the twin"):
        built(tmp_path, fuel=far)
    picture = write_terrain(tmp_path / "rgb.tif", np.zeros((ROWS, COLS), np.uint8), count=3, photometric="RGB")
    with pytest.raises(InputError, match="is a picture with 3 colours"):
        built(tmp_path, fuel=picture)


def test_a_field_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    world = built(tmp_path).world(CREATED)
    assert world.grid == GRID
    with pytest.raises(NotFound, match="no field 'fuel_model'; there are: elevation, manning"):
        world.field(Quantity("fuel_model", "1"))
