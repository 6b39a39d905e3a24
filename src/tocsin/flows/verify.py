"""How good forecasts and warnings were, from the ledger alone: what was expected beside what came, and warnings beside what they warned of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
import numpy as np

from tocsin.flows.words import verified_words
from tocsin.host import Entry
from tocsin.science.score import Contingency, brier, match, reliability
from tocsin.vocabulary import Forecast, GaugeScore, InputError, Level, StateMoved, Verification, Warning

WINDOW_H = 24.0
FORECASTS_MOST = 200
WELL_TOLD = 0.9  # of the readings lie within 5 to 95 % of a forecast whose doubt is right


class ForecastScore(msgspec.Struct, frozen=True):
    """The last verification of one forecast, what it says in a line, and how gauges moved the state that it began from, if they did."""

    forecast: str
    begun: datetime
    until: datetime
    hazard: str
    model: str
    members: int
    effective: float
    gauges: tuple[GaugeScore, ...]
    words: str
    moved: StateMoved | None = None


class ChanceBin(msgspec.Struct, frozen=True):
    """Chances from `low` to `high`: how many were told, what they were on average, and how often it came; None where there was none."""

    low: float
    high: float
    count: int
    told: float | None
    came: float | None


class ChanceScore(msgspec.Struct, frozen=True):
    """How good chances were: `brier` is their mean squared error (Brier 1950).

    `reliability` is how far from what they say chances came, `resolution` how well they tell cases apart, and `uncertainty` the score of
    always telling how often it came in all (Murphy 1973).
    """

    readings: int
    passed: int
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    bins: tuple[ChanceBin, ...]


class QuantityScore(msgspec.Struct, frozen=True):
    """All gauges of one quantity over all forecasts: means by reading. `inside_share` below 0.9 is a spread that is too small.

    `ranks` says how many readings fell in each tenth of the futures, from below all to above all: flat is right, a U is too sure. `chances` is how the
    chance that a gauge passes the limit from which on it is warned of compares with how often it did: None where no gauge has one.
    """

    what: str
    unit: str
    forecasts: int
    readings: int
    crps: float
    inside_share: float
    error_mean: float
    ranks: tuple[int, ...] = ()
    chances: ChanceScore | None = None


class WarningScore(msgspec.Struct, frozen=True):
    """Warnings of a hazard against the times when it came to `level` at the same site. A ratio without a case is None.

    A warning is a site that no rule warned of and now one does; it came when a site's worst rule reached `level`. `lead_s` are the seconds
    between them, one for each time that it came with a warning before it. Nothing has followed the `pending` warnings yet, and it still
    may: they are in no other number.
    """

    hazard: str
    level: Level
    window_h: float
    hits: int
    misses: int
    false_alarms: int
    pending: int
    pod: float | None
    far: float | None
    csi: float | None
    lead_s: tuple[float, ...]
    lead_median_s: float | None


class Scores(msgspec.Struct, frozen=True):
    """Forecasts newest first, what they come to by quantity, and warnings by hazard."""

    forecasts: tuple[ForecastScore, ...]
    quantities: tuple[QuantityScore, ...]
    warnings: tuple[WarningScore, ...]


def score_ledger(entries: Iterable[Entry], *, level: Level = Level.RED, window_h: float = WINDOW_H) -> Scores:
    """Score all that a ledger holds. A warning counts for what comes within `window_h` after it.

    Whether the wave that came was warned of is judged by this platform's own gauges: where none stands, nobody counts what was missed.
    """
    if not level > Level.YELLOW:
        raise InputError(f"score: level = {level.word}; wanted orange or red: yellow is where a warning begins")
    if not 0.0 < window_h <= 24.0 * 31:
        raise InputError(f"score: a window of {window_h:g} h; wanted more than 0 and at most 744")
    forecasts: dict[str, Forecast] = {}
    verified: dict[str, Verification] = {}
    warnings: list[Warning] = []
    until_s = -np.inf
    for entry in entries:
        until_s = max(until_s, entry.record.time.timestamp())
        _sort(entry, forecasts, verified, warnings)
    rows = [_forecast(i, forecasts[i], said) for i, said in verified.items() if i in forecasts]
    return Scores(
        tuple(sorted(rows, key=lambda row: row.begun, reverse=True)[:FORECASTS_MOST]),
        _by_quantity(verified.values()),
        tuple(_warned(hazard, warnings, level, window_h, until_s) for hazard in sorted({w.hazard for w in warnings})),
    )


def level_of(word: str) -> Level:
    """The level that counts as having come, by its word; raises InputError where a warning only begins there."""
    found = {level.word: level for level in (Level.ORANGE, Level.RED)}.get(word)
    if found is None:
        raise InputError(f"level = {word!r}; wanted orange or red: below that a warning only begins")
    return found


def _sort(entry: Entry, forecasts: dict[str, Forecast], verified: dict[str, Verification], warnings: list[Warning]) -> None:
    """Put an entry where it belongs; a later verification of a forecast replaces the one before."""
    match entry.record:
        case Forecast() as forecast:
            forecasts[entry.id] = forecast
        case Verification() as said:
            verified[said.forecast] = said
        case Warning() as warning:
            warnings.append(warning)
        case _:
            pass


def _forecast(forecast_id: str, forecast: Forecast, said: Verification) -> ForecastScore:
    return ForecastScore(
        forecast_id,
        forecast.time,
        said.time,
        forecast.hazard,
        forecast.model,
        said.members,
        said.effective,
        said.gauges,
        verified_words(said),
        None if forecast.moved is msgspec.UNSET else forecast.moved,
    )


def _by_quantity(verified: Iterable[Verification]) -> tuple[QuantityScore, ...]:
    by: dict[tuple[str, str], list[tuple[str, GaugeScore]]] = {}
    for said in verified:
        for gauge in said.gauges:
            by.setdefault((gauge.what.partition("@")[0], gauge.unit), []).append((said.forecast, gauge))
    found = []
    for (what, unit), rows in sorted(by.items()):
        count = np.array([g.readings for _, g in rows])

        def mean(name: str, rows: list[tuple[str, GaugeScore]] = rows, count: np.ndarray = count) -> float:
            return float(np.average([getattr(g, name) for _, g in rows], weights=count))

        found.append(
            QuantityScore(
                what,
                unit,
                len({forecast for forecast, _ in rows}),
                int(count.sum()),
                mean("crps"),
                mean("inside_share"),
                mean("error_mean"),
                _ranks([g for _, g in rows]),
                _chances([g for _, g in rows]),
            )
        )
    return tuple(found)


def _ranks(gauges: Sequence[GaugeScore]) -> tuple[int, ...]:
    """The readings by tenth of the futures, of all gauges; empty where no record tells it."""
    told = [g.ranks for g in gauges if not isinstance(g.ranks, msgspec.UnsetType)]
    return tuple(np.sum(told, axis=0).tolist()) if told else ()


def _chances(gauges: Sequence[GaugeScore]) -> ChanceScore | None:
    """How the chances of passing a limit came true, of all gauges that have one."""
    pairs = [
        pair
        for g in gauges
        if not isinstance(g.chances, msgspec.UnsetType) and not isinstance(g.passed, msgspec.UnsetType)
        for pair in zip(g.chances, g.passed, strict=True)
    ]
    if not pairs:
        return None
    chance, came = np.array([c for c, _ in pairs]), np.array([p for _, p in pairs], bool)
    parts = reliability(chance, came)
    bins = tuple(
        ChanceBin(float(low), float(high), int(n), float(told) if n else None, float(often) if n else None)
        for low, high, n, told, often in zip(parts.edge, parts.edge[1:], parts.count, parts.told, parts.came, strict=False)
    )
    return ChanceScore(
        chance.size,
        int(came.sum()),
        brier(chance, came),
        parts.reliability,
        parts.resolution,
        parts.uncertainty,
        bins,
    )


def _warned(hazard: str, warnings: Iterable[Warning], level: Level, window_h: float, until_s: float) -> WarningScore:
    """Onsets of warnings and of `level`, site by site, paired in time."""
    hits = misses = false_alarms = pending = 0
    lead_s: list[float] = []
    window_s = window_h * 3600.0
    for began, came in _onsets(hazard, warnings, level).values():
        began_s, came_s = np.array(began), np.array(came)
        followed = ((came_s >= began_s[:, None]) & (came_s <= began_s[:, None] + window_s)).any(axis=1)
        is_open = ~followed & (began_s + window_s > until_s)
        pending += int(is_open.sum())
        found = match(began_s[~is_open], came_s, window_s=window_s)
        hits, misses = hits + found.table.hits, misses + found.table.misses
        false_alarms += found.table.false_alarms
        lead_s += [lead for lead in found.lead_s if lead is not None]
    table = Contingency(hits, misses, false_alarms, 0)
    return WarningScore(
        hazard,
        level,
        window_h,
        hits,
        misses,
        false_alarms,
        pending,
        table.pod,
        table.far,
        table.csi,
        tuple(lead_s),
        float(np.median(lead_s)) if lead_s else None,
    )


def _onsets(hazard: str, warnings: Iterable[Warning], level: Level) -> dict[str, tuple[list[float], list[float]]]:
    """When each site began to be warned of, and when it reached `level`, seconds since 1970. A blind rule changes nothing."""
    levels: dict[str, dict[str, Level]] = {}
    found: dict[str, tuple[list[float], list[float]]] = {}
    for warning in warnings:
        if warning.hazard != hazard or warning.level == Level.BLIND:
            continue
        rules = levels.setdefault(warning.subject, {})
        before = max(rules.values(), default=Level.NONE)
        rules[warning.rule] = warning.level
        now = max(rules.values())
        began_s, came_s = found.setdefault(warning.subject, ([], []))
        if before < Level.YELLOW <= now:
            began_s.append(warning.time.timestamp())
        if before < level <= now:
            came_s.append(warning.time.timestamp())
    return found
