"""A [[rule]] of a settings file as a ready-made rule: which kinds there are, what a table of each holds, where its limits come from."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_type_hints

import msgspec

from tocsin.pack import Limits, Rule
from tocsin.pack.ready_rules import (
    accumulation,
    compound,
    cusum,
    ears,
    ewma,
    farrington,
    k_of_n,
    rise,
    sta_lta,
    step_change,
    threshold,
)
from tocsin.pack.thresholds import Threshold, find_threshold, limits_of
from tocsin.science.surveillance import EARS_DAYS, EARS_LAG, NOUFAILY, Farrington
from tocsin.vocabulary import InputError, Level, Quantity

WARNING_LEVELS = {level.word: level for level in Level if level > Level.NONE}
LIBRARY = "library:"
Steps = dict[str, float]


class RuleKind(NamedTuple):
    """How a kind of rule is made of a table: its function, the unit of its limits, and in which shape they are given."""

    make: Callable[..., Rule]
    unit_of: Callable[[Quantity], str]
    limits: Literal["steps", "hours"] = "steps"
    statistics: tuple[str, ...] = ()  # of those default thresholds that it may use


def _own(quantity: Quantity) -> str:
    return quantity.unit


VALUES = ("instant", "max", "min", "mean")
RULE_KINDS: Mapping[str, RuleKind] = {
    "threshold": RuleKind(threshold, _own, statistics=VALUES),
    "rise": RuleKind(rise, lambda quantity: f"{quantity.unit}/h"),
    "accumulation": RuleKind(accumulation, lambda quantity: quantity.unit.removesuffix("/h"), "hours", ("sum",)),
    "k_of_n": RuleKind(k_of_n, _own, statistics=VALUES),
    "sta_lta": RuleKind(sta_lta, lambda _: "1"),
    "cusum": RuleKind(cusum, lambda _: "1"),
    "ewma": RuleKind(ewma, lambda _: "1"),
    "ears": RuleKind(ears, lambda _: "1"),
    "farrington": RuleKind(farrington, lambda _: "1"),
    "step_change": RuleKind(step_change, _own),
}
COMPOUND = "compound"
METHODS: Mapping[str, Farrington] = {"farrington": Farrington(), "noufaily": NOUFAILY}


class Method(Farrington, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A method of Farrington's kind that is given number by number."""


class Compound(msgspec.Struct, frozen=True, kw_only=True):
    """Several rules of the same file, or of a pack, that are named in `of`."""

    name: str
    hazard: str
    of: tuple[str, ...]
    how: Literal["all", "any"] = "all"
    groups: dict[str, list[str]] | None = None
    meaning: str = ""
    public: bool = True

    def made_of(self, rules: Mapping[str, Rule]) -> Rule:
        """The rule, where `rules` are those that it can be made of, by name."""
        unknown = [name for name in self.of if name not in rules]
        if unknown:
            known = ", ".join(rules) or "none"
            raise InputError(f"rule {self.name}: of = {unknown[0]!r}; wanted rules of this file or of a pack: {known}")
        if len(set(self.of)) != len(self.of):
            raise InputError(f"rule {self.name}: of = {list(self.of)}; wanted each once")
        made = compound(self.name, [rules[name] for name in self.of], how=self.how, groups=self.groups, meaning=self.meaning)
        return made if self.public else msgspec.structs.replace(made, verified=False)


@functools.cache
def rule_form(kind: str) -> type[Any]:
    """What a table of this kind holds: what every rule needs, and the keywords of its function."""
    told = RULE_KINDS[kind]
    hints = get_type_hints(told.make)
    fields: list[Any] = [("name", str), ("hazard", str), ("quantity", Quantity), ("source", str, "")]
    for one in _keywords(told.make):
        hint = hints[one.name]
        if hint is Farrington:
            fields.append((one.name, Method | Literal["farrington", "noufaily"], "noufaily"))
        else:
            fields.append((one.name, hint) if one.default is one.empty else (one.name, hint, one.default))
    if told.limits == "hours":
        fields += [("hours", dict[str, Steps], {}), ("limits", str | tuple[str, ...], "")]
    else:
        fields += [("limits", str | Steps, {}), ("at", dict[str, Steps], {})]
    fields += [("verified", bool, False), ("public", bool, True), ("alone", bool, True)]
    return msgspec.defstruct(f"Rule_{kind}", fields, kw_only=True, frozen=True)


