"""Which moments of a run are kept: as many as the memory takes, and never so many that the platform dies of them."""

from __future__ import annotations

import pytest

from tocsin.flows.information import FRAME_BYTES_MAX, frame_times_s

CITY = 432 * 386
DAY_S = 86_400.0


def test_a_day_of_a_flood_keeps_each_half_hour() -> None:
    assert frame_times_s(DAY_S, 50, CITY, 1_800.0) == tuple(1_800.0 * k for k in range(49))


def test_two_months_of_an_epidemic_keep_fewer_moments_and_fit_the_memory() -> None:
    times = frame_times_s(60 * DAY_S, 20, CITY, 1_800.0)
    assert times[1] == 16 * 3_600.0
    assert times[0] == 0.0
    assert times[-1] <= 60 * DAY_S
    assert len(times) * 20 * CITY * 4 <= FRAME_BYTES_MAX


@pytest.mark.parametrize("members", [1, 7, 50, 300, 100_000])
def test_whatever_is_asked_fits_or_only_peaks_are_kept(members: int) -> None:
    times = frame_times_s(366 * DAY_S, members, CITY, 1_800.0)
    assert len(times) * members * CITY * 4 <= FRAME_BYTES_MAX
    assert len(times) != 1
