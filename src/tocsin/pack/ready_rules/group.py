"""Rules on several streams: so many sites of a group are beyond a limit; several rules agree on a site or a group.

What is not known is kept as what it could be. A site that speaks has one level; a silent one could have any from NONE to RED. The
same counting is then done with the least and with the most that everything could be: where both come to one level, blindness
changes nothing; where they differ, the least is told if it warns and is no lower than before; otherwise the answer is BLIND.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tocsin.pack.ready_rules.table import STEPS, Levels, Table, Values, by_words, check_settings, number_words, span_words
from tocsin.pack.rule import Limits, Rule, Verdict
from tocsin.science import detect
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.level import Level
from tocsin.vocabulary.quantity import Quantity
from tocsin.vocabulary.world import Window

Groups = Mapping[str, Sequence[str]]
NAMES_MOST = 5


def k_of_n(
    name: str,
    quantity: Quantity,
    limits: Limits | Mapping[str, Limits],
    *,
    k: int,
    groups: dict[str, list[str]],
    within_s: float,
    max_age_s: float,
    margin: float = 0.0,
    falling: bool | None = None,
    meaning: str = "",
) -> Rule:
    """`k` or more sites of a group were at or beyond a limit within the last `within_s`: one broken gauge warns nobody.

    `groups` names the sites of each group; a site is in one group at most. All sites of a group get its level. A site that has not
    been at a limit and has no good reading within `max_age_s` could be at any level: if that could make the difference, the
    group is BLIND. The level is held while `k` sites are at or beyond its limit, or short of it by `margin` at most.
    """
    table = Table(name, quantity, quantity.unit, limits, falling)
    check_settings(name, within_s=within_s, max_age_s=max_age_s, margin=margin, min_readings=1)
    members = _Members(name, groups)
    if not 1 <= k <= members.fewest:
        raise InputError(f"rule {name}: k = {k}; wanted 1 to {members.fewest}, the number of sites of the smallest group")

    def judge(window: Window, before: Levels) -> Verdict:
        sign, limit = table.sign, table.rows(window.sites)
        place = members.places(window.sites)
        newest_s = detect.newest(window.value, window.age_s, window.good)[1]
        recent = window.good & (window.age_s <= within_s)
        most = np.where(recent, sign * window.value, -np.inf).max(axis=1, initial=-np.inf)
        held = before[:, None] > np.arange(len(STEPS))
        with np.errstate(invalid="ignore"):
            reached = most[:, None] >= sign * limit
            kept = most[:, None] >= sign * limit - np.where(held, margin, 0.0)
        judged = np.isfinite(limit).any(axis=1)
        silent = judged & (newest_s > max_age_s)
        firm = _highest(reached)
        least = _kth(_highest(kept), place.member, k, absent=Level.NONE)
        utmost = _kth(np.where(silent, np.int8(Level.RED), _highest(kept)), place.member, k, absent=Level.RED)
        level, reason_of = _told(least, utmost, place, before)
        value = sign * _kth_value(most, place.member, k)

        def say(at: int, group: int, step: Level) -> str:
            where = f"group {members.names[group]!r}"
            inside = place.member[group][place.member[group] >= 0]
            n = len(members.sites[group])
            if step == Level.BLIND:
                lost = int(silent[inside].sum()) + n - inside.size
                return f"{where}: blind: {lost} of {n} sites have no usable reading within {span_words(max_age_s)}; they could decide"
            if step == Level.NONE:
                return f"{where}: fewer than {k} of {n} sites {table.beyond} a limit within {span_words(within_s)}"
            there = inside[firm[inside] >= step]
            edge = f"the {step.word} limit"
            if there.size < k:
                return f"{where}: fewer than {k} of {n} sites have reached {edge}; it{by_words(margin, quantity.unit)} is not yet cleared"
            names = ", ".join(window.sites[s] for s in there[:NAMES_MOST].tolist()) + (", ..." if there.size > NAMES_MOST else "")
            number = f"{number_words(most[at] * sign, quantity.unit)} here; " if np.isfinite(most[at]) else ""
            return f"{number}{where}: {there.size} of {n} sites have reached {edge} within {span_words(within_s)} ({names})"

        reasons = [""] * len(window.sites)
        for at in np.flatnonzero((level != before) | (level != Level.NONE)).tolist():
            reasons[at] = f"{window.sites[at]}: {say(at, int(reason_of[at]), Level(int(level[at])))}"
        return _verdict(level, place.spread(value), reasons)

    told = meaning or f"{quantity.name} {table.beyond} a limit at {k} or more sites of a group within {span_words(within_s)}"
    return Rule(name, quantity, max(within_s, max_age_s), judge, told, table.source, table.verified)


def compound(
    name: str,
    rules: Sequence[Rule],
    *,
    how: str = "all",
    groups: dict[str, list[str]] | None = None,
    meaning: str = "",
) -> Rule:
    """Several rules agree on a site, or a group of sites: "all" gives the lowest of their levels, "any" the highest.

    Soil that is wet *and* rain that is heavy; a level *or* a rise. The rules may read different quantities; sites meet by their
    name, or by `groups`, within which one site's warning is the group's; who measures nothing that a rule reads has no voice in it.
    Sites that the first rule reads get the verdict. A rule that is blind could give any level: if that could make the difference, the answer is BLIND, never a silent NONE. Each
    rule is judged anew, its own hysteresis held by the level that the whole had before. It warns the public only if all may.
    """
    if len(rules) < 2 or how not in ("all", "any"):
        raise InputError(f"rule {name}: how = {how!r} of {len(rules)} rules; wanted 'all' or 'any' of two or more")
    if any(rule.also for rule in rules):
        raise InputError(f"rule {name}: one of its rules is made of others; put all of them into one")
    parts = tuple(rules)
    quantities = {rule.reads.name: rule.reads for rule in parts}
    clash = [rule.name for rule in parts if rule.reads.unit != quantities[rule.reads.name].unit]
    if clash:
        raise InputError(f"rule {name}: {clash} read a quantity in another unit than the rest")
    members = None if groups is None else _Members(name, groups)

    def judge_all(windows: Mapping[str, Window], before: Levels) -> Verdict:
        subjects = windows[parts[0].reads.name].sites
        least, utmost, words = [], [], []
        place = None if members is None else members.places(subjects)
        for rule in parts:
            window = windows[rule.reads.name]
            here = _where(window.sites, subjects)
            had = np.append(np.maximum(before, Level.NONE), Level.NONE)[here].astype(np.int8)
            seen = Window(window.quantity, window.sites, window.age_s, window.value, window.good & (window.age_s <= rule.span_s))
            verdict = rule.judge(seen, had)
            low = np.maximum(verdict.level, Level.NONE).astype(np.int8)
            high = np.where(verdict.level == Level.BLIND, np.int8(Level.RED), verdict.level).astype(np.int8)
            of = _alone(subjects, window.sites) if members is None else members.places(window.sites)
            least.append(_kth(low, of.member, 1, absent=Level.NONE))
            most = _kth(high, of.member, 1, absent=Level.BLIND)  # a member that does not measure this says nothing of it ...
            utmost.append(np.where(most == Level.BLIND, np.int8(Level.RED), most).astype(np.int8))  # ... unless none does
            words.append((rule, verdict, of))
        join = np.min if how == "all" else np.max
        place = _alone(subjects, subjects) if place is None else place
        level, group_of = _told(join(least, axis=0), join(utmost, axis=0), place, before)
        reasons = [""] * len(subjects)
        for at in np.flatnonzero((level != before) | (level != Level.NONE)).tolist():
            said = [_part_words(rule, verdict, of, int(group_of[at])) for rule, verdict, of in words]
            step = Level(int(level[at]))
            head = "blind: " if step == Level.BLIND else ""
            reasons[at] = f"{subjects[at]}: {head}{'; '.join(said)}" if group_of[at] >= 0 else ""
        first, mine = words[0][1].value, level != Level.BLIND
        return _verdict(level, np.where(mine, first, np.nan), reasons)

    def judge(window: Window, before: Levels) -> Verdict:
        nothing = {key: _empty(quantity) for key, quantity in quantities.items()}
        return judge_all({**nothing, window.quantity.name: window}, before)

    also = tuple(quantity for key, quantity in quantities.items() if key != parts[0].reads.name)
    told = meaning or f"{how} of: {'; '.join(rule.meaning for rule in parts)}"
    return Rule(
        name,
        parts[0].reads,
        max(rule.span_s for rule in parts),
        judge,
        told,
        "; ".join(dict.fromkeys(rule.source for rule in parts)),
        all(rule.verified for rule in parts),
        by_site=members is None and not also and all(rule.by_site for rule in parts),
        also=also,
        judge_all=judge_all if also else None,
    )


def _empty(quantity: Quantity) -> Window:
    """What is known of a quantity that nobody has measured."""
    return Window(quantity, (), np.empty((0, 0)), np.empty((0, 0)), np.empty((0, 0), np.bool_))


def _part_words(rule: Rule, verdict: Verdict, of: _Places, group: int) -> str:
    """What one of the rules said of a group: its gravest sentence."""
    inside = of.member[group][of.member[group] >= 0] if group >= 0 else np.empty(0, np.int64)
    if not inside.size:
        return f"{rule.name}: not measured here"
    gravest = inside[np.argmax(verdict.level[inside])]
    if verdict.level[gravest] <= Level.NONE and (verdict.level[inside] == Level.BLIND).any():
        gravest = inside[np.argmin(verdict.level[inside])]
    word = Level(int(verdict.level[gravest])).word
    return f"{rule.name}: {word}" + (f" ({verdict.reason[gravest]})" if verdict.reason[gravest] else "")


class _Members:
    """Groups of sites, and where the sites of a group are in a window."""

    def __init__(self, rule: str, groups: Groups) -> None:
        listed = [site for sites in groups.values() for site in sites]
        if not groups or not all(groups.values()) or len(set(listed)) != len(listed):
            raise InputError(f"rule {rule}: groups {dict(groups)}; wanted one or more sites in each, and each site in one group")
        self.names, self.sites = tuple(groups), tuple(tuple(sites) for sites in groups.values())
        self.fewest = min(len(sites) for sites in self.sites)
        self._last: tuple[tuple[str, ...], _Places] | None = None

    def places(self, sites: tuple[str, ...]) -> _Places:
        """Kept, because windows name the same sites again and again."""
        if self._last is None or self._last[0] is not sites:
            index = {site: at for at, site in enumerate(sites)}
            width = max(map(len, self.sites), default=1)
            member = np.full((len(self.sites), width), -2, np.int64)
            group = np.full(len(sites), -1, np.int64)
            for number, names in enumerate(self.sites):
                member[number, : len(names)] = [index.get(name, -1) for name in names]
            inside = member >= 0
            group[member[inside]] = np.nonzero(inside)[0]
            self._last = sites, _Places(member, group)
        return self._last[1]


class _Places:
    """`member` (group, place in the window): -1 is a site that the window has not, -2 is padding. `group` (site,): -1 is none."""

    def __init__(self, member: NDArray[np.int64], group: NDArray[np.int64]) -> None:
        self.member, self.group = member, group

    def spread(self, of_group: Values) -> Values:
        """A number of each group, given to its sites."""
        return np.where(self.group >= 0, of_group[self.group], np.nan) if of_group.size else np.full(self.group.size, np.nan)


def _where(sites: tuple[str, ...], among: tuple[str, ...]) -> NDArray[np.int64]:
    """The place of each of `sites` among others, -1 where it is not."""
    if sites is among:
        return np.arange(len(sites))
    index = {site: at for at, site in enumerate(among)}
    return np.array([index.get(site, -1) for site in sites], np.int64)


def _alone(subjects: tuple[str, ...], sites: tuple[str, ...]) -> _Places:
    """Each of `subjects` a group of its own, in a window of `sites`."""
    return _Places(_where(subjects, sites)[:, None], _where(sites, subjects))


def _highest(reached: NDArray[np.bool_]) -> Levels:
    """The highest level reached, (site,), of (site, step)."""
    return np.asarray(np.where(reached, np.arange(1, len(STEPS) + 1), 0).max(axis=1, initial=0), np.int8)


def _kth(level: Levels, member: NDArray[np.int64], k: int, *, absent: Level) -> Levels:
    """The level that `k` sites of each group have or exceed, (group,); a site that the window has not counts as `absent`."""
    padded = np.append(level, [np.int8(Level.BLIND), np.int8(absent)])  # -2 is padding, -1 is absent
    return np.asarray(np.sort(padded[member], axis=1)[:, -k] if member.size else [], np.int8)


def _kth_value(most: Values, member: NDArray[np.int64], k: int) -> Values:
    """The value that `k` sites of each group have or exceed, (group,), NaN where fewer have one."""
    if not member.size:
        return np.empty(0)
    kth = np.sort(np.append(most, [-np.inf, -np.inf])[member], axis=1)[:, -k]
    return np.where(np.isfinite(kth), kth, np.nan)


def _told(least: Levels, utmost: Levels, place: _Places, before: Levels) -> tuple[Levels, NDArray[np.int64]]:
    """The level of each site by the bounds of its group's, and its group. A site of no group is not judged, and NONE."""
    inside = place.group >= 0
    if not least.size:
        return np.zeros(place.group.size, np.int8), place.group
    low, high = (np.where(inside, bound[place.group], 0) for bound in (least, utmost))
    sure = (low == high) | ((low > Level.NONE) & (low >= before))
    return np.where(sure, low, np.int8(Level.BLIND)).astype(np.int8), place.group


def _verdict(level: Levels, value: Values, reasons: list[str]) -> Verdict:
    number = np.where(level == Level.BLIND, np.nan, value)
    for array in (level, number):
        array.setflags(write=False)
    return Verdict(level, number, tuple(reasons))
