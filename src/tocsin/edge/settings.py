"""The file edge.toml: all that a node does, as data; what is wrong with it is said with file, line, key, got and wanted."""

from __future__ import annotations

import difflib
import itertools
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from tocsin.edge.actions import KINDS as ACTION_KINDS
from tocsin.edge.actions import Command, LogLine, MqttTopic, Webhook, decode_action
from tocsin.edge.bulletin_settings import BULLETIN_KINDS
from tocsin.edge.check import Check
from tocsin.edge.collect import Collector
from tocsin.edge.collectors.files import Files
from tocsin.edge.rule_settings import COMPOUND, RULE_KINDS, Compound, readings_least, rule_form, rule_of
from tocsin.edge.state_update import StateUpdate
from tocsin.pack import Rule, find_pack
from tocsin.pack.ready_rules.bulletin import BulletinRule
from tocsin.pack.sense import Trust
from tocsin.vocabulary import InputError, NotFound, Quantity, TocsinError

T = TypeVar("T", bound=msgspec.Struct)

FILE_BYTES_MOST = 4 << 20
DEPTH_LEAST, DEPTH_USUAL, DEPTH_MOST = 24, 300, 100_000
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
SENSING = ("quantity", "expect", "collector", "check", "rule")
SECTIONS = ("packs", "node", "spool", "uplink", "postgres", *SENSING, "action")


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who the node is and where its data lie. `grace_s`: for so long after the start no site is called blind.

    `depth` is how many readings of each stream are remembered for the rules, some 40 bytes each.
    """

    name: str
    data: str
    tick_s: float = 60.0
    grace_s: float = 1800.0
    remember_h: float = 48.0
    depth: int = DEPTH_USUAL
    purpose: Literal["actual", "exercise", "demo"] = "actual"

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InputError(f"name = {self.name!r}; wanted 1 to 64 letters, digits and . _ -")
        if not (self.data and self.tick_s > 0 and self.grace_s >= 0 and self.remember_h > 0):
            raise InputError("wanted a folder `data`, tick_s > 0, grace_s >= 0 and remember_h > 0")
        if not DEPTH_LEAST <= self.depth <= DEPTH_MOST:
            raise InputError(f"depth = {self.depth}; wanted {DEPTH_LEAST} to {DEPTH_MOST:,} readings of each stream")


class SpoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much room the readings may take. `reserve_mb` is kept back for warnings, for the day when the disk is full."""

    keep_mb: int = 2048
    segment_mb: int = 16
    reserve_mb: int = 32

    def __post_init__(self) -> None:
        if not (0 < self.segment_mb <= self.keep_mb and self.reserve_mb >= 0):
            raise InputError(f"segment_mb = {self.segment_mb}, keep_mb = {self.keep_mb}; wanted 0 < segment <= keep")


class UplinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the platform is. `ca` is for a server certificate of one's own, `cert` and `key` are a client certificate; PEM files."""

    url: str
    ca: str = ""
    cert: str = ""
    key: str = ""
    interval_s: float = 10.0
    batch_kb: int = 512
    compression: Literal["zlib", "none"] = "zlib"
    timeout_s: float = 30.0
    retry_s: tuple[float, float] = (1.0, 120.0)

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")):
            raise InputError(f"url = {self.url[:80]!r}; wanted https://..., or http:// in trials")
        if not (self.interval_s > 0 and 0 < self.batch_kb <= 16_384 and self.timeout_s > 0):
            raise InputError("wanted interval_s > 0, batch_kb in 1..16384 and timeout_s > 0")
        if not 0 < self.retry_s[0] <= self.retry_s[1]:
            raise InputError(f"retry_s = {list(self.retry_s)}; wanted 0 < first <= longest")


class PostgresSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A database to copy the readings into. `url_file` has its address in one line; the password stands nowhere else."""

    url_file: str

    def __post_init__(self) -> None:
        if not self.url_file or "://" in self.url_file:
            raise InputError("url_file: wanted the name of a file (mode 600) that has the address, and not the address itself")


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """Sites that ought to speak, so that one which never does is seen to be blind."""

    quantity: Quantity
    sites: tuple[str, ...]


class Sensing(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured, from where, and when to warn. `depth` is how many readings of each stream are remembered.

    `errors` say how far gauges are to be trusted where readings weigh futures; a node by itself foresees nothing and has none.
    """

    path: Path
    depth: int
    quantities: Mapping[str, Quantity]
    expected: tuple[Expected, ...]
    collectors: tuple[Collector, ...]
    checks: tuple[Check, ...]
    rules: Mapping[str, tuple[Rule, ...]]
    bulletin_rules: Mapping[str, tuple[BulletinRule, ...]]
    errors: tuple[Trust, ...] = ()
    state_update: StateUpdate | None = None

    @classmethod
    def nothing(cls) -> Sensing:
        """Of a platform that has no such file."""
        none: Mapping[str, Any] = {}
        return cls(
            path=Path(),
            depth=DEPTH_USUAL,
            quantities=none,
            expected=(),
            collectors=(),
            checks=(),
            rules=none,
            bulletin_rules=none,
        )

    @property
    def looks_back_h(self) -> float:
        """How far the rules look back."""
        return max((rule.span_s / 3600.0 for several in self.rules.values() for rule in several), default=0.0)


class Settings(Sensing, frozen=True, kw_only=True):
    """A whole edge.toml, checked: everything in it can be used as it is."""

    node: NodeSettings
    spool: SpoolSettings
    uplink: UplinkSettings | None
    postgres: PostgresSettings | None
    actions: tuple[LogLine | Webhook | MqttTopic | Command, ...]

    @property
    def remember_h(self) -> float:
        """How much of the log is read again at a start: at least what the rules look back at."""
        return max(self.node.remember_h, self.looks_back_h)

    @property
    def data(self) -> Path:
        """The data folder; a relative one lies beside the file."""
        return self.path.parent / self.node.data


def read_settings(path: Path, *, kinds: Mapping[str, type[Any]] | None = None) -> Settings:
    """Read and check an edge.toml. `kinds` are the collectors that there are. Raises InputError with all that a person needs."""
    return _opened(path).settings({"files": Files} if kinds is None else kinds)


def read_sensing(
    path: Path,
    *,
    kinds: Mapping[str, type[Any]],
    quantities: Sequence[Quantity] = (),
    rules: Sequence[Rule] = (),
    box: tuple[float, float, float, float] | None = None,
) -> Sensing:
    """Read and check those sections that a platform takes: quantity, expect, collector, check, rule, errors, state_update.

    `quantities` and `rules` are there already; `box` is that of the twin: west, south, east, north.
    """
    return _opened(path).sensing(kinds, quantities, rules, box)


def _opened(path: Path) -> _File:
    try:
        raw = path.read_bytes()
        if len(raw) > FILE_BYTES_MOST:
            raise InputError(f"{path}: {len(raw):,} bytes; wanted at most {FILE_BYTES_MOST:,}")
        text = raw.decode()
        table = tomllib.loads(text)
    except FileNotFoundError as fault:
        raise NotFound(f"{path}: there is no such file; wanted a file of settings, as docs/guide/edge.toml") from fault
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as fault:
        raise InputError(f"{path}: cannot be read as TOML: {fault}") from fault
    return _File(path.absolute(), text, table)


class _Told(NamedTuple):
    """A [[rule]] that was read: where, what it says, and the rule, unless it is made of others."""

    where: tuple[str, int]
    told: Any
    rule: Rule | BulletinRule | None


