"""What a simulation gave, at rest: one folder a forecast, in Zarr, with the digest that the ledger holds.

A forecast is written to a folder beside its own and renamed when it is complete, so that there is never half of one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError, NotFound, Unavailable
from tocsin.vocabulary.footprint import Footprint
from tocsin.vocabulary.place import Grid
from tocsin.vocabulary.quantity import Quantity

FORMAT = 1


class ForecastMeta(msgspec.Struct, frozen=True):
    """What a forecast is of: its grid, its quantity, when its frames are, and whether the twin is made up."""

    format: int
    hazard: str
    model: str
    made_up: bool
    grid: Grid
    quantity: Quantity
    duration_s: float
    members: int
    companions: tuple[str, ...]
    frame_s: tuple[float, ...]
    digest: str


class StoredForecast:
    """A forecast on disk. Arrays are read when they are asked for: a frame costs a frame, not the whole run."""

    def __init__(self, folder: Path) -> None:
        import zarr

        self.folder = folder
        try:
            self.meta = msgspec.json.decode((folder / "forecast.json").read_bytes(), type=ForecastMeta)
            self._root: Any = zarr.open_group(str(folder / "fields.zarr"), mode="r")
        except (OSError, msgspec.MsgspecError) as fault:
            raise NotFound(f"{folder}: is no forecast: {fault}; wanted a folder that `--save` or the platform wrote") from fault
        if self.meta.format != FORMAT:
            raise InputError(f"{folder}: format {self.meta.format}; this version of Tocsin reads format {FORMAT}")

    def _read(self, name: str) -> NDArray[np.float32]:
        return np.asarray(self._root[name][...], np.float32)

    def footprint(self) -> Footprint:
        """Peaks, arrivals and ends of all futures."""
        companions = {name: self._read(f"companion_{name}") for name in self.meta.companions}
        return Footprint(
            self.meta.quantity, self.meta.duration_s, self._read("peak"), self._read("arrival_s"), self._read("end_s"), companions
        )

    def frame(self, number: int) -> NDArray[np.float32]:
        """The intensity at one moment in all futures, (member, place); raises NotFound with what there is."""
        if not 0 <= number < len(self.meta.frame_s):
            raise NotFound(f"{self.folder.name}: no frame {number}; there are {len(self.meta.frame_s)}, from 0")
        return np.asarray(self._root["frames"][number], np.float32)

    def verify(self) -> bool:
        """True if the fields still are what the digest says."""
        return fields_digest(self.footprint()) == self.meta.digest


def fields_digest(footprint: Footprint) -> str:
    """SHA-256 over peaks, arrivals and ends of all futures, as little-endian float32."""
    told = hashlib.sha256(f"{footprint.quantity} {footprint.peak.shape}".encode())
    for array in (footprint.peak, footprint.arrival_s, footprint.end_s):
        told.update(np.ascontiguousarray(array, "<f4").tobytes())
    return told.hexdigest()


def save_forecast(
    folder: Path,
    footprint: Footprint,
    *,
    grid: Grid,
    hazard: str,
    model: str,
    made_up: bool,
    frame_s: tuple[float, ...] = (),
    frames: NDArray[np.float32] | None = None,
) -> StoredForecast:
    """Write a forecast; `frames` is (frame, member, place). Raises Unavailable if the disk does not take it, and leaves nothing."""
    import zarr
    from zarr.codecs import BloscCodec

    meta = ForecastMeta(
        FORMAT,
        hazard,
        model,
        made_up,
        grid,
        footprint.quantity,
        footprint.duration_s,
        footprint.members,
        tuple(footprint.companions),
        frame_s if frames is not None else (),
        fields_digest(footprint),
    )
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
    try:
        unfinished.mkdir(parents=True)
        root = zarr.open_group(str(unfinished / "fields.zarr"), mode="w")
        arrays = {"peak": footprint.peak, "arrival_s": footprint.arrival_s, "end_s": footprint.end_s}
        arrays |= {f"companion_{name}": field for name, field in footprint.companions.items()}
        if frames is not None:
            arrays["frames"] = frames
        for name, array in arrays.items():
            chunks = (1, *array.shape[1:])
            store = root.create_array(
                name, shape=array.shape, chunks=chunks, dtype="float32", compressors=BloscCodec(cname="zstd", clevel=1)
            )
            store[...] = array
        (unfinished / "forecast.json").write_bytes(msgspec.json.encode(meta))
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
    except OSError as fault:
        raise Unavailable(f"{folder}: the forecast was not saved: {fault}; free some space or choose another folder") from fault
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return StoredForecast(folder)
