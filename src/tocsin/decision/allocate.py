"""Who goes where: units to tasks, people to shelters, sites to open; what is binding, and what one more unit would bring.

First as much as possible is served, the heavier needs first, then the time is least: two linear programs, one after the other. Their matrices
are those of a transport problem, so whole units come out whole (Hoffman & Kruskal 1956). Solved by HiGHS through SciPy (Huangfu & Hall 2018,
Math. Program. Comput. 10:119-142); the prices are its dual values.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_matrix, csr_matrix, hstack, vstack

from tocsin.vocabulary import InputError, Unavailable

Floats = NDArray[np.float64]
PAIRS_MOST = 5_000_000
PRICED_MOST = 50  # one more unit is tried of so many supplies, those with the largest dual values


class Supply(msgspec.Struct, frozen=True):
    """What there is at one place: a unit (`amount` 1), a pool of units, or the free places of a shelter. `type` 1 can do most (NIMS typing)."""

    name: str
    kind: str
    amount: float = 1.0
    type: int = 1


class Demand(msgspec.Struct, frozen=True):
    """What is asked at one place: how many of a kind, at least of `type`, within `limit_s`. What weighs more is served first."""

    name: str
    kind: str
    amount: float = 1.0
    type: int = 4
    weight: float = 1.0
    limit_s: float = np.inf


class Price(msgspec.Struct, frozen=True):
    """A supply that is used up: what one more unit would serve (weighted), and by how many seconds it would shorten the rest."""

    supply: str
    serves: float
    saves_s: float


class Relaxation(msgspec.Struct, frozen=True):
    """One way to serve everybody: what to change, by how much, in which unit."""

    what: str
    by: float
    unit: str


class Allocation(msgspec.Struct, frozen=True):
    """How much of each supply goes to each demand, (supply, demand); what stays unserved, (demand,); what is binding, and what would help."""

    amount: Floats
    unserved: Floats
    total_s: float
    binding: tuple[Price, ...]
    relaxations: tuple[Relaxation, ...]

    @property
    def is_complete(self) -> bool:
        return not self.unserved.any()


def allocate(supplies: Sequence[Supply], demands: Sequence[Demand], time_s: Floats) -> Allocation:
    """Serve what can be served in the least time; `time_s` is (supply, demand), +inf where no way leads.

    Raises InputError for a time that is not a number, an amount below 0, or two of one name.
    """
    fits = _fitting(supplies, demands, time_s)
    has, wants = np.array([s.amount for s in supplies]), np.array([d.amount for d in demands])
    weight = np.array([d.weight for d in demands])
    if not fits.any():
        return Allocation(np.zeros(time_s.shape), wants, 0.0, (), _relaxations(supplies, demands, time_s, wants))
    found = _transport(fits, has, wants, weight, time_s)
    unserved = _clean(wants - found.amount.sum(axis=0))
    binding = []
    for k in np.argsort(-found.price, kind="stable")[:PRICED_MOST]:
        if (
            found.price[k] > 0
        ):  # a dual value is the rate at the margin; at a corner it promises too much, so one more unit is tried
            more = _transport(fits, has + (np.arange(has.size) == k), wants, weight, time_s)
            serves = float(_clean(weight @ (more.amount.sum(axis=0) - found.amount.sum(axis=0))))
            saves_s = float(_clean(np.array(found.total_s - more.total_s))) if serves == 0 else 0.0
            if serves > 0 or saves_s > 0:
                binding.append(Price(supplies[k].name, serves, saves_s))
    binding.sort(key=lambda price: (-price.serves, -price.saves_s, price.supply))
    relax = _relaxations(supplies, demands, time_s, unserved) if unserved.any() else ()
    return Allocation(found.amount, unserved, found.total_s, tuple(binding), relax)


class _Transported(msgspec.Struct, frozen=True):
    """The best flow, and a bound from above on what one more of each supply is worth: 0 where nothing."""

    amount: Floats
    total_s: float
    price: Floats


def _transport(fits: NDArray[np.bool_], has: Floats, wants: Floats, weight: Floats, time_s: Floats) -> _Transported:
    from_, to = np.nonzero(fits)
    leave, reach = _sums(from_, has.size), _sums(to, wants.size)
    rows, most = vstack([leave, reach]).tocsr(), np.concatenate([has, wants])
    first = _solved(-weight[to], rows, most)
    # the best service is a face of the same polytope, so what is best on it still sits in one of its whole-numbered corners
    held = _solved(time_s[from_, to], rows, most, csr_matrix(weight[to].reshape(1, -1)), np.array([-first.fun]))
    amount = np.zeros(fits.shape)
    amount[from_, to] = _clean(held.x)
    price = np.maximum(-first.ineqlin.marginals[: has.size], 0.0) * 1e9 + np.maximum(-held.ineqlin.marginals[: has.size], 0.0)
    return _Transported(amount, float((amount[from_, to] * time_s[from_, to]).sum()), _clean(price))


class Sites(msgspec.Struct, frozen=True):
    """Which sites to open, and who goes to which, (site, demand); what stays unserved; what one more site would bring."""

    opened: tuple[int, ...]
    amount: Floats
    unserved: Floats
    total_s: float
    one_more_serves: float
    one_more_saves_s: float


def choose_sites(
    capacity: Floats, demand: Floats, time_s: Floats, *, most: int, limit_s: float = np.inf, one_more: bool = True
) -> Sites:
    """Open at most `most` sites (shelters, staging areas) such that as many as possible are served within `limit_s`, then in the least time.

    The capacitated p-median (ReVelle & Swain 1970, Geogr. Anal. 2:30-42) after maximal covering (Church & ReVelle 1974, Pap. Reg. Sci. 32:101-118).
    `time_s` is (site, demand). Raises InputError for nonsense, Unavailable where the solver gives up after a minute.
    """
    sites, places = time_s.shape
    if capacity.shape != (sites,) or demand.shape != (places,) or most < 0 or (capacity < 0).any() or (demand < 0).any():
        raise InputError(
            f"sites: capacity {capacity.shape}, demand {demand.shape}, times {time_s.shape}, most {most}; wanted one number a site and a place, none below 0"
        )
    fits = np.isfinite(time_s) & (time_s <= limit_s)
    from_, to = np.nonzero(fits)
    none = np.zeros(time_s.shape)
    if not from_.size or most == 0:
        return Sites((), none, demand.copy(), 0.0, 0.0, 0.0)
    pairs = from_.size
    open_ = csr_matrix((-capacity, (np.arange(sites), np.arange(sites))), shape=(sites, sites))
    within = hstack([_sums(from_, sites), open_])
    reach = hstack([_sums(to, places), csr_matrix((places, sites))])
    # nobody is sent to a site that is shut: pair by pair, which makes the bound of the relaxation far tighter than the sum alone
    shut = hstack(
        [
            csr_matrix((np.ones(pairs), (np.arange(pairs), np.arange(pairs)))),
            coo_matrix((-np.minimum(capacity[from_], demand[to]), (np.arange(pairs), from_)), shape=(pairs, sites)),
        ]
    )
    count = hstack([csr_matrix((1, pairs)), csr_matrix(np.ones((1, sites)))])
    limits = [LinearConstraint(within, ub=0), LinearConstraint(shut, ub=0), LinearConstraint(count, ub=min(most, sites))]
    whole = np.concatenate([np.zeros(pairs), np.ones(sites)])
    bounds = Bounds(0, np.concatenate([np.full(pairs, np.inf), np.ones(sites)]))
    serve = np.concatenate([-np.ones(pairs), np.zeros(sites)])
    first = _milp(serve, [*limits, LinearConstraint(reach, ub=demand)], whole, bounds)
    served = -first.fun
    least = np.concatenate([time_s[from_, to], np.zeros(sites)])
    enough = LinearConstraint(csr_matrix(-serve.reshape(1, -1)), lb=served - 1e-6 * max(1.0, served))
    best = _milp(least, [*limits, LinearConstraint(reach, ub=demand), enough], whole, bounds)
    opened = np.flatnonzero(best.x[pairs:] > 0.5)
    amount, total_s = none, 0.0
    if fits[opened].any():
        sent = _transport(fits[opened], capacity[opened], demand, np.ones(places), time_s[opened])
        amount[opened], total_s = sent.amount, sent.total_s
        opened = opened[sent.amount.sum(axis=1) > 0]
    unserved = _clean(demand - amount.sum(axis=0))
    gained, saved_s = 0.0, 0.0
    if one_more and most < sites:
        more = choose_sites(capacity, demand, time_s, most=most + 1, limit_s=limit_s, one_more=False)
        gained = float(unserved.sum() - more.unserved.sum())
        saved_s = max(0.0, total_s - more.total_s) if gained == 0 else 0.0
    return Sites(tuple(opened.tolist()), amount, unserved, total_s, gained, saved_s)


def _fitting(supplies: Sequence[Supply], demands: Sequence[Demand], time_s: Floats) -> NDArray[np.bool_]:
    """Which supply may serve which demand: of its kind, able enough, and there in time."""
    shape = (len(supplies), len(demands))
    if time_s.shape != shape or np.isnan(time_s).any() or (time_s < 0).any():
        raise InputError(
            f"allocate: times {time_s.shape}; wanted {shape}, none below 0 and each a number (+inf where no way leads)"
        )
    if time_s.size > PAIRS_MOST:
        raise InputError(
            f"allocate: {shape[0]:,} x {shape[1]:,} pairs; wanted at most {PAIRS_MOST:,}: put units of one place together"
        )
    for rows in (supplies, demands):
        names = [row.name for row in rows]
        if twice := sorted({name for name in names if names.count(name) > 1})[:1]:
            raise InputError(f"allocate: two are named {twice[0]!r}; give each its own name")
        if wrong := [row.name for row in rows if not 0 <= row.amount < np.inf]:
            raise InputError(f"allocate: {wrong[0]}: amount is below 0 or not a number; wanted 0 or more")
    if heavy := [d.name for d in demands if not 0 < d.weight < np.inf]:
        raise InputError(f"allocate: {heavy[0]}: weight must be more than 0")
    kinds, able = np.array([s.kind for s in supplies]), np.array([s.type for s in supplies])
    of_kind = kinds[:, None] == np.array([d.kind for d in demands])
    able_enough = able[:, None] <= np.array([d.type for d in demands])
    in_time = np.isfinite(time_s) & (time_s <= np.array([d.limit_s for d in demands]))
    return np.asarray(of_kind & able_enough & in_time)


def _relaxations(
    supplies: Sequence[Supply], demands: Sequence[Demand], time_s: Floats, unserved: Floats
) -> tuple[Relaxation, ...]:
    """What each single change would have to be to serve everybody: more units, more time, or less asked; a change that cannot do it is left out."""
    found = []
    short = {d.kind for d, left in zip(demands, unserved, strict=True) if left > 1e-9}
    for kind in sorted(short):
        left = float(sum(u for d, u in zip(demands, unserved, strict=True) if d.kind == kind))
        at = [k for k, d in enumerate(demands) if d.kind == kind and unserved[k] > 1e-9]
        whom = ", ".join(demands[k].name for k in at[:3]) + (" ..." if len(at) > 3 else "")
        able = np.array([s.kind == kind for s in supplies], bool)
        if able.any() and not np.isfinite(time_s[np.ix_(np.flatnonzero(able), np.array(at))]).any():
            found.append(
                Relaxation(f"a way for {kind} to {whom}: none leads there, open a road or go by another means", left, kind)
            )
        else:
            found.append(Relaxation(f"{kind} more, able and near enough for {whom}", left, kind))
        spare = float(sum(s.amount for s in supplies if s.kind == kind)) - float(sum(d.amount for d in demands if d.kind == kind))
        if spare >= -1e-9 and (extra := _time_that_serves_all(supplies, demands, time_s, kind)) is not None:
            found.append(Relaxation(f"time limits of {kind} longer", extra, "s"))
        found.append(Relaxation(f"ask for less {kind}", left, kind))
    return tuple(found)


def _time_that_serves_all(supplies: Sequence[Supply], demands: Sequence[Demand], time_s: Floats, kind: str) -> float | None:
    """By how much every limit of a kind has to grow until all of it is served; None where no time does it."""
    mine = [k for k, d in enumerate(demands) if d.kind == kind]
    limit = np.array([demands[k].limit_s for k in mine])
    way, within = np.isfinite(time_s[:, mine]), np.isfinite(limit)
    beyond = np.where(way & within, time_s[:, mine], 0.0) - np.where(within, limit, 0.0)
    steps = np.unique(beyond[way & within & (beyond > 0)])
    low, high = 0, steps.size - 1
    if high < 0 or not _serves_all(supplies, [demands[k] for k in mine], time_s[:, mine], float(steps[-1])):
        return None
    while low < high:
        middle = (low + high) // 2
        if _serves_all(supplies, [demands[k] for k in mine], time_s[:, mine], float(steps[middle])):
            high = middle
        else:
            low = middle + 1
    return float(steps[low])


def _serves_all(supplies: Sequence[Supply], demands: Sequence[Demand], time_s: Floats, longer_s: float) -> bool:
    longer = [msgspec.structs.replace(d, limit_s=d.limit_s + longer_s + 1e-6) for d in demands]
    from_, to = np.nonzero(_fitting(supplies, longer, time_s))
    if not from_.size:
        return False
    most = np.array([*(s.amount for s in supplies), *(d.amount for d in demands)])
    found = _solved(-np.ones(from_.size), vstack([_sums(from_, len(supplies)), _sums(to, len(demands))]).tocsr(), most)
    return bool(-found.fun >= sum(d.amount for d in demands) - 1e-6)


def _sums(group: NDArray[np.int64], count: int) -> csr_matrix:
    """A row for each group that adds up its members."""
    return csr_matrix((np.ones(group.size), (group, np.arange(group.size))), shape=(count, group.size))


def _solved(cost: Floats, rows: csr_matrix, most: Floats, equal: csr_matrix | None = None, to: Floats | None = None):  # type: ignore[no-untyped-def]
    found = linprog(cost, rows, most, equal, to, method="highs-ds")  # the simplex ends in a corner, where whole units are whole
    if found.status != 0:
        raise Unavailable(f"allocate: the solver gave up: {found.message}")
    return found


def _milp(cost: Floats, limits: list[LinearConstraint], whole: Floats, bounds: Bounds):  # type: ignore[no-untyped-def]
    found = milp(cost, constraints=limits, integrality=whole, bounds=bounds, options={"time_limit": 60.0, "mip_rel_gap": 1e-6})
    if found.x is None or found.status not in (0, 1):
        raise Unavailable(f"sites: the solver gave up: {found.message}; ask for fewer sites or places")
    return found


def _clean(values: Floats) -> Floats:
    """Rounding errors of the solver away: nothing below 0, whole where it is whole to a millionth."""
    near = np.round(values)
    return np.asarray(np.maximum(np.where(np.abs(values - near) < 1e-6, near, values), 0.0))
