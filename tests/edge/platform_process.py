"""A platform's end of the uplink as a process of its own, so that it can be killed: FOLDER PORT."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uplink_place import CENTRE, Machine

from tocsin.host import WallClock
from tocsin.interfaces.http.uplink import routes
from tocsin.platform.uplink import open_receiver


def main(folder: Path, port: int) -> None:
    clock: Any = WallClock()
    machine = Machine(folder, clock, CENTRE)
    receiver: Any = open_receiver(machine.host, machine.ledger, machine.node, machine.spool)
    centre: Any = SimpleNamespace(receiver=receiver)
    uvicorn.run(Starlette(routes=routes(centre)), host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    machine.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
