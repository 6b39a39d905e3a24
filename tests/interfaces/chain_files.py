"""Lifelines for the place that the tests build: power in the water, a pump and a mast that hang on it."""

from __future__ import annotations

from pathlib import Path

from cli_place import build_place, feature, geojson, lonlat

DEPENDENCIES = """link,source,target,probability,delay_h,endurance_h
power for pumping stations,substations:shore,pumping_stations:p1,,0.1,
power for masts,substations:shore,masts:m1,,,0.2
people_without_power,substations:shore,zones:Shore,,,
power for masts,substations:elsewhere,masts:m1,,,
"""


def build_chained_place(folder: Path, dependencies: str = DEPENDENCIES) -> Path:
    """The shore's substation stands in the first dry cells, the hill's out of all reach of the lake."""
    folder.mkdir(parents=True, exist_ok=True)
    points = {
        "substations": {"shore": (6.5, 8.5), "hill": (22.5, 4.5)},
        "pumping_stations": {"p1": (20.5, 8.5)},
        "masts": {"m1": (18.5, 5.5)},
    }
    words: list[str | Path] = []
    for kind, places in points.items():
        features = [feature("Point", lonlat(*at), id=one, name=one.title(), sort=kind) for one, at in places.items()]
        words += ["--assets", f"{kind}={geojson(folder / f'{kind}.geojson', features)}"]
    table = folder / "needs.csv"
    table.write_text(dependencies)
    return build_place(folder, *words, "--dependencies", table)
