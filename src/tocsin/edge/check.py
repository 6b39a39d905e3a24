"""What makes a reading doubtful, as data: the QARTOD tests of one quantity with their thresholds.

A flag is a pure function of the readings of its stream, sorted by sensor time: it does not matter in how many batches, or in
which order, they came. The newest reading gets its spike test when the next one comes, as the manual has it. Two tests ask other
streams, too: what the neighbours measured, and where the sensor says that it is. They are a pure function of all these readings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.science import quality
from tocsin.vocabulary import Flag, InputError, Quantity

QARTOD_WATER_LEVEL = "U.S. IOOS 2021, Manual for Real-Time Quality Control of Water Level Data, version 2.1"


class Test(IntEnum):
    """The tests; the number is the place of its 2-bit code in a cell's 32 bits, which have room for sixteen."""

    GROSS_RANGE = 0
    SPIKE = 1
    RATE_OF_CHANGE = 2
    FLAT_LINE = 3
    CLIMATOLOGY = 4
    ATTENUATED_SIGNAL = 5
    NEIGHBOUR = 6
    LOCATION = 7


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where a sensor must be: in the `box` (west, south, east, north) or it fails; suspect if it leaps by more than `moved_m`, or is
    more than `away_m` from its `home` (longitude, latitude).

    A sensor that can drift tells its position by two streams of its own site, `longitude` and `latitude`. A reading is judged by
    the position nearest in time, within `apart_s`; without one it is not.
    """

    box: tuple[float, float, float, float] = (-180.0, -90.0, 180.0, 90.0)
    moved_m: float = math.inf
    home: Mapping[str, tuple[float, float]] = {}
    away_m: float = math.inf
    longitude: str = "longitude"
    latitude: str = "latitude"
    apart_s: float = 3600.0

    def __post_init__(self) -> None:
        west, south, east, north = self.box
        if not (-90.0 <= south < north <= 90.0 and -180.0 <= west <= 180.0 and -180.0 <= east <= 180.0):
            raise InputError(f"location: box = {self.box}; wanted (west, south, east, north) in degrees, south < north")
        if not (self.moved_m > 0 and self.away_m > 0 and self.apart_s > 0):
            raise InputError(f"location: moved_m = {self.moved_m}, away_m = {self.away_m}, apart_s = {self.apart_s}; wanted > 0")

    def homes(self, sites: tuple[str, ...]) -> NDArray[np.float64]:
        """(site, 2): longitude and latitude, NaN where a site has no home."""
        return np.array([self.home.get(site, (math.nan, math.nan)) for site in sites], np.float64).reshape(len(sites), 2)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The thresholds of one quantity; None leaves a test out. `at` gives other spans for single sites, as flood stages are local.

    `sensor_span` is what the sensor can measure (outside: fail), `usual_span` what the place has seen (outside: suspect).
    `interval_s` is the shortest time between two readings of a stream. A flat line is suspect after `flat_suspect_s` and fails
    after `flat_fail_s`, or as soon as one of its `neighbours` has moved by `neighbour_move` in the meantime. A signal is attenuated
    where the range (or "std") of `attenuated_s` seconds, of at least `attenuated_least` readings, is below its thresholds.

    A reading is suspect, or fails, where it is farther than `neighbour_suspect`, `neighbour_fail` from the median of its
    `neighbours`, of `neighbour_least` or more that spoke within `neighbour_apart_s`. `neighbour_offset` is how far a site usually
    stands above the common datum of all; it is taken off before they are compared. `depth_m` is where a site's sensor hangs, for a
    climate that holds at some depths only. `verified` is true only where somebody compared the numbers with `source`.
    """

    quantity: Quantity
    interval_s: float
    source: str
    sensor_span: tuple[float, float]
    usual_span: tuple[float, float] | None = None
    at: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = {}
    spike_suspect: float | None = None
    spike_fail: float | None = None
    spike_method: str = "differential"
    rate_suspect_per_h: float | None = None
    flat_tolerance: float = 0.0
    flat_suspect_s: float | None = None
    flat_fail_s: float = math.inf
    neighbours: Mapping[str, tuple[str, ...]] = {}
    neighbour_move: float = math.inf
    neighbour_suspect: float | None = None
    neighbour_fail: float = math.inf
    neighbour_least: int = 2
    neighbour_apart_s: float = 900.0
    neighbour_offset: Mapping[str, float] = {}
    climates: tuple[quality.Climate, ...] = ()
    depth_m: Mapping[str, float] = {}
    attenuated_suspect: float | None = None
    attenuated_fail: float = 0.0
    attenuated_s: float = 3600.0
    attenuated_least: int = 3
    attenuated_method: str = "range"
    location: Location | None = None
    gap_s: float | None = None
    future_s: float = 60.0
    verified: bool = False

    def __post_init__(self) -> None:
        name = f"check of {self.quantity.name}"
        spans = [
            self.sensor_span,
            *([self.usual_span] if self.usual_span else []),
            *(s for both in self.at.values() for s in both),
        ]
        if any(not low < high for low, high in spans):
            raise InputError(f"{name}: spans {spans}; wanted (low, high) with low < high, in {self.quantity.unit}")
        if (self.spike_suspect is None) != (self.spike_fail is None):
            raise InputError(
                f"{name}: spike_suspect and spike_fail come together; got {self.spike_suspect} and {self.spike_fail}"
            )
        if self.spike_suspect is not None and self.spike_fail is not None and not 0 < self.spike_suspect <= self.spike_fail:
            raise InputError(f"{name}: spikes {self.spike_suspect} and {self.spike_fail}; wanted 0 < suspect <= fail")
        if self.spike_method not in ("average", "differential"):
            raise InputError(f"{name}: spike_method = {self.spike_method!r}; wanted 'average' or 'differential'")
        if self.flat_suspect_s is not None and not (self.flat_tolerance > 0 and 0 < self.flat_suspect_s <= self.flat_fail_s):
            raise InputError(f"{name}: a flat line needs flat_tolerance > 0 and 0 < flat_suspect_s <= flat_fail_s")
        if self.attenuated_suspect is not None:
            if not (0 <= self.attenuated_fail <= self.attenuated_suspect and self.attenuated_suspect > 0):
                raise InputError(
                    f"{name}: attenuated {self.attenuated_suspect} and {self.attenuated_fail}; wanted 0 <= fail <= suspect > 0"
                )
            if self.attenuated_method not in ("range", "std"):
                raise InputError(f"{name}: attenuated_method = {self.attenuated_method!r}; wanted 'range' or 'std'")
            if not (self.attenuated_s >= self.interval_s and self.attenuated_least >= 2):
                raise InputError(f"{name}: wanted attenuated_s >= interval_s = {self.interval_s} and attenuated_least >= 2")
        if self.neighbour_suspect is not None and not (
            0 < self.neighbour_suspect <= self.neighbour_fail and self.neighbour_least >= 1 and self.neighbour_apart_s > 0
        ):
            raise InputError(
                f"{name}: wanted 0 < neighbour_suspect <= neighbour_fail, neighbour_least >= 1 and neighbour_apart_s > 0"
            )
        if not (self.interval_s > 0 and self.future_s >= 0 and self.source):
            raise InputError(f"{name}: wanted interval_s > 0, future_s >= 0 and a source")

    @property
    def context(self) -> int:
        """How many readings back a verdict may depend on: what a stream has to remember for this check."""
        longest_s = 0.0
        if self.flat_suspect_s is not None:
            longest_s = self.flat_fail_s if math.isfinite(self.flat_fail_s) else self.flat_suspect_s
        if self.attenuated_suspect is not None:
            longest_s = max(longest_s, self.attenuated_s)
        return max(2 * quality.REACH, math.ceil(longest_s / self.interval_s) + 2)

    def spans(self, sites: tuple[str, ...]) -> NDArray[np.float64]:
        """(site, 5): sensor low and high, usual low and high, and the depth of the sensor in m, NaN where it is not known."""
        table = np.empty((len(sites), 5))
        if sites:
            everywhere = (*self.sensor_span, *(self.usual_span or (-math.inf, math.inf)))
            table[:, :4] = (
                [(*self.at[s][0], *self.at[s][1]) if s in self.at else everywhere for s in sites] if self.at else everywhere
            )
            table[:, 4] = [self.depth_m.get(s, math.nan) for s in sites] if self.depth_m else math.nan
        return table

    def judge(
        self,
        time_us: NDArray[np.int64],
        value: NDArray[np.float64],
        spans: NDArray[np.float64],
        *,
        first: int,
        fresh_from: int | None = None,
    ) -> NDArray[np.uint32]:
        """The codes of the tests that look at one stream, for the columns from `first` on, packed, shape (row, lag - first).

        A value that fails the gross range is none: no other test sees it, so that it does not blame its neighbours. In columns before
        `fresh_from` only the spike test is made: of all tests it alone asks what came after a reading.
        """
        low, high, usual_low, usual_high, depth_m = (spans[:, [k]] for k in range(5))
        fresh = first if fresh_from is None else fresh_from
        possible = np.where((value >= low) & (value <= high), value, np.nan)
        begin, fresh_begin = max(0, first - quality.REACH), max(0, fresh - quality.REACH)
        tested = {Test.GROSS_RANGE: quality.gross_range(value[:, fresh:], low, high, usual_low, usual_high)}
        if self.spike_suspect is not None and self.spike_fail is not None:
            tested[Test.SPIKE] = quality.spike(
                time_us[:, begin:],
                possible[:, begin:],
                suspect=self.spike_suspect,
                fail=self.spike_fail,
                apart_s=quality.REACH * self.interval_s,
                method=self.spike_method,
            )[:, first - begin :]
        if self.rate_suspect_per_h is not None:
            near, at = possible[:, fresh_begin:], time_us[:, fresh_begin:]
            rate = quality.rate_of_change(at, near, suspect_per_h=self.rate_suspect_per_h)
            tested[Test.RATE_OF_CHANGE] = rate[:, fresh - fresh_begin :]
        if self.flat_suspect_s is not None:
            tested[Test.FLAT_LINE] = quality.flat_line(
                time_us,
                possible,
                first=fresh,
                tolerance=self.flat_tolerance,
                suspect_s=self.flat_suspect_s,
                fail_s=self.flat_fail_s,
                context=min(self.context, value.shape[1]),
            )
        if self.climates:
            tested[Test.CLIMATOLOGY] = quality.climatology(time_us[:, fresh:], possible[:, fresh:], depth_m, self.climates)
        if self.attenuated_suspect is not None:
            tested[Test.ATTENUATED_SIGNAL] = quality.attenuated_signal(
                time_us,
                possible,
                first=fresh,
                period_s=self.attenuated_s,
                suspect=self.attenuated_suspect,
                fail=self.attenuated_fail,
                least=self.attenuated_least,
                context=self.context,
                method=self.attenuated_method,
            )
        return pack(tested, (value.shape[0], value.shape[1] - first))

    def compare(self, value: NDArray[np.float64], beside: NDArray[np.float64]) -> NDArray[np.uint32]:
        """The packed code of the neighbour test; `beside` is (neighbour, row, lag), on the common datum as `value` is."""
        told = quality.neighbour(
            value, beside, suspect=self.neighbour_suspect or math.inf, fail=self.neighbour_fail, least=self.neighbour_least
        )
        return pack({Test.NEIGHBOUR: told}, value.shape)


