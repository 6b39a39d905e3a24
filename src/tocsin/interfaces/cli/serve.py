"""tocsin serve: the platform for one twin, with its console and its HTTP interface."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.interfaces.cli.desk import desk
from tocsin.interfaces.cli.futures import ComputeOption
from tocsin.interfaces.cli.user import Purpose


def serve(
    twin: Annotated[Path, typer.Argument(help="The twin's folder, from `tocsin twin build`.", metavar="TWIN")],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder of the ledger, the users, the readings and the forecasts; made where it is not there.", metavar="FOLDER"
        ),
    ],
    hazard: Annotated[
        list[str] | None,
        typer.Option(
            help="A hazard that is watched and assessed: any installed pack, see `tocsin pack list`. May be given several times; the first is shown first. Default: flood.",
            metavar="HAZARD",
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="TCP port to listen on.", min=0, max=65_535)] = 8765,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on: 127.0.0.1 is this machine only; 0.0.0.0 is everybody, behind a TLS proxy.",
            metavar="ADDRESS",
        ),
    ] = "127.0.0.1",
    purpose: Annotated[
        Purpose, typer.Option(help="What the platform is for: actual, exercise or demo; fixed when its data folder begins.")
    ] = Purpose.ACTUAL,
    mqtt_port: Annotated[
        int | None,
        typer.Option(
            "--mqtt-port",
            help="Port of an MQTT endpoint for readings, SensorThings and warnings; 0 takes a free one. Default: none.",
            min=0,
            max=65_535,
        ),
    ] = None,
    postgres_url_file: Annotated[
        Path | None,
        typer.Option(
            "--postgres-url-file",
            help="File (mode 600) with the address of a PostgreSQL into which all readings are copied. Default: none.",
            metavar="FILE",
        ),
    ] = None,
    compute: ComputeOption = "threads",
    sensing: Annotated[
        Path | None,
        typer.Option(
            help="File with more quantities, collectors, checks and rules, as in edge.toml: docs/guide/rules.md. Default: none.",
            metavar="FILE",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on stdout, and nothing else there. Default: text for people.")
    ] = False,
) -> None:
    """Run the platform for a twin until Ctrl-C. Example: tocsin serve my-city --data centre --hazard flood --hazard wildfire"""
    with desk(as_json=as_json, by_line=True):
        from tocsin.interfaces.serve import serve as run

        run(
            twin,
            data=data,
            port=port,
            host=host,
            purpose=purpose.value,
            mqtt_port=mqtt_port,
            postgres_url_file=postgres_url_file,
            compute=compute,
            sensing_file=sensing,
            hazards=hazard or ("flood",),
            as_json=as_json,
        )
