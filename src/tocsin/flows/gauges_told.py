"""A gauge as it is told: its latest reading with quality, trend and level, and its readings as a curve."""

from __future__ import annotations

from typing import Any

import numpy as np

from tocsin.edge.latest import Readings
from tocsin.flows.common import Common
from tocsin.platform.twin import Gauge
from tocsin.vocabulary import NotFound, Quantity


def gauge_status(common: Common, gauge: Gauge, *, points: int) -> dict[str, Any]:
    """A gauge with its latest reading, quality, trend and level, and its last readings for a small curve."""
    now, quantity = common.host.clock.now(), _quantity(common, gauge)
    status = common.latest.status(quantity, gauge.site, now)
    seen = common.latest.readings(quantity, gauge.site, 36 * 3600.0, now, limit=points)
    return {
        "site": gauge.site,
        "name": gauge.name,
        "lon": gauge.lon,
        "lat": gauge.lat,
        "quantity": quantity.name,
        "unit": quantity.unit,
        "value": status.value,
        "time": status.time,
        "flag": status.flag,
        "flag_reason": status.reason,
        "age_s": status.age_s if np.isfinite(status.age_s) else None,
        "trend_per_h": status.trend_per_h,
        "level": int(common.board.site_level(gauge.site)),
        "last_level": int(common.board.last_level(gauge.site)),
        "blind": bool(common.board.blind_rules(gauge.site)),
        "limits": {level.word: at for level, at in gauge.limits.at.items()} if gauge.limits else None,
        "sparkline": list(zip(*(column for column in _columns(seen).values()), strict=True)),
    }


def gauge_series(common: Common, gauge: Gauge, span_s: float) -> dict[str, list[Any]]:
    """A gauge's readings as columns, for a chart."""
    return _columns(common.latest.readings(_quantity(common, gauge), gauge.site, span_s, common.host.clock.now()))


def _quantity(common: Common, gauge: Gauge) -> Quantity:
    found = next((q for q in (*common.latest.quantities(), *common.quantities.values()) if q.name == gauge.quantity), None)
    if found is None:
        raise NotFound(f"gauge {gauge.site}: nobody here measures {gauge.quantity!r}")
    return found


def _columns(seen: Readings) -> dict[str, list[Any]]:
    """Readings as lists that JSON can carry: a missing value is null."""
    return {
        "time_ms": [int(t) // 1000 for t in seen.time_us],
        "value": [float(v) if np.isfinite(v) else None for v in seen.value],
        "flag": [int(f) for f in seen.flag],
    }