def pack(tested: Mapping[Test, NDArray[np.uint8]], shape: tuple[int, ...]) -> NDArray[np.uint32]:
    """The codes of several tests in one number for each cell; a test that was made of the last columns only stands at the right."""
    packed = np.zeros(shape, np.uint32)
    for test, code in tested.items():
        packed[..., shape[-1] - code.shape[-1] :] |= code.astype(np.uint32) << np.uint32(2 * test)
    return packed


def code_of(packed: NDArray[np.uint32], test: Test) -> NDArray[np.uint8]:
    """What one test said: UNTRIED, PASS, SUSPECT or FAIL."""
    return np.asarray((packed >> np.uint32(2 * test)) & np.uint32(3), np.uint8)


_LOW_BITS, _HIGH_BITS = np.uint32(0x5555_5555), np.uint32(0xAAAA_AAAA)


def worst_of(packed: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """The worst code of all tests.

    >>> worst_of(np.array([0, 0b0001, 0b0110, 0b1101], np.uint32)).tolist()
    [0, 1, 2, 3]
    """
    high = packed & _HIGH_BITS
    fails = high & ((packed & _LOW_BITS) << np.uint32(1))
    return np.asarray((packed != 0).astype(np.uint8) + (high != 0) + (fails != 0), np.uint8)


_FLAG_OF_CODE = np.array([Flag.NOT_EVALUATED, Flag.GOOD, Flag.SUSPECT, Flag.FAIL], np.uint8)
_CODE_OF_FLAG = np.zeros(256, np.uint8)
_CODE_OF_FLAG[[Flag.GOOD, Flag.SUSPECT, Flag.FAIL]] = [quality.PASS, quality.SUSPECT, quality.FAIL]


def flags(packed: NDArray[np.uint32], given: NDArray[np.uint8], value: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The QARTOD flag: the worst of all tests and of what the source itself `given`; 9 where there is no number."""
    worst = np.maximum(_CODE_OF_FLAG[given], worst_of(packed))
    return np.asarray(np.where(np.isfinite(value), _FLAG_OF_CODE[worst], np.uint8(Flag.MISSING)), np.uint8)


def blamed(packed: int, given: int) -> str:
    """Which test gave the flag, in words; empty where nothing is wrong."""
    codes = {test: (packed >> (2 * test)) & 3 for test in Test}
    worst = max(codes, key=lambda test: codes[test])
    if codes[worst] >= quality.SUSPECT:
        return worst.name.lower().replace("_", " ")
    return "flagged by its source" if given in (Flag.SUSPECT, Flag.FAIL) else ""


def qartod_water_level(quantity: Quantity, **changes: Any) -> Check:
    """The manual's own examples for water level (tests 1, 4, 6, 8): numbers for a tide gauge in metres, every 6 minutes.

    They are examples, so set what is local by `changes`: a `usual_span` of -0.5..5 m would call the crest of a great flood
    suspect, and a gauge that reports whole centimetres looks stuck after 30 minutes of calm. Its examples of tests 7 (three standard
    deviations of 25 hours) and 10 (0.5 m and 0.1 m in 12 hours) fit a tide, not a river, and are left out. The text was read at
    github.com/ioos/qartod_manuals, Water_Level, v0.2.3.
    """
    if quantity.unit != "m":
        raise InputError(f"qartod_water_level: {quantity}; the manual's numbers are in m")
    example = Check(
        quantity=quantity,
        interval_s=360.0,
        source=QARTOD_WATER_LEVEL + ", examples of tests 1, 4, 6 and 8",
        sensor_span=(-0.5, 10.0),
        usual_span=(-0.5, 5.0),
        spike_suspect=0.1,
        spike_fail=0.2,
        spike_method="average",
        flat_tolerance=0.001,
        flat_suspect_s=2 * 360.0,  # 3 readings, 6 minutes apart
        flat_fail_s=4 * 360.0,  # 5 readings
        gap_s=3600.0,
        verified=True,
    )
    return changed(example, **changes)


def changed(check: Check, **changes: Any) -> Check:
    """The check with local numbers in it; it is no longer what its source says, and so it says that."""
    if not changes:
        return check
    local = {"source": f"{check.source}, with local {', '.join(sorted(changes))} (unverified)", "verified": False}
    return msgspec.structs.replace(check, **(local | changes))
