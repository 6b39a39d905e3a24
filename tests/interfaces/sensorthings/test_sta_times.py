"""Times as they are written: the quick way against the plain one."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from tocsin.platform.things.times import MAX_US, MIN_US, format_us, parse_instant


def plain(us: int) -> str:
    text = (datetime(1970, 1, 1) + timedelta(microseconds=us)).isoformat()  # noqa: DTZ001
    return f"{text[:-3]}Z" if us % 1_000 == 0 and us % 1_000_000 else f"{text}Z"


@pytest.mark.parametrize("step", [1, 1_000, 1_000_000])
def test_a_moment_is_written_as_the_calendar_writes_it_and_read_back(step: int) -> None:
    edges = [MIN_US, MAX_US // step * step, 0, -step, step, 86_400_000_000 - step, 86_400_000_000, -86_400_000_000]
    drawn = np.random.default_rng(step).integers(MIN_US // step + 1, MAX_US // step, 3_000) * step
    for us in [*edges, *drawn.tolist()]:
        assert format_us(us) == plain(us)
        assert parse_instant(format_us(us), where="test") == (us, 0)
