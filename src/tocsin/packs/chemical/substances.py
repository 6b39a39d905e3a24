"""The gases that the model knows: how heavy they are, from what they harm, and who says so."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.science.toxic import mg_per_m3
from tocsin.vocabulary import InputError

FLAMES_FROM = (
    0.1,
    0.6,
    1.0,
)  # of the LEL: a share to leave at, one from which pockets burn, and the limit itself; the first two unverified
GAS_CONSTANT = 8.31446261815324
WINDOWS_S = (60.0, 600.0, 1_800.0, 3_600.0, 14_400.0, 28_800.0)  # a minute for fire, the rest the durations of AEGLs


class Substance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One gas. AEGLs are ppm for 10, 30, 60, 240 and 480 minutes, None where none is recommended; ERPGs for an hour, 0 where there is none."""

    key: str
    number: int
    cas: str
    molar_g: float
    boiling_k: float
    agreed_min: tuple[int, ...]
    volume: str
    power: float
    power_source: str
    aegl1: tuple[float, ...] | None = None
    aegl2: tuple[float, ...] | None = None
    aegl3: tuple[float, ...] | None = None
    idlh_ppm: float | None = None
    idlh_source: str = ""
    erpg: tuple[float, float, float] | None = None
    erpg_source: str = ""
    lel_ppm: float | None = None
    probit: tuple[float, float] | None = None
    probit_source: str = ""

    @property
    def name(self) -> str:
        return self.key.replace("_", " ")

    @property
    def levels(self) -> tuple[tuple[float, ...] | None, ...]:
        """AEGL-1, -2, -3."""
        return self.aegl1, self.aegl2, self.aegl3

    @property
    def source(self) -> str:
        """Where its levels are from, and which of them two copies agree on."""
        agreed = f"two copies agree at {', '.join(map(str, self.agreed_min))} min; " if self.agreed_min else ""
        return f"{self.volume}; {agreed}unverified: no primary table was read"

    def limits_kg_per_m3(self, temperature_k: float) -> NDArray[np.float64]:
        """The three levels (level, window of WINDOWS_S) as concentrations; inf where there is none. A minute's are shares of the LEL."""
        out = np.full((3, len(WINDOWS_S)), np.inf)
        for row, level in enumerate(self.levels):
            if self.lel_ppm is not None:
                out[row, 0] = FLAMES_FROM[row] * self.lel_ppm
            if level is not None:
                out[row, 1:] = level
        return np.asarray(mg_per_m3(out, self.molar_g, temperature_k=temperature_k) * 1e-6)

    def density(self, temperature_k: float, pressure_pa: float = 101_325.0) -> float:
        """Of the pure vapour, kg/m3 (ideal gas)."""
        return pressure_pa * self.molar_g * 1e-3 / (GAS_CONSTANT * temperature_k)


@cache
def _all() -> tuple[Substance, ...]:
    table = tomllib.loads(files("tocsin.packs.chemical").joinpath("substances.toml").read_text(encoding="utf-8"))
    found = tuple(msgspec.convert({"key": key, **row}, type=Substance) for key, row in table.items())
    return tuple(sorted(found, key=lambda s: s.number))


SUBSTANCES = _all()
TOXIC = tuple(s for s in SUBSTANCES if s.aegl2 is not None and s.power_source[:3] != "not")


def substance_of(number: float) -> Substance:
    """By the number of the knob; raises InputError with those that there are."""
    for substance in SUBSTANCES:
        if substance.number == round(number):
            return substance
    raise InputError(f"substance {number:g}; there are: {numbered()}")


def numbered() -> str:
    """All of them with their numbers."""
    return ", ".join(f"{s.number} {s.name}" for s in SUBSTANCES)
