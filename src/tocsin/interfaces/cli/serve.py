"""tocsin serve: the platform for one twin, with its console and its HTTP interface."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.interfaces.cli.desk import desk


def serve(
    twin: Annotated[Path, typer.Argument(help="The twin's folder, from `tocsin twin build`.", metavar="TWIN")],
    data: Annotated[
        Path, typer.Option(help="Folder of the ledger, the users, the readings and the forecasts; made where it is not there.")
    ],
    port: Annotated[int, typer.Option(help="TCP port to listen on.", min=0, max=65_535)] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen on: 127.0.0.1 is this machine only; 0.0.0.0 is everybody, behind a TLS proxy.")
    ] = "127.0.0.1",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on stdout, and nothing else there. Default: text for people.")
    ] = False,
) -> None:
    """Run the platform for a twin until Ctrl-C. Example: tocsin serve my-city --data centre"""
    with desk(as_json=as_json):
        from tocsin.interfaces.serve import serve as run

        run(twin, data=data, port=port, host=host, as_json=as_json)
