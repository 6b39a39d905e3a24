"""The words that all share: frozen values that import nothing of ours."""

from tocsin.vocabulary.curve import Curve
from tocsin.vocabulary.errors import Conflict, InputError, NotFound, PackFault, Refused, TocsinError, Unavailable
from tocsin.vocabulary.footprint import Footprint, Member, stack
from tocsin.vocabulary.level import Level
from tocsin.vocabulary.observations import Flag, Observations, column
from tocsin.vocabulary.place import Assets, Dependency, Grid, Line, Roads, Water, Zones
from tocsin.vocabulary.quantity import Bools, Floats, Quantity
from tocsin.vocabulary.records import (
    AlertDraft,
    AnyRecord,
    Bulletin,
    Comparison,
    Decision,
    Estimate,
    Evidence,
    Forecast,
    Incident,
    Note,
    Order,
    PlanEvent,
    PlanScore,
    Record,
    Report,
    SensorFault,
    Warning,
    decode_record,
    encode_record,
    record_id,
)
from tocsin.vocabulary.series import Series
from tocsin.vocabulary.world import Window, World

__all__ = [
    "AlertDraft",
    "AnyRecord",
    "Assets",
    "Bools",
    "Bulletin",
    "Comparison",
    "Conflict",
    "Curve",
    "Decision",
    "Dependency",
    "Estimate",
    "Evidence",
    "Flag",
    "Floats",
    "Footprint",
    "Forecast",
    "Grid",
    "Incident",
    "InputError",
    "Level",
    "Line",
    "Member",
    "NotFound",
    "Note",
    "Observations",
    "Order",
    "PackFault",
    "PlanEvent",
    "PlanScore",
    "Quantity",
    "Record",
    "Refused",
    "Report",
    "Roads",
    "SensorFault",
    "Series",
    "TocsinError",
    "Unavailable",
    "Warning",
    "Water",
    "Window",
    "World",
    "Zones",
    "column",
    "decode_record",
    "encode_record",
    "record_id",
    "stack",
]
