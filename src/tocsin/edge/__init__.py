"""SENSE: collect, check, spool, watch; a node that runs without the platform, and on which the platform stands."""

from tocsin.edge.check import Check, Location, changed, qartod_water_level
from tocsin.edge.collect import Batch, Collector, CsvColumns, Fault, Replay, convert, read_csv, spoil
from tocsin.edge.incoming import Checked
from tocsin.edge.latest import GaugeStatus, Latest, Readings, StreamStatus
from tocsin.edge.node import Node, Taken
from tocsin.edge.spool import Spool
from tocsin.edge.watch import Watch

__all__ = [
    "Batch",
    "Check",
    "Checked",
    "Collector",
    "CsvColumns",
    "Fault",
    "GaugeStatus",
    "Latest",
    "Location",
    "Node",
    "Readings",
    "Replay",
    "Spool",
    "StreamStatus",
    "Taken",
    "Watch",
    "changed",
    "convert",
    "qartod_water_level",
    "read_csv",
    "spoil",
]
