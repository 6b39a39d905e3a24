"""tocsin forecast: how good what was foretold turned out to be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.interfaces.cli.desk import AsJson, desk

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.flows.verify import Scores

app = typer.Typer(help="How good forecasts and warnings were.", no_args_is_help=True)


@app.command("score")
def score(
    data: Annotated[Path, typer.Argument(help="The platform's data folder; it may be running meanwhile.", metavar="DATA")],
    level: Annotated[
        str,
        typer.Option(help="From which level on it counts as having come: orange or red. Default: red.", metavar="LEVEL"),
    ] = "red",
    hours: Annotated[
        float, typer.Option(help="A warning counts for what comes so many hours after it. Default: 24.", metavar="HOURS")
    ] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Score forecasts by what came at the gauges, and warnings by what they warned of, from the ledger alone.

    Example: tocsin forecast score centre --level orange
    """
    with desk(as_json=as_json) as at:
        from tocsin.flows.verify import level_of, score_ledger
        from tocsin.interfaces.cli.ledger import reading

        with reading(data) as ledger:
            scores = score_ledger(ledger.read(), level=level_of(level), window_h=hours)
        at.answer(scores, lambda console: _print(console, scores))


def _print(console: Console, scores: Scores) -> None:
    if not scores.forecasts:
        console.print("No forecast has been held against readings yet.")
    for forecast in scores.forecasts[:10]:
        console.print(f"{forecast.begun:%Y-%m-%d %H:%M}  {forecast.forecast}  {forecast.words}")
        if (m := forecast.moved) is not None:
            console.print(
                f"    went on from {m.forecast}, moved towards {m.gauges} gauges on the ground: CRPS at the {m.held_back} held back "
                f"from {m.crps_before:.3g} to {m.crps_after:.3g} {m.unit}"
            )
        for g in forecast.gauges:
            console.print(
                f"    {g.site:<16} {g.what:<16} {g.readings:>5} readings, {g.inside_share:4.0%} inside 5..95 %, "
                f"CRPS {g.crps:.3g} {g.unit}, expected {g.error_mean:+.3g} {g.unit} too much on average"
            )
    for q in scores.quantities:
        console.print(
            f"{q.what}: {q.readings:,} readings of {q.forecasts} forecasts, {q.inside_share:.0%} inside 5..95 % (90 % is right), "
            f"CRPS {q.crps:.3g} {q.unit}, mean error {q.error_mean:+.3g} {q.unit}"
        )
        if q.ranks:
            console.print(
                f"    by tenth of the futures, from below all to above all: {' '.join(map(str, q.ranks))} (alike is right)"
            )
        if (c := q.chances) is not None:
            console.print(
                f"    chance of passing the gauge's limit: Brier score {c.brier:.3f} (always telling how often it came: {c.uncertainty:.3f}), "
                f"passed by {c.passed} of {c.readings}"
            )
            for b in c.bins:
                if b.count:
                    console.print(
                        f"        told {b.low:.0%} to {b.high:.0%}: {b.count} times, {b.told:.0%} on average, and it came in {b.came:.0%}"
                    )
    for w in scores.warnings:
        lead = "none" if w.lead_median_s is None else f"{w.lead_median_s / 60.0:,.0f} min in the median"
        console.print(
            f"warnings of {w.hazard} against {w.level.word}: {w.hits} hits, {w.misses} misses, {w.false_alarms} false alarms, {w.pending} pending; "
            f"POD {_share(w.pod)}, FAR {_share(w.far)}, CSI {_share(w.csi)}; lead time {lead}"
        )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