def rule_of(kind: str, told: Any) -> Rule:
    """The rule of a table that has the form of its kind. Raises an InputError, or Refused where it may not warn the public."""
    how = RULE_KINDS[kind]
    options = {one.name: getattr(told, one.name) for one in _keywords(how.make)}
    if isinstance(options.get("method"), str) and kind == "farrington":
        options["method"] = METHODS[options["method"]]
    given, found = _limits(kind, told)
    if any(one.statistic == "min" for one in found) and "falling" in options and options["falling"] is None:
        options["falling"] = True
    made = how.make(told.name, told.quantity, given, **options)
    return made if told.public else msgspec.structs.replace(made, verified=False)


def readings_least(kind: str, told: Any) -> int:
    """How many readings of a stream must be remembered for a rule of this kind to see all that it looks at."""
    match kind:
        case "sta_lta":
            return int(round((told.long_s + told.within_s) / told.step_s) + 1)
        case "ears":
            return EARS_DAYS + EARS_LAG + 3
        case "farrington":
            method: Farrington = METHODS[told.method] if isinstance(told.method, str) else told.method
            return method.weeks
        case _:
            return int(getattr(told, "min_readings", 1))


def _keywords(function: Callable[..., Rule]) -> list[inspect.Parameter]:
    return [one for one in inspect.signature(function).parameters.values() if one.kind == inspect.Parameter.KEYWORD_ONLY]


def _limits(kind: str, told: Any) -> tuple[Any, Sequence[Threshold]]:
    """The limits as the rule's function takes them, and the default thresholds that they are of."""
    how = RULE_KINDS[kind]
    unit = how.unit_of(told.quantity)
    if isinstance(told.limits, str | tuple) and told.limits:
        if getattr(told, "at", None) or getattr(told, "hours", None):
            raise InputError(f"rule {told.name}: limits = {told.limits!r} and others beside them; wanted one of both")
        return _of_library(kind, told)
    if not told.source:
        raise InputError(f"rule {told.name}: source is missing; wanted the document that has these limits")

    def limits(steps: Steps) -> Limits:
        unknown = [step for step in steps if step not in WARNING_LEVELS]
        if unknown:
            raise InputError(f"level {unknown[0]!r}; wanted {', '.join(WARNING_LEVELS)}")
        return Limits({WARNING_LEVELS[step]: value for step, value in steps.items()}, unit, told.source, told.verified)

    if how.limits == "hours":
        if not told.hours:
            raise InputError(f"rule {told.name}: hours is missing; wanted limits for so many hours, or limits = 'library:NAME'")
        return {_hours(told.name, key): limits(steps) for key, steps in told.hours.items()}, ()
    if bool(told.limits) == bool(told.at):
        raise InputError("wanted either `limits`, the same everywhere, or `at`, limits for each site")
    return (limits(told.limits) if told.limits else {site: limits(steps) for site, steps in told.at.items()}), ()


def _hours(rule: str, key: str) -> float:
    try:
        return float(key)
    except ValueError as fault:
        raise InputError(f"rule {rule}: hours = {key!r}; wanted a number of hours, as in [rule.hours.6]") from fault


def _of_library(kind: str, told: Any) -> tuple[Any, Sequence[Threshold]]:
    """Limits that are named: `library:NAME`, several of them for the sums of several spans of time."""
    how = RULE_KINDS[kind]
    names = [told.limits] if isinstance(told.limits, str) else list(told.limits)
    odd = next((name for name in names if not name.startswith(LIBRARY)), None)
    if odd is not None:
        raise InputError(
            f"rule {told.name}: limits = {odd!r}; wanted numbers by level, or '{LIBRARY}NAME' of a default threshold"
        )
    if not how.statistics:
        raise InputError(f"rule {told.name}: limits = {names[0]!r}: no default threshold is one for a {kind}; wanted numbers")
    if told.verified or told.source:
        raise InputError(f"rule {told.name}: limits = {names[0]!r}: its source, and whether it is verified, stand in the library")
    found = [find_threshold(name.removeprefix(LIBRARY)) for name in names]
    for name, one in zip(names, found, strict=True):
        if one.statistic not in how.statistics:
            raise InputError(
                f"rule {told.name}: limits = {name!r} are of a {one.statistic}; a {kind} takes {', '.join(how.statistics)}"
            )
    quantity = Quantity(told.quantity.name, how.unit_of(told.quantity))
    limits = [limits_of(name.removeprefix(LIBRARY), quantity, public=told.public) for name in names]
    if how.limits == "steps":
        return limits[0], found
    hours = {one.averaging_h: limit for one, limit in zip(found, limits, strict=True)}
    if len(hours) != len(found):
        raise InputError(f"rule {told.name}: limits = {names}; wanted sums over different hours")
    return hours, found
