"""The functions of a filter as SQL: texts, dates, numbers and shapes. Source: OGC 18-088, table 22; OData 4.0 part 2, 5.1.1.4."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shapely import from_wkt

from tocsin.platform.things.functions import PREDICATES
from tocsin.platform.things.query import Call, Literal
from tocsin.platform.things.spans import RELATIONS, Span
from tocsin.platform.things.sql import Sql, bad, boolean, number, text
from tocsin.platform.things.times import DAY_US, MAX_US, MINUTE_US

COUNTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("substringof", "contains", "endswith", "startswith", "indexof", "concat"), (2,)),
    **dict.fromkeys(("length", "tolower", "toupper", "trim"), (1,)),
    "substring": (2, 3),
    **dict.fromkeys(("year", "month", "day", "hour", "minute", "second", "fractionalseconds"), (1,)),
    **dict.fromkeys(("date", "time", "totaloffsetminutes"), (1,)),
    **dict.fromkeys(("now", "mindatetime", "maxdatetime"), (0,)),
    **dict.fromkeys(("before", "after", "meets", "during", "overlaps", "starts", "finishes"), (2,)),
    **dict.fromkeys(("round", "floor", "ceiling", "geo.length"), (1,)),
    "geo.distance": (2,),
    **dict.fromkeys(PREDICATES, (2,)),
    "st_relate": (3,),
}
MIN_DATETIME_US = -62_135_596_800_000_000  # 0001-01-01T00:00:00Z: OData 4.0, 5.1.1.8.10
PARTS = ("year", "month", "day", "hour", "minute", "second", "fractionalseconds")
CLOCK_PARTS = {"hour": (3_600_000_000, 24), "minute": (MINUTE_US, 60), "second": (1_000_000, 60)}
_DE9IM = re.compile(r"[TF012*]{9}")


def call(node: Call, args: Sequence[Sql], *, now_us: int) -> Sql:
    """One function; raises InputError where it is unknown or an argument does not fit."""
    name, at = node.name, node.at
    if name not in COUNTS:
        raise bad(at, f"the function {name[:40]!r}", f"one of: {', '.join(COUNTS)}")
    if len(args) not in COUNTS[name]:
        raise bad(at, f"{name} with {len(args)} arguments", f"{' or '.join(map(str, COUNTS[name]))}")
    if name in PREDICATES or name.startswith(("st_", "geo.")):
        return _shape(node, args)
    if name in PARTS or name in ("date", "time", "totaloffsetminutes", "now", "mindatetime", "maxdatetime"):
        return _time(node, args, now_us)
    if name in RELATIONS:
        first, second = (part if part.kind == "interval" else part.as_moment(at) for part in args)
        if name == "during" and second.kind != "interval":
            raise bad(at, "during with a moment as its second argument", "an interval")
        return RELATIONS[name](Span.of(first), Span.of(second))
    if name in ("round", "floor", "ceiling"):
        value = args[0].as_number(at)
        return number(f"sta_{name}({value.text})", *value.args)
    return _text(node, args)


def _text(node: Call, args: Sequence[Sql]) -> Sql:
    name, at = node.name, node.at
    if name == "substring":
        words, begin = args[0].as_string(at), args[1].as_number(at)
        if len(args) == 2:
            return text(f"substr({words.text}, max({begin.text}, 0) + 1)", *words.args, *begin.args)
        size = args[2].as_number(at)
        sql = f"substr({words.text}, max({begin.text}, 0) + 1, max({size.text}, 0))"
        return text(sql, *words.args, *begin.args, *size.args)
    told = [part.as_string(at) for part in args]
    all_args = [a for part in told for a in part.args]
    first = told[0]
    if len(told) == 1:
        sql = {"length": "length({})", "tolower": "sta_lower({})", "toupper": "sta_upper({})", "trim": "trim({})"}[name]
        return Sql("number" if name == "length" else "string", sql.format(first.text), tuple(all_args))
    second = told[1]
    both = (*first.args, *second.args)
    match name:
        case "substringof":
            return boolean(f"(instr({second.text}, {first.text}) > 0)", *second.args, *first.args)
        case "contains":  # what OData 4.0 has in its place
            return boolean(f"(instr({first.text}, {second.text}) > 0)", *both)
        case "startswith":
            return boolean(f"(substr({first.text}, 1, length({second.text})) = {second.text})", *both, *second.args)
        case "endswith":
            ends = f"substr({first.text}, -length({second.text})) = {second.text}"
            return boolean(f"(length({second.text}) = 0 OR {ends})", *second.args, *both, *second.args)
        case "indexof":
            at = f"instr({first.text}, {second.text})"  # from 1, as in the standard's own examples; not found is -1, as OData has it
            return number(f"({at} - ({at} = 0))", *both, *both)
        case _:
            return text(f"({first.text} || {second.text})", *both)


def _time(node: Call, args: Sequence[Sql], now_us: int) -> Sql:
    name, at = node.name, node.at
    if not args:
        return Sql("time", "?", ({"now": now_us, "mindatetime": MIN_DATETIME_US, "maxdatetime": MAX_US}[name],))
    if args[0].kind == "clock" and (name in CLOCK_PARTS or name == "fractionalseconds"):
        if name == "fractionalseconds":
            return number(f"(({args[0].text} % 1000000) / 1000000.0)", *args[0].args)
        unit, most = CLOCK_PARTS[name]
        return number(f"(({args[0].text} / {unit}) % {most})", *args[0].args)
    moment = args[0].as_moment(at)
    since_midnight = clock_of(moment)
    match name:
        case "totaloffsetminutes":
            return number(f"CASE WHEN {moment.text} IS NOT NULL THEN {moment.offset} END", *moment.args)
        case "date":
            twice = (*moment.args, *moment.args)
            return Sql("date", f"({_local(moment)} - {since_midnight.text})", twice)
        case "time":
            return since_midnight
        case _:
            return number(f"sta_part('{name}', {moment.text}, {moment.offset})", *moment.args)


def _local(moment: Sql) -> str:
    return f"({moment.text} + {moment.offset} * {MINUTE_US})"


def clock_of(moment: Sql) -> Sql:
    """The time of day of a moment, in the zone that it was written in."""
    return Sql("clock", f"((({_local(moment)} % {DAY_US}) + {DAY_US}) % {DAY_US})", moment.args)


def _shape(node: Call, args: Sequence[Sql]) -> Sql:
    name, at = node.name, node.at
    for part in args[:2]:
        if part.kind not in ("shape", "json"):
            raise bad(at, f"{name} of a {part.kind}", "a shape: location, feature, observedArea or geography'POINT(8 49)'")
    left = _shape_text(args[0])
    if name == "geo.length":
        return number(f"sta_length({left.text})", *left.args)
    right = _shape_text(args[1])
    if name == "geo.distance":
        return number(f"sta_distance({left.text}, {right.text})", *left.args, *right.args)
    if name == "st_relate":
        pattern = node.args[2]
        if not (isinstance(pattern, Literal) and isinstance(pattern.value, str) and _DE9IM.fullmatch(pattern.value.upper())):
            raise bad(at, "st_relate with another third argument", "a DE-9IM pattern such as 'T*F**F***'")
        return boolean(f"sta_relate({left.text}, {right.text}, ?)", *left.args, *right.args, pattern.value.upper())
    exact = boolean(f"sta_shape('{name}', {left.text}, {right.text})", *left.args, *right.args)
    if name == "st_disjoint":
        return exact
    box = _boxes_meet(args[0], args[1])
    return boolean(f"({box.text} AND {exact.text})", *box.args, *exact.args) if box is not None else exact


def _shape_text(part: Sql) -> Sql:
    if part.kind == "json":
        return Sql("shape", f"json_extract({part.text}, ?)", (part.path,))
    return part


def _boxes_meet(left: Sql, right: Sql) -> Sql | None:
    """Whether the bounding boxes meet, where one is stored and the other a literal: cheap, and an index can do it."""
    if right.box and not left.box:
        left, right = right, left
    if not left.box or right.box or len(right.args) != 1:
        return None
    bounds = from_wkt(right.args[0]).bounds
    if any(edge != edge for edge in bounds):  # an empty shape has no bounds, and meets nothing
        return boolean("0")
    west, south, east, north = bounds
    a = left.box
    sql = f"{a}.max_x >= ? AND {a}.min_x <= ? AND {a}.max_y >= ? AND {a}.min_y <= ?"
    return boolean(sql, west, east, south, north)
