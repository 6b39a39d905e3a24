"""A piece of SQL with its parameters and the kind of value that it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tocsin.vocabulary.errors import InputError

Args = tuple[Any, ...]


@dataclass(frozen=True)
class Sql:
    """`kind` is number, string, bool, null, time, interval, date, clock, duration, shape, or json and result, whose values differ.

    `end` is the end of an interval, `offset` the minutes of a time's zone, `path` the way into a JSON column, `number` the column of
    a result's number, `box` the alias whose bounding box belongs to a shape, and `is_id` says that the number names an entity.
    """

    kind: str
    text: str
    args: Args = ()
    end: str = ""
    end_args: Args = ()
    stored_end: str = ""
    offset: str = "0"
    path: str = "$"
    number: str = ""
    box: str = ""
    is_id: bool = False

    def _extract(self) -> str:
        return f"json_extract({self.text}, ?)"

    def plain(self) -> Sql:
        """The value as it lies there, without a kind."""
        if self.kind == "json":
            return Sql("any", self._extract(), (self.path,))
        if self.kind == "result":
            return Sql("any", f"coalesce({self.number}, json_extract({self.text}, '$'))", ())
        return self

    def as_kind(self, kind: str, at: str) -> Sql:
        """The value as one of that kind; it is NULL where a JSON value is of another one."""
        if self.kind == kind or self.kind not in ("json", "result"):
            return self
        match kind:
            case "number":
                return self.as_number(at)
            case "string":
                return self.as_string(at)
            case "bool":
                return self.as_bool()
            case "time" | "interval" | "date":
                plain = self.plain()
                return Sql("time", f"sta_time({plain.text})", plain.args)
            case _:
                raise bad(at, f"a {kind}", "a number, a text, a time or true and false to compare it with")

    def as_number(self, at: str) -> Sql:
        if self.kind == "json":
            value = self._extract()
            kind = f"json_type({self.text}, ?)"
            return number(f"CASE WHEN {kind} IN ('integer', 'real') THEN {value} END", self.path, self.path)
        if self.kind == "result":
            return number(self.number)
        if self.kind != "number":
            raise bad(at, f"a {self.kind}", "a number")
        return self

    def as_string(self, at: str) -> Sql:
        if self.kind == "json":
            value = self._extract()  # a number as the text that shows it, as of a result
            kinds = f"CASE json_type({self.text}, ?) WHEN 'text' THEN {value} WHEN 'integer' THEN sta_text({value}) WHEN 'real' THEN sta_text({value}) END"
            return text(kinds, self.path, self.path, self.path, self.path)
        if self.kind == "result":
            shown = f"CASE json_type({self.text}) WHEN 'text' THEN json_extract({self.text}, '$') END"
            return text(f"CASE WHEN {self.text} IS NULL THEN sta_text({self.number}) ELSE {shown} END")
        if self.kind != "string":
            raise bad(at, f"a {self.kind}", "a text in single quotes, or a property that holds one")
        return self

    def as_bool(self) -> Sql:
        if self.kind == "json":
            kind = f"json_type({self.text}, ?)"
            return boolean(f"(CASE {kind} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)", self.path)
        if self.kind == "result":
            return boolean(f"(CASE {self.text} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)")
        if self.kind == "null":
            return Sql("bool", "0", ())
        return self

    def as_moment(self, at: str) -> Sql:
        """A moment: of an interval its begin."""
        if self.kind in ("json", "result"):
            return self.as_kind("time", at)
        if self.kind not in ("time", "interval", "date"):
            raise bad(at, f"a {self.kind}", "a time such as 2026-11-23T07:15:00Z, or a property that holds one")
        return Sql("time", self.text, self.args, offset=self.offset)


def number(words: str, *args: Any) -> Sql:
    return Sql("number", words, args)


def text(words: str, *args: Any) -> Sql:
    return Sql("string", words, args)


def boolean(words: str, *args: Any) -> Sql:
    return Sql("bool", words, args)


NULL = Sql("null", "NULL", ())


def bad(at: str, got: str, wanted: str) -> InputError:
    """What does not fit, where, and what would."""
    return InputError(f"{at}: got {got}; wanted {wanted}")
