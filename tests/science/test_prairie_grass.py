"""The plume against the releases of Project Prairie Grass, 1956: within the limits of Chang and Hanna, fed as an operations centre would feed it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.science.chang_hanna import measures, within_the_limits

from tocsin.science.dispersion import Ground, carrying_wind, plume

ARCS_M = np.array([50.0, 100.0, 200.0, 400.0, 800.0])
ROUGHNESS_M = 0.006  # of the place: Olesen, Berkowicz & Lofstrom 2007, 11th Harmo conference
LET_GO_M, SAMPLED_M, MAST_M = 0.46, 1.5, 2.0
KARMAN = 0.4
# 1 / L = a + b log10(roughness) for the classes A to F: Golder 1972 as in Seinfeld & Pandis 2006, Atmospheric Chemistry and Physics, eq. 16.83
GOLDER = ((-0.096, 0.029), (-0.037, 0.029), (-0.002, 0.018), (0.0, 0.0), (0.004, -0.018), (0.035, -0.036))


def rows() -> list[dict[str, float]]:
    lines = (Path(__file__).parent / "reference" / "prairie_grass.csv").read_text(encoding="utf-8").splitlines()
    return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(line for line in lines if not line.startswith("#"))]


def pasquill(length_m: float) -> int:
    """The class whose length is nearest, by its inverse."""
    inverse = [a + b * np.log10(ROUGHNESS_M) for a, b in GOLDER]
    return 1 + int(np.argmin(np.abs(np.array(inverse) - 1.0 / length_m)))


def at_10_m(row: dict[str, float]) -> float:
    """The wind that a gauge at 10 m would have shown, from that at 2 m by the profile of Businger and Dyer."""

    def psi(z_m: float) -> float:
        ratio = z_m / row["l_m"]
        if ratio > 0.0:
            return -5.0 * ratio
        x = (1.0 - 16.0 * ratio) ** 0.25
        return float(2.0 * np.log((1.0 + x) / 2.0) + np.log((1.0 + x * x) / 2.0) - 2.0 * np.arctan(x) + np.pi / 2.0)

    return row["u2_m_per_s"] + row["u_star_m_per_s"] / KARMAN * (np.log(10.0 / MAST_M) - psi(10.0) + psi(MAST_M))


def pairs(ground: Ground, wind: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Observed and told, mg/m3, (run, arc). `wind` is what carries the gas: "10 m", "2 m" as measured, or "told" as the pack has it from that at 10 m."""
    seen, told = [], []
    for row in rows():
        stability = pasquill(row["l_m"])
        speed = {
            "2 m": row["u2_m_per_s"],
            "10 m": at_10_m(row),
            "told": float(carrying_wind(at_10_m(row), stability, ground, height_m=LET_GO_M)),
        }[wind]
        rate = row["q_g_per_s"] * 1e-3
        told.append(
            1e6 * plume(rate, ARCS_M, 0.0, SAMPLED_M, wind_m_per_s=speed, stability=stability, ground=ground, height_m=LET_GO_M)
        )
        seen.append([row[f"c{x:.0f}"] for x in ARCS_M])
    return np.array(seen), np.array(told)


@pytest.mark.parametrize("ground", ["rural", "open"])
@pytest.mark.parametrize("wind", ["2 m", "told"])
def test_the_largest_of_each_arc_is_told_within_the_limits_of_chang_and_hanna(ground: Ground, wind: str) -> None:
    seen, told = pairs(ground, wind)
    assert seen.shape == (19, 5)
    got = measures(seen, told)
    assert within_the_limits(got), got


def test_the_wind_at_10_m_itself_would_tell_too_little() -> None:
    got = measures(*pairs("rural", "10 m"))
    assert not within_the_limits(got)
    assert got["FB"] > 0.3  # told too low: the unsafe side


def test_what_the_measures_say_of_twice_too_much_is_known() -> None:
    seen = np.array([1.0, 2.0, 4.0])
    got = measures(seen, 2.0 * seen)
    assert got["FB"] == pytest.approx(-2.0 / 3.0)
    assert (got["MG"], got["VG"], got["FAC2"]) == pytest.approx((0.5, np.exp(np.log(2.0) ** 2), 1.0))
    assert not within_the_limits(got)


def test_classes_follow_the_length_and_neutral_air_has_none() -> None:
    assert [pasquill(length) for length in (-6.0, -10.0, -24.0, -1e6, 1e6, 23.0, 9.0)] == [1, 2, 3, 4, 4, 5, 6]
