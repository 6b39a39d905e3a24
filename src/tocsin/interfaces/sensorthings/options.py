"""The options of a request: $filter, $orderby, $select, $expand, $top, $skip, $count, $resultFormat; each only once, and no other."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_plus

import msgspec

from tocsin.interfaces.sensorthings.filters import parse_filter, parse_orderby
from tocsin.interfaces.sensorthings.words import LENGTH_MAX, Words, position
from tocsin.platform.things import BY_NAME, EntityType, Expand, Node, Order, Query
from tocsin.vocabulary import InputError, TocsinError

NAMES = ("$filter", "$orderby", "$select", "$expand", "$top", "$skip", "$count", "$resultFormat")
LOWER = {name.lower(): name for name in NAMES}
EXPAND_DEPTH_MAX = 8
EXPANDS_MAX = 60
SKIP_MAX = 2**53
CONTROL = {"id": "@iot.id", "@iot.id": "@iot.id", "@iot.selfLink": "@iot.selfLink"}


class NotSupported(TocsinError):
    """An option that begins with $ and that this service does not have: OGC 18-088 asks for 501."""


def parse_options(raw: str, kind: EntityType) -> Query:
    """The part of an address behind the question mark, as a query on a set of entities; raises InputError, NotSupported."""
    given: dict[str, str] = {}
    kept: list[str] = []
    for part in raw.split("&"):
        if not part:
            continue
        name, equals, value = part.partition("=")
        try:
            name, value = unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
        except UnicodeDecodeError as fault:
            raise InputError(f"options: {part[:60]!r} is not UTF-8: {fault}") from fault
        if not equals:  # some clients encode the sign = too
            name, equals, value = name.partition("=")
            part = f"{name}={quote(value, safe='')}"
        option = LOWER.get(name.lower())
        if option is None or not equals:
            raise _unknown(name, kind if equals else None)
        if option in given:
            raise InputError(f"{option}: is given twice; wanted it once")
        given[option] = value
        if option != "$skip":
            kept.append(part)
    counter = _Counter()
    query = _query(given, kind, 0, counter)
    return msgspec.structs.replace(query, text="&".join(kept))


class _Counter:
    """Counts what is expanded in the whole request."""

    def __init__(self) -> None:
        self.expands = 0


def _unknown(name: str, kind: EntityType | None) -> TocsinError:
    if name.startswith("$") and name.lower() not in LOWER:  # a system query option: req/request-data/query-status-code
        return NotSupported(f"options: {name[:60]!r} is an option that this service does not have; it has: {', '.join(NAMES)}")
    if kind is None:
        return InputError(f"options: {name[:60]!r} has no value; wanted option=value with one of: {', '.join(NAMES)}")
    return InputError(f"options: {name[:60]!r} is no option; wanted one of: {', '.join(NAMES)}")


def _query(
    given: dict[str, str],
    kind: EntityType,
    depth: int,
    counter: _Counter,
    *,
    text: str = "",
    begins: dict[str, int] | None = None,
) -> Query:
    """One set of options; inside $expand `text` is the whole $expand and `begins` says where each value begins in it."""

    def words(option: str) -> Words:
        if begins is None:
            return Words(option, given[option])
        return Words(f"$expand({option})", text, begins[option], begins[option] + len(given[option]))

    filter_: Node | None = parse_filter(words("$filter")) if "$filter" in given else None
    orderby: tuple[Order, ...] = parse_orderby(words("$orderby")) if "$orderby" in given else ()
    expand: tuple[Expand, ...] = ()
    if "$expand" in given:
        whole, begin = (given["$expand"], 0) if begins is None else (text, begins["$expand"])
        expand = _expand(whole, begin, begin + len(given["$expand"]), kind, depth, counter)
    return Query(
        filter=filter_,
        orderby=orderby,
        select=_select(given["$select"], kind) if "$select" in given else None,
        expand=expand,
        top=_whole("$top", given["$top"]) if "$top" in given else None,
        skip=_whole("$skip", given["$skip"]) if "$skip" in given else 0,
        count=_truth("$count", given.get("$count", "false")),
        data_array=_data_array(given.get("$resultFormat"), kind),
    )


def _whole(option: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,16}", text.strip(), re.ASCII) or int(text) > SKIP_MAX:
        raise InputError(f"{option}: got {text[:40]!r}; wanted a whole number from 0")
    return int(text)


def _truth(option: str, text: str) -> bool:
    if text.strip().lower() not in ("true", "false"):
        raise InputError(f"{option}: got {text[:40]!r}; wanted true or false")
    return text.strip().lower() == "true"


def _data_array(text: str | None, kind: EntityType) -> bool:
    if text is None:
        return False
    if text != "dataArray":
        raise InputError(f"$resultFormat: got {text[:40]!r}; wanted dataArray")
    if kind.name != "Observation":
        raise InputError(f"$resultFormat: dataArray is there for Observations; this is a set of {kind.plural}")
    return True


def _select(text: str, kind: EntityType) -> tuple[str, ...]:
    chosen: list[str] = []
    begin = 0
    for part in text.split(","):
        name = CONTROL.get(part.strip(), part.strip())
        if kind.prop(name) is None and kind.link(name) is None and name not in CONTROL.values():
            where = position("$select", text, begin)
            raise InputError(f"{where}: {part[:60]!r} is no property of {kind.name}; wanted some of: {kind.words}")
        chosen.append(name)
        begin += len(part) + 1
    return tuple(dict.fromkeys(chosen))


def _expand(text: str, begin: int, end: int, kind: EntityType, depth: int, counter: _Counter) -> tuple[Expand, ...]:
    """Names of relations with commas between; each may go further by a slash, or have options of its own in brackets."""
    if depth >= EXPAND_DEPTH_MAX:
        raise InputError(f"{position('$expand', text, begin)}: expanded more than {EXPAND_DEPTH_MAX} deep; wanted less")
    if end - begin > LENGTH_MAX:
        raise InputError(f"$expand: {end - begin:,} characters; wanted at most {LENGTH_MAX:,}")
    found: dict[str, Expand] = {}
    for first, last in _pieces(text, begin, end, ","):
        counter.expands += 1
        if counter.expands > EXPANDS_MAX:
            raise InputError(f"{position('$expand', text, first)}: expands more than {EXPANDS_MAX} relations; wanted fewer")
        one = _one_expand(text, first, last, kind, depth, counter)
        known = found.get(one.link)
        found[one.link] = one if known is None else _merged(known, one, text, first)
    return tuple(found.values())


def _one_expand(text: str, begin: int, end: int, kind: EntityType, depth: int, counter: _Counter) -> Expand:
    while begin < end and text[begin].isspace():
        begin += 1
    match = re.compile(r"[A-Za-z]+").match(text, begin, end)
    name = match.group() if match else ""
    link = kind.link(name)
    where = position("$expand", text, begin)
    if match is None or link is None:
        names = ", ".join(one.name for one in kind.links)
        raise InputError(f"{where}: got {text[begin : begin + 40]!r}; wanted a relation of {kind.name}: {names}")
    target, at = BY_NAME[link.target], match.end()
    query = Query()
    if at < end and text[at] == "(":
        close = _closing(text, at, end)
        query = _inner(text, at + 1, close, target, depth, counter)
        at = close + 1
    if at < end and text[at] == "/":
        deeper = _one_expand_deeper(text, at + 1, end, target, depth, counter)
        query = msgspec.structs.replace(query, expand=(*query.expand, deeper))
        at = end
    if text[at:end].strip():
        raise InputError(
            f"{position('$expand', text, at)}: got {text[at : at + 20]!r}; wanted a comma, a slash, a bracket or the end"
        )
    return Expand(name, query, where)


def _one_expand_deeper(text: str, begin: int, end: int, kind: EntityType, depth: int, counter: _Counter) -> Expand:
    if depth + 1 >= EXPAND_DEPTH_MAX:
        raise InputError(f"{position('$expand', text, begin)}: expanded more than {EXPAND_DEPTH_MAX} deep; wanted less")
    return _one_expand(text, begin, end, kind, depth + 1, counter)


def _inner(text: str, begin: int, end: int, kind: EntityType, depth: int, counter: _Counter) -> Query:
    """The options in the brackets, with semicolons between."""
    given: dict[str, str] = {}
    begins: dict[str, int] = {}
    for first, last in _pieces(text, begin, end, ";"):
        name, equals, value = text[first:last].partition("=")
        option = LOWER.get(name.strip().lower())
        where = position("$expand", text, first)
        if option is None or not equals or option == "$resultFormat":
            unknown = _unknown(name.strip(), kind if equals else None)
            raise type(unknown)(f"{where}: {unknown}")
        if option in given:
            raise InputError(f"{where}: {option} is given twice; wanted it once")
        given[option], begins[option] = value, first + len(name) + 1
    query = _query(given, kind, depth + 1, counter, text=text, begins=begins)
    kept = tuple((name, value) for name, value in given.items() if name not in ("$skip", "$expand"))
    return msgspec.structs.replace(query, given=kept)


def _pieces(text: str, begin: int, end: int, mark: str) -> list[tuple[int, int]]:
    """Where the parts between the marks begin and end, outside of brackets and quotes."""
    found, first, level, quoted = [], begin, 0, False
    for at in range(begin, end):
        one = text[at]
        if one == "'":
            quoted = not quoted
        elif not quoted and one == "(":
            level += 1
        elif not quoted and one == ")":
            level -= 1
        elif not quoted and level == 0 and one == mark:
            found.append((first, at))
            first = at + 1
    found.append((first, end))
    return found


def _closing(text: str, begin: int, end: int) -> int:
    level, quoted = 0, False
    for at in range(begin, end):
        one = text[at]
        if one == "'":
            quoted = not quoted
        elif not quoted and one == "(":
            level += 1
        elif not quoted and one == ")":
            level -= 1
            if level == 0:
                return at
    raise InputError(f"{position('$expand', text, begin)}: the bracket that opens here is not closed")


def _merged(known: Expand, more: Expand, text: str, begin: int) -> Expand:
    """Datastreams/Sensor,Datastreams/Thing is one relation that goes on in two ways."""
    plain = msgspec.structs.replace(more.query, expand=())
    if plain not in (Query(), msgspec.structs.replace(known.query, expand=())):
        raise InputError(f"{position('$expand', text, begin)}: {more.link} is expanded twice with other options; wanted it once")
    links = {one.link: one for one in known.query.expand}
    for one in more.query.expand:
        links[one.link] = one if one.link not in links else _merged(links[one.link], one, text, begin)
    return Expand(known.link, msgspec.structs.replace(known.query, expand=tuple(links.values())), known.at)
