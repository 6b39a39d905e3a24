"""People made from counts: who lives with whom, who goes to which school or workplace, and who are neighbours; the same people for the same seed."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.science.agents import AGES, People
from tocsin.science.agents_steps import NOBODY, SCHOOL, WORK
from tocsin.science.keyed import keyed_uniforms
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ADULT_FROM = 20
BALANCE_STEPS = 30
PEOPLE_MOST = 20_000_000


class Sites(msgspec.Struct, frozen=True):
    """Where people go by day: schools or workplaces, arrays (site,), each with its weight (places, or jobs) and its zone."""

    x_m: Floats
    y_m: Floats
    weight: Floats
    zone: Ints


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """How homes, schools and workplaces are filled. What has no source is a choice, and named as one in the pack's README.

    Homes hold 1 + Poisson(`home_mean` - 1) people, an adult among them. `age_shares` are of ten-year groups from 0, the last one open.
    """

    home_mean: float
    age_shares: tuple[float, ...]
    neighbourhood: int = 2_000
    school_from: int = 6
    school_until: int = 18
    work_from: int = 18
    work_until: int = 65
    work_share: float = 0.6
    workplace_size: int = 20
    school_distance_m: float = 1_500.0
    work_distance_m: float = 5_000.0

    def __post_init__(self) -> None:
        shares = np.array(self.age_shares)
        if not (shares.size >= 3 and np.isfinite(shares).all() and (shares >= 0).all() and shares[2:].sum() > 0):
            raise InputError(f"people: age_shares {self.age_shares}; wanted shares of 0-9, 10-19, ..., some of them adults")
        if not 1.0 <= self.home_mean <= 20.0:
            raise InputError(f"people: home_mean = {self.home_mean}; wanted 1..20 persons")
        if not (self.neighbourhood >= 2 and self.workplace_size >= 2):
            raise InputError("people: neighbourhood and workplace_size; wanted 2 persons or more")


class Populace(msgspec.Struct, frozen=True):
    """The people, the cell in which each lives, (person,), and the neighbourhood of each cell, (cell,); cells as in the counts they were made from."""

    people: People
    cell: NDArray[np.int32]
    near_of_cell: Ints


def make_people(
    count: Floats, x_m: Floats, y_m: Floats, zone: Ints, *, habits: Habits, schools: Sites | None, works: Sites | None, seed: int
) -> Populace:
    """People of cells, arrays (cell,): how many live there, where it is and in which zone (-1: none, which is a zone of its own).

    A broken count becomes a whole one by chance that belongs to the cell. Cells are walked along a Z-shaped curve within each zone, so that
    neighbourhoods are compact; homes may reach over to the next cell. Pupils and workers are sent to sites by a gravity model balanced on both
    sides: as far as distance allows each site gets its share. Source: Wilson 1967, A statistical theory of spatial distribution models,
    Transportation Research 1:253-269 (doubly constrained, exponential deterrence).
    """
    if not (np.isfinite(count).all() and (count >= 0).all()):
        raise InputError("people: counts below 0 or not finite; wanted persons per cell, 0 or more")
    whole = np.floor(count + keyed_uniforms(seed, "whole persons", np.arange(count.size))).astype(np.int64)
    total = int(whole.sum())
    if not 2 <= total <= PEOPLE_MOST:
        raise InputError(f"people: {total:,} agents; wanted 2..{PEOPLE_MOST:,}: change how many people one agent stands for")
    zones = zone - min(0, int(zone.min(initial=0)))
    order = np.lexsort((_z_curve(x_m, y_m), zones))
    cell = np.repeat(order, whole[order])
    person_zone = zones[cell]
    # neighbourhoods: even parts of each zone's people
    zone_first = np.flatnonzero(np.r_[True, np.diff(person_zone) != 0])
    zone_size = np.diff(np.r_[zone_first, total])
    parts = np.maximum(1, np.round(zone_size / habits.neighbourhood)).astype(np.int64)
    near_start = np.unique(
        np.concatenate([f + (np.arange(p) * s) // p for f, s, p in zip(zone_first, zone_size, parts, strict=True)])
    )
    near_start = np.r_[near_start, total]
    # homes
    guess = int(total / habits.home_mean * 1.2) + 50
    size = 1 + _poisson(keyed_uniforms(seed, "home size", np.arange(guess)), habits.home_mean - 1.0)
    ends = np.cumsum(size)
    while ends[-1] < total:
        guess *= 2
        size = 1 + _poisson(keyed_uniforms(seed, "home size", np.arange(guess)), habits.home_mean - 1.0)
        ends = np.cumsum(size)
    home_start = np.unique(np.r_[0, ends[ends < total], near_start])
    home = np.repeat(np.arange(home_start.size - 1), np.diff(home_start))
    near = np.searchsorted(near_start, home_start[:-1], side="right") - 1
    cell = cell[home_start[:-1]][home]  # all of a home live where the first of them does
    age = _ages(total, home_start, habits, seed)
    # by day
    near_zone = person_zone[near_start[:-1]]
    near_x, near_y = (np.add.reduceat(v[cell], near_start[:-1]) / np.diff(near_start) for v in (x_m, y_m))
    person_near = near[home]
    place = np.full(total, NOBODY, np.int64)
    pupil = (age >= habits.school_from) & (age < habits.school_until)
    works_u = keyed_uniforms(seed, "has work", np.arange(total))
    worker = (age >= habits.work_from) & (age < habits.work_until) & (works_u < habits.work_share) & ~pupil
    layers, place_zones, first = [], [], 0
    for who, sites, layer, reach_m, label in (
        (np.flatnonzero(pupil), schools, SCHOOL, habits.school_distance_m, "school"),
        (np.flatnonzero(worker), works, WORK, habits.work_distance_m, "work"),
    ):
        if sites is None or not sites.weight.size:
            site, site_zone = person_near[who], near_zone  # unknown: one in each neighbourhood
        else:
            site = _gravity(person_near[who], near_x, near_y, sites, reach_m, keyed_uniforms(seed, f"which {label}", who))
            site_zone = sites.zone - min(0, int(zone.min(initial=0)))
        if layer == WORK:  # a site has several workplaces
            rank = _rank(site, keyed_uniforms(seed, "which workplace", who))
            per = np.bincount(site, minlength=site_zone.size)
            teams = np.maximum(1, np.round(per / habits.workplace_size)).astype(np.int64)
            team_first = np.r_[0, np.cumsum(teams)]
            site, site_zone = team_first[site] + rank % teams[site], np.repeat(site_zone, teams)
        place[who] = first + site
        layers.append(np.full(site_zone.size, layer))
        place_zones.append(site_zone)
        first += site_zone.size
    people = People(age, home_start, near_start, near_zone, place, np.concatenate(layers), np.concatenate(place_zones))
    near_of_cell = np.empty(count.size, np.int64)
    before = np.cumsum(whole[order]) - whole[order]  # people in the cells before: also an empty cell lies in a neighbourhood
    near_of_cell[order] = np.minimum(np.searchsorted(near_start, before, side="right") - 1, near_start.size - 2)
    return Populace(people, cell.astype(np.int32), near_of_cell)


def _z_curve(x_m: Floats, y_m: Floats) -> Ints:
    """A number for each point such that near numbers are near points (Morton 1966): the bits of both coordinates, interleaved."""
    told = np.zeros(x_m.size, np.int64)
    for shift, v in ((0, x_m), (1, y_m)):
        span = max(float(np.ptp(v)), 1.0)
        whole = ((v - v.min()) / span * 65_535.0).astype(np.int64)
        for bit in range(16):
            told |= ((whole >> bit) & 1) << (2 * bit + shift)
    return told


def _poisson(u: Floats, mean: float) -> Ints:
    """The quantile of a Poisson distribution."""
    from scipy.stats import poisson

    table = poisson.cdf(np.arange(int(mean + 12.0 * np.sqrt(mean) + 12.0)), mean)
    return np.searchsorted(table, u, side="right")


def _ages(total: int, home_start: Ints, habits: Habits, seed: int) -> Ints:
    """Years: the first of a home is an adult, the others fill up the shares of the whole."""
    shares = np.array(habits.age_shares) / sum(habits.age_shares)
    groups = np.arange(shares.size)
    adult = np.where(groups >= ADULT_FROM // 10, shares, 0.0)
    homes_per_person = 1.0 / habits.home_mean
    others = np.maximum(shares - homes_per_person * adult / adult.sum(), 0.0)
    if others.sum() <= 0.0:
        others = shares
    u = keyed_uniforms(seed, "age", np.arange(total))
    pick = np.searchsorted(np.cumsum(others / others.sum())[:-1], u, side="right")
    head = home_start[:-1]
    pick[head] = np.searchsorted(np.cumsum(adult / adult.sum())[:-1], u[head], side="right")
    within = np.floor(10.0 * keyed_uniforms(seed, "year", np.arange(total))).astype(np.int64)
    return np.asarray(np.minimum(10 * pick + within, AGES - 1), np.int64)


def _gravity(near: Ints, near_x: Floats, near_y: Floats, sites: Sites, reach_m: float, u: Floats) -> Ints:
    """Which site each of these people goes to, given their neighbourhood."""
    leaving = np.bincount(near, minlength=near_x.size).astype(np.float64)
    arriving = sites.weight / sites.weight.sum() * leaving.sum()
    apart = np.hypot(near_x[:, None] - sites.x_m[None, :], near_y[:, None] - sites.y_m[None, :])
    pull = np.exp(-(apart - apart.min(axis=1, keepdims=True)) / reach_m)
    b = np.ones(sites.weight.size)
    for _ in range(BALANCE_STEPS):
        a = 1.0 / np.maximum(pull @ (b * arriving), 1e-300)
        b = 1.0 / np.maximum((a * leaving) @ pull, 1e-300)
    share = pull * (b * arriving)
    edges = np.cumsum(share, axis=1)
    edges /= edges[:, -1:]
    # one row after another on one rising line: row r lies in r .. r + 1
    line = (edges + np.arange(edges.shape[0])[:, None]).reshape(-1)
    told = np.searchsorted(line, near + u, side="right") - near * sites.weight.size
    return np.asarray(np.clip(told, 0, sites.weight.size - 1), np.int64)


def _rank(group: Ints, u: Floats) -> Ints:
    """The number of each within its group, in the order of `u`."""
    order = np.lexsort((u, group))
    sorted_group = group[order]
    first = np.r_[True, np.diff(sorted_group) != 0] if group.size else np.zeros(0, bool)
    at = np.arange(group.size)
    rank = np.empty(group.size, np.int64)
    rank[order] = at - np.maximum.accumulate(np.where(first, at, 0)) if group.size else at
    return rank
