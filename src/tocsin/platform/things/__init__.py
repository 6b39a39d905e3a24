"""OGC SensorThings 1.1 in one SQLite file: the entities, what a query asks of them, and how they are written."""

from tocsin.platform.things.model import BY_NAME, BY_PLURAL, TYPES, Change, EntityType, Kind, Link, Property, named
from tocsin.platform.things.plain import Plain
from tocsin.platform.things.publish import Place
from tocsin.platform.things.query import Binary, Call, Expand, Lambda, Literal, Node, Order, Path, Query, Unary
from tocsin.platform.things.read import Entity, Limits, Page, Reader, Within
from tocsin.platform.things.store import FILE_NAME, Things, open_things
from tocsin.platform.things.times import format_us
from tocsin.platform.things.write import Writer

__all__ = [
    "BY_NAME",
    "BY_PLURAL",
    "FILE_NAME",
    "TYPES",
    "Binary",
    "Call",
    "Change",
    "Entity",
    "EntityType",
    "Expand",
    "Kind",
    "Lambda",
    "Limits",
    "Link",
    "Literal",
    "Node",
    "Order",
    "Page",
    "Path",
    "Place",
    "Plain",
    "Property",
    "Query",
    "Reader",
    "Things",
    "Unary",
    "Within",
    "Writer",
    "format_us",
    "named",
    "open_things",
]
