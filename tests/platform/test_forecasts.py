"""A forecast on disk is whole or not there, and says so if it was changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tocsin.platform.forecasts import StoredForecast, save_forecast
from tocsin.vocabulary import Footprint, Grid, InputError, NotFound, Quantity, Unavailable

DEPTH = Quantity("flood_depth", "m", 0.0, 60.0)
GRID = Grid("EPSG:32631", 0.0, 100.0, 10.0, 3, 4)


def footprint(members: int = 2) -> Footprint:
    peak = np.arange(members * 12, dtype=np.float32).reshape(members, 12) / 10
    arrival_s = np.where(peak > 0.1, 60.0, np.inf).astype(np.float32)
    return Footprint(DEPTH, 3600.0, peak, arrival_s, arrival_s, {"flood_speed": peak * 2})


def save(folder: Path, **changes: Any) -> StoredForecast:
    return save_forecast(folder, footprint(), grid=GRID, hazard="flood", model="m", made_up=True, **changes)


def test_what_was_saved_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((3, 2, 12), np.float32)
    save(tmp_path / "f", frame_s=(0.0, 60.0, 120.0), frames=frames)
    stored = StoredForecast(tmp_path / "f")
    back = stored.footprint()
    np.testing.assert_array_equal(back.peak, footprint().peak)
    np.testing.assert_array_equal(back.arrival_s, footprint().arrival_s)
    np.testing.assert_array_equal(back.companions["flood_speed"], footprint().companions["flood_speed"])
    np.testing.assert_array_equal(stored.frame(2), frames[2])
    assert stored.meta.made_up
    assert stored.verify()


def test_a_frame_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no frame 0; there are 0"):
        save(tmp_path / "f").frame(0)


def test_fields_that_were_changed_afterwards_are_found(tmp_path: Path) -> None:
    import zarr

    stored = save(tmp_path / "f")
    zarr.open_group(str(tmp_path / "f" / "fields.zarr"), mode="r+")["peak"][0, 0] = 9.0  # type: ignore[index]
    assert not stored.verify()


def test_a_save_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zarr.open_group", full)
    with pytest.raises(Unavailable, match="not saved: .*No space left"):
        save(tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_forecast_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is no forecast"):
        StoredForecast(tmp_path)


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "f")
    meta = tmp_path / "f" / "forecast.json"
    meta.write_bytes(meta.read_bytes().replace(b'"format":1', b'"format":2'))
    with pytest.raises(InputError, match="format 2; this version of Tocsin reads format 1"):
        StoredForecast(tmp_path / "f")
