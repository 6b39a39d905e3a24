"""tocsin sensorthings: the sensor interface of OGC alone, for trying it out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.interfaces.cli.desk import desk

app = typer.Typer(help="OGC SensorThings 1.1: sensors, observations and their history over HTTP.", no_args_is_help=True)


@app.callback()
def sensorthings() -> None:
    """OGC SensorThings 1.1: sensors, observations and their history over HTTP."""


@app.command("try")
def try_(
    port: Annotated[int, typer.Option(help="TCP port to listen on; 0 takes a free one.", min=0, max=65_535)] = 8091,
    host: Annotated[
        str, typer.Option(help="Address to listen on; only one of this machine is taken.", metavar="ADDRESS")
    ] = "127.0.0.1",
    mqtt_port: Annotated[
        int, typer.Option("--mqtt-port", help="TCP port of the MQTT endpoint; 0 takes a free one.", min=0, max=65_535)
    ] = 0,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of things.sqlite; made where it is not there. Default: a folder that goes when the command ends.",
            metavar="FOLDER",
        ),
    ] = None,
    page_most: Annotated[int, typer.Option(help="Most entities on one page.", min=1, max=100_000)] = 1_000,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on stdout, and nothing else there. Default: text for people.")
    ] = False,
) -> None:
    """Serve only SensorThings 1.1, for a trial or a conformance suite, until Ctrl-C: purpose exercise, nobody signs in, everybody on
    this machine may read and write as the actor visitor; nobody from elsewhere can. Example: tocsin sensorthings try --port 8091
    """
    with desk(as_json=as_json):
        from tocsin.interfaces.sensorthings.trial import run_trial

        run_trial(port=port, host=host, mqtt_port=mqtt_port, data=data, page_most=page_most, as_json=as_json)