class _File:
    """A file while it is read: its table, and where in the text a key stands."""

    def __init__(self, path: Path, text: str, table: dict[str, Any]) -> None:
        self._path, self._table, self._lines = path, table, text.splitlines()
        self._quantities: dict[str, Quantity] = {}
        self._depth = self._depth_least = 0
        self._box: tuple[float, float, float, float] | None = None
        self._bulletin_rules: dict[str, list[BulletinRule]] = {}

    def settings(self, kinds: Mapping[str, type[Any]]) -> Settings:
        """All of an edge.toml."""
        self._only(SECTIONS)
        rules: dict[str, list[Rule]] = {}
        for number, hazard in enumerate(self._names("packs")):
            try:
                pack = find_pack(hazard)
            except TocsinError as fault:
                raise self._fault(("packs", number), "packs", str(fault)) from fault
            rules[pack.hazard] = list(pack.rules)
            self._quantities.update({quantity.name: quantity for quantity in pack.observes})
        node = self._one("node", NodeSettings)
        if node is None:
            raise InputError(f"{self._path}: no [node]; wanted one with name and data")
        self._depth = node.depth
        told = self._sensing(kinds, rules, rules)
        settings = Settings(
            **{field: getattr(told, field) for field in told.__struct_fields__},
            node=node,
            spool=self._one("spool", SpoolSettings) or SpoolSettings(),
            uplink=self._one("uplink", UplinkSettings),
            postgres=self._one("postgres", PostgresSettings),
            actions=tuple(self._action(("action", n), table) for n, table in self._tables("action")),
        )
        self._unique("action", [action.name for action in settings.actions], "name")
        return settings

    def sensing(
        self,
        kinds: Mapping[str, type[Any]],
        quantities: Sequence[Quantity],
        rules: Sequence[Rule],
        box: tuple[float, float, float, float] | None,
    ) -> Sensing:
        """Those sections that a platform takes; it remembers as many readings as its rules look at."""
        self._only((*SENSING, "errors", "state_update"))
        self._quantities.update({quantity.name: quantity for quantity in quantities})
        self._box, self._depth = box, DEPTH_MOST
        told = self._sensing(kinds, {}, {"": list(rules)})
        return msgspec.structs.replace(
            told,
            depth=max(DEPTH_USUAL, self._depth_least),
            errors=self._errors(),
            state_update=self._one("state_update", StateUpdate),
        )

    def _only(self, sections: Sequence[str]) -> None:
        for section in self._table:
            if section not in sections:
                raise self._fault((section, -1), "", f"unknown section{_nearest(section, sections)}")

    def _sensing(
        self, kinds: Mapping[str, type[Any]], rules: dict[str, list[Rule]], there: Mapping[str, Sequence[Rule]]
    ) -> Sensing:
        """What both kinds of file have; `rules` are added to, and a compound may be made of those that are `there`."""
        for number, table in self._tables("quantity"):
            quantity = self._decode(("quantity", number), table, Quantity)
            if quantity.name in self._quantities:
                raise self._fault(("quantity", number), "name", f"{quantity.name!r} is named twice, or a pack has it already")
            self._quantities[quantity.name] = quantity
        self._rules(rules, {rule.name: rule for several in there.values() for rule in several})
        told = Sensing(
            path=self._path,
            depth=self._depth,
            quantities=dict(self._quantities),
            expected=tuple(self._decode(("expect", n), table, Expected) for n, table in self._tables("expect")),
            collectors=tuple(self._collector(("collector", n), table, kinds) for n, table in self._tables("collector")),
            checks=tuple(self._decode(("check", n), table, Check) for n, table in self._tables("check")),
            rules={hazard: tuple(several) for hazard, several in rules.items()},
            bulletin_rules={hazard: tuple(several) for hazard, several in self._bulletin_rules.items()},
        )
        self._unique("check", [check.quantity.name for check in told.checks], "quantity")
        self._unique("collector", [collector.name for collector in told.collectors], "name")
        return told

    def _unique(self, section: str, names: Sequence[str], key: str) -> None:
        for number, name in enumerate(names):
            if name in names[:number]:
                raise self._fault((section, number), key, f"{name!r} is there twice; wanted each once")

    def _names(self, key: str) -> list[str]:
        found = self._table.get(key, [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise self._fault((key, 0), key, f"got {found!r}; wanted a list of names")
        return found

    def _tables(self, section: str) -> list[tuple[int, dict[str, Any]]]:
        found = self._table.get(section, [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise self._fault((section, -1), "", f"wanted [[{section}]] with two brackets, once for each {section}")
        return list(enumerate(found))

    def _errors(self) -> tuple[Trust, ...]:
        """How far this place's gauges are to be trusted, by quantity."""
        if isinstance(self._table.get("errors"), dict):
            raise self._fault(
                ("errors", -1),
                "",
                'wanted [[errors]] with two brackets, once for each quantity, e.g. readings = "river_level" and sd = 0.05',
            )
        errors = tuple(self._decode(("errors", n), table, Trust) for n, table in self._tables("errors"))
        self._unique("errors", [one.readings for one in errors], "readings")
        return errors

    def _one(self, section: str, kind: type[T]) -> T | None:
        found = self._table.get(section)
        if found is None:
            return None
        if not isinstance(found, dict):
            raise self._fault((section, -1), "", f"wanted one [{section}]")
        return self._decode((section, -1), found, kind)

    def _decode(self, where: tuple[str, int], table: Mapping[str, Any], kind: type[T]) -> T:
        """A table as a Struct; a key that it does not know is a fault, with the nearest that it does."""
        known = [field.encode_name for field in msgspec.structs.fields(kind)]
        for key in table:
            if key not in known:
                raise self._fault(where, key, f"unknown key{_nearest(key, known)}")
        try:
            return msgspec.convert(self._with_quantities(where, table), type=kind)
        except msgspec.ValidationError as fault:
            raise self._invalid(where, fault) from fault
        except TocsinError as fault:
            raise self._fault(where, "", str(fault)) from fault

    def _invalid(self, where: tuple[str, int], fault: msgspec.ValidationError) -> InputError:
        if isinstance(fault.__cause__, TocsinError):
            return self._fault(where, "", str(fault.__cause__))
        words, _, place = str(fault).partition(" - at `$")
        key = re.match(r"\.?([A-Za-z0-9_]+)", place)
        missing = re.search(r"missing required field `(\w+)`", words)
        return self._fault(where, key.group(1) if key else "", f"{missing.group(1)} is missing" if missing else words)

    def _with_quantities(self, where: tuple[str, int], value: Any, key: str = "") -> Any:
        """Tables in which a quantity that is named stands as what it is."""
        if isinstance(value, dict):
            return {name: self._with_quantities(where, one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [self._with_quantities(where, one) for one in value]
        if key == "quantity" and isinstance(value, str):
            if value not in self._quantities:
                known = ", ".join(sorted(self._quantities)) or "none; wanted a [[quantity]], or a pack that has it"
                raise self._fault(where, key, f"got {value!r}; there are {known}")
            return msgspec.to_builtins(self._quantities[value])
        return value

    def _rule(self, where: tuple[str, int], table: Mapping[str, Any]) -> _Told:
        """A table with `kind`, in the form of its kind; the rule of it too, unless it is made of others."""
        kind = table.get("kind")
        kinds = (*RULE_KINDS, COMPOUND, *BULLETIN_KINDS)
        if not isinstance(kind, str) or kind not in kinds:
            raise self._fault(where, "kind", f"kind = {kind!r}; wanted one of {', '.join(kinds)}")
        rest = {key: value for key, value in table.items() if key != "kind"}
        if kind == COMPOUND:
            return _Told(where, self._decode(where, rest, Compound), None)
        if kind in BULLETIN_KINDS:
            told_of: Any = self._decode(where, rest, BULLETIN_KINDS[kind])
            try:
                return _Told(where, told_of, told_of.made(self._box))
            except TocsinError as fault:
                raise self._about(where, rest, fault) from fault
        told: Any = self._decode(where, rest, rule_form(kind))
        try:
            rule = rule_of(kind, told)
        except (TocsinError, ValueError) as fault:
            raise self._about(where, rest, fault) from fault
        least = readings_least(kind, told)
        self._depth_least = max(self._depth_least, least)
        if least > self._depth:
            words = f"it looks at {least} readings of each site, and {self._depth} are remembered; wanted [node] depth = {least} or more"
            raise self._fault(where, "kind", words)
        return _Told(where, told, rule)

    def _rules(self, rules: dict[str, list[Rule]], parts: dict[str, Rule]) -> None:
        """Add the rules of the file to others, by hazard, in the order of the file. `parts` are those that there are already, by name."""
        read = [self._rule(("rule", number), table) for number, table in self._tables("rule")]
        names = [*parts, *(one.told.name for one in read)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"{self._path}: two rules are named {twice!r}; a warning must name its rule, so rename one")
        parts |= {one.rule.name: one.rule for one in read if isinstance(one.rule, Rule)}
        used = {name for one in read if isinstance(one.told, Compound) for name in one.told.of}
        for one in read:
            rule = one.rule
            if isinstance(rule, BulletinRule):
                self._bulletin_rules.setdefault(one.told.hazard, []).append(rule)
                continue
            if isinstance(one.told, Compound):
                try:
                    rule = one.told.made_of(parts)
                except TocsinError as fault:
                    raise self._about(one.where, {"of": one.told.of, "groups": one.told.groups}, fault) from fault
            elif not one.told.alone:
                if one.told.name not in used:
                    words = f"alone = false, and no {COMPOUND} is made of {one.told.name!r}: it would never be judged"
                    raise self._fault(one.where, "alone", words)
                continue
            if rule is not None:
                rules.setdefault(one.told.hazard, []).append(rule)

    def _about(self, where: tuple[str, int], table: Mapping[str, Any], fault: Exception) -> InputError:
        """A fault that a rule's function told, at the key that it names."""
        named = (word for word in re.findall(r"[a-z_]+(?=: | = | is missing)", str(fault)) if word in table)
        key = next(named, "groups" if "groups" in table and ": groups " in str(fault) else "")
        return self._fault(where, key, str(fault))

    def _collector(self, where: tuple[str, int], table: Mapping[str, Any], kinds: Mapping[str, type[Any]]) -> Collector:
        kind = table.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            raise self._fault(where, "kind", f"kind = {kind!r}; wanted one of {', '.join(sorted(kinds))}")
        collector: Collector = self._decode(where, {key: value for key, value in table.items() if key != "kind"}, kinds[kind])
        return collector

    def _action(self, where: tuple[str, int], table: Mapping[str, Any]) -> LogLine | Webhook | MqttTopic | Command:
        kind = next((one for one in ACTION_KINDS if one.kind == table.get("kind")), None)
        if kind is not None:
            known = [field.encode_name for field in msgspec.structs.fields(kind)]
            for key in table:
                if key not in known and key != "kind":
                    raise self._fault(where, key, f"unknown key{_nearest(key, known)}")
        try:
            return decode_action(table)
        except msgspec.ValidationError as fault:
            raise self._invalid(where, fault) from fault
        except TocsinError as fault:
            raise self._fault(where, "kind" if kind is None else "", str(fault)) from fault

    def _fault(self, where: tuple[str, int], key: str, words: str) -> InputError:
        section, number = where
        named = f"[{section}]" if number < 0 else f"[[{section}]] number {number + 1}"
        if section == "packs":
            named = "packs"
        at = self._line(section, number, key)
        line = f", line {at}" if at else ""
        about = f", {key}" if key and key != section else ""
        return InputError(f"{self._path.name}{line}: {named}{about}: {words}")

    def _line(self, section: str, number: int, key: str) -> int:
        """Where the key stands, or else the head of its section; 0 where neither is found."""
        head = re.compile(rf"\s*\[{{1,2}}\s*{re.escape(section)}\s*\]{{1,2}}")
        heads = [n for n, line in enumerate(self._lines) if head.match(line)]
        if not heads:
            plain = re.compile(rf"\s*{re.escape(section)}\s*[=.]")
            return next((n + 1 for n, line in enumerate(self._lines) if plain.match(line)), 0)
        begin = heads[max(0, number)] if max(0, number) < len(heads) else heads[-1]
        own = re.compile(rf"\s*\[{{1,2}}\s*{re.escape(section)}\s*\.")
        other = re.compile(r"\s*\[{1,2}\s*[A-Za-z\"']")
        body = itertools.takewhile(
            lambda n: not other.match(self._lines[n]) or own.match(self._lines[n]), range(begin + 1, len(self._lines))
        )
        wanted = re.compile(rf"\s*(?:\[{{1,2}}\s*{re.escape(section)}\s*\.\s*)?[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
        return next((n + 1 for n in body if key and wanted.match(self._lines[n])), begin + 1)


def _nearest(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
