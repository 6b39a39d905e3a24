"""tocsin demo: the whole loop on a made-up district."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tocsin.interfaces.cli.desk import desk


class Approve(StrEnum):
    """Who approves the plan in the demo."""

    ASK = "ask"
    AUTO = "auto"


def demo(
    port: Annotated[
        int, typer.Option(help="TCP port of the console on this machine; 0 takes a free one.", min=0, max=65_535)
    ] = 8765,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where the twin, the ledger and the forecasts are kept. Default: a new folder for temporary files.",
            metavar="FOLDER",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the made-up district and of its futures; the same seed gives the same demo.", min=0)
    ] = 7,
    speed: Annotated[float, typer.Option(help="How many times faster than life the storm runs.", min=1.0, max=100_000.0)] = 240.0,
    approve: Annotated[
        Approve,
        typer.Option(help="ask: you approve a plan, in the terminal or in the console; auto: the demo approves the best one."),
    ] = Approve.ASK,
    run_for: Annotated[
        float | None, typer.Option("--for", help="Stop by itself after this many seconds. Default: runs until Ctrl-C.", min=1.0)
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the console in a browser. Default: opened.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a step on stdout, and nothing else there. Default: text for people.")
    ] = False,
) -> None:
    """Let a real storm fall on a made-up district and watch the whole loop. Example: tocsin demo --approve auto --for 120"""
    with desk(as_json=as_json, by_line=True):
        from tocsin.interfaces.demo.run import run_demo

        run_demo(
            port=port,
            folder=folder,
            seed=seed,
            speed=speed,
            approve=approve.value,
            run_for_s=run_for,
            browser=not no_browser,
            as_json=as_json,
        )
