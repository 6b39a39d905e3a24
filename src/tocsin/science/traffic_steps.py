"""The inner loops of road traffic: what crosses each junction and each cell in one step, the ways to safety, and the run of a whole evacuation.

All that is compiled together is in this one file: a compiled function is kept on disk until its own file changes, with all that it calls.

Every amount of vehicles is a whole number of grains (2^-20 of a vehicle) held in a float, and every flow is rounded down to one. Sums of
grains are exact below 2^32 vehicles, so nothing is lost or made, and no order of summing and no number of threads changes a bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
_plain: _Compile = njit(nogil=True, cache=True, error_model="numpy")
_inline: _Compile = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)

GRAINS = 1048576.0
CRUMB = 1.0 / 128.0  # what is left in a cell below this goes along with the rest: a free road empties in finite time
NO_WAY, HERE = -1, -2
SOURCE = -3  # the cause of a queue whose street has its own capacity to blame
FREE = 1e-9
CHAIN_MOST = 500
SLOWEST = 0.02  # a street at less than this share of its speed is as good as closed, but counts as open
IDLE = 1 << 62

class Net(NamedTuple):
    """Streets in the order of the node that they lead to: those into node k are in_start[k]..in_start[k + 1]."""

    in_start: Ints
    head: Ints
    tail: Ints
    out_start: Ints
    out_link: Ints
    slot: Ints  # a street's number among those that leave its first node
    cell_start: Ints
    room: Floats  # vehicles that a cell holds at standstill
    entry_flow: Floats  # (node,) vehicles that can set out here in a step
    entry_weight: Floats  # (node,) against the capacity of the streets that come in
    exit_flow: Floats  # (node,) vehicles that can arrive here in a step
    origin_start: Ints  # (node + 1,)
    degree_most: int


class State(NamedTuple):
    """What changes from step to step."""

    cell: Floats  # (cell, bound) vehicles
    cell_total: Floats
    on_link: Floats
    move: Floats  # (street,) share of a cell that drives on in a step when free
    flow: Floats  # (street,) vehicles in a step at capacity
    wave: Floats  # (street,) share of a cell that the backward wave crosses in a step
    leaves: Floats  # (street, bound) in this step
    enters: Floats
    next_link: Ints  # (node, bound)
    queue: Floats  # (origin, bound) who waits to set out
    set_out: Floats  # (origin,)
    waiting: Floats  # (node, bound)
    node_waiting: Floats
    node_cause: Ints
    arrived: Floats  # (node, bound)
    places: Floats  # (node,) that are left
    cause: Ints
    held: Floats  # (street,) vehicle-steps of waiting that are not booked yet
    caused: Floats  # (street,) vehicle-steps of waiting that a street has caused
    busy_link: Ints
    is_busy: Bools
    busy_node: Ints
    node_stamp: Ints
    stamp: Ints
    queue_node: Ints
    in_queue: Bools
    queues: Ints


class Course(NamedTuple):
    """What happens from outside, each in order of its step; and where each bound may end."""

    set_out_step: Ints
    set_out_origin: Ints
    set_out_bound: Ints
    set_out_vehicles: Floats
    change_step: Ints
    change_link: Ints
    change_share: Floats  # of the dry speed; 0 closes
    shut_step: Ints
    shut_origin: Ints
    origin_node: Ints
    is_end: Bools  # (bound, node)
    instead: Ints  # (bound,) whose ways to take where there is none of one's own
    limited: Ints  # nodes with a limited number of places
    end_node: Ints


class Track(NamedTuple):
    """What is written down at each record."""

    step: Ints
    set_out: Floats
    on_road: Floats
    waiting: Floats
    caught: Floats
    arrived: Floats  # (record, end)
    caught_on: Floats  # (street,) vehicles
    stayed: Floats  # (origin,) vehicles that still waited when their origin shut
    counts: Ints  # steps that were computed, trees that were made, street-steps


@_inline
def _whole(vehicles: Any) -> Any:
    """Rounded down to grains."""
    return np.floor(vehicles * GRAINS) / GRAINS


@_inline
def _sent(total: Any, move: Any, flow: Any) -> Any:
    """What a cell can send in a step (Daganzo 1994, eq. 3): what drives out freely, but no more than the capacity."""
    out = total * move
    if total - out < CRUMB:
        out = total
    return min(out, flow)


@_inline
def _taken(total: Any, room: Any, wave: Any, flow: Any) -> Any:
    """What a cell can take in a step (Daganzo 1994, eq. 3): the room that the backward wave has told of, but no more than the capacity."""
    return min(flow, wave * (room - total))


@_plain
def _junctions_of(n: Any, s: Any, first: Any, stop: Any) -> Any:
    """What crosses the busy nodes first..stop in one step.

    First-in first-out on every street, what is scarce is shared by capacity, and nobody holds back who could go: the node model of
    Tampère et al. 2011 (Transp. Res. B 45:289-309, section 4). The streets at a node are numbered from 0; after the last that comes in comes the
    queue of those who set out here, and after the last that goes out the goal that is here. All arrays are taken out of their
    tuples once, and the way through is written in one piece: counting their references at each node costs ten times the arithmetic.
    """
    in_start, out_start, out_link, slot, cell_start = n.in_start, n.out_start, n.out_link, n.slot, n.cell_start
    room, entry_flow, entry_weight, exit_flow, origin_start = n.room, n.entry_flow, n.entry_weight, n.exit_flow, n.origin_start
    cell, cell_total, move, flow, wave, leaves, enters = s.cell, s.cell_total, s.move, s.flow, s.wave, s.leaves, s.enters
    next_link, queue, set_out, waiting, node_waiting = s.next_link, s.queue, s.set_out, s.waiting, s.node_waiting
    node_cause, arrived, places, cause, held, busy_node = s.node_cause, s.arrived, s.places, s.cause, s.held, s.busy_node
    bounds = cell.shape[1]
    size = n.degree_most + 2
    out_sum, out_can, in_can, in_go, weight = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
    out_weight, in_full, done = np.zeros(size), np.zeros(size, np.int64), np.zeros(size, np.bool_)
    part = np.zeros((size, size))
    moved = 0.0
    for x in range(first, stop):
        k = busy_node[x]
        i0, o0 = in_start[k], out_start[k]
        comes, goes = in_start[k + 1] - i0, out_start[k + 1] - o0
        for j in range(goes + 1):
            out_sum[j] = 0.0
        # what every street that comes in would send, by street that goes out
        for i in range(comes):
            last = cell_start[i0 + i + 1] - 1
            total = cell_total[last]
            can = 0.0
            if total > 0.0 and flow[i0 + i] > 0.0:
                can = _sent(total, move[i0 + i], flow[i0 + i])
                for d in range(bounds):  # who knows no way stops at the junction, and all behind him
                    if next_link[k, d] == NO_WAY and cell[last, d] > 0.0:
                        can = 0.0
                share = can / total
                for d in range(bounds):
                    goal = next_link[k, d]
                    if goal != NO_WAY:
                        out_sum[goes if goal == HERE else slot[goal]] += cell[last, d] * share
            in_can[i] = can
            in_go[i] = can
            in_full[i] = -1
        in_can[comes] = 0.0
        here = node_waiting[k]
        if here > 0.0:
            can = min(here, entry_flow[k])
            share = can / here
            for d in range(bounds):
                goal = next_link[k, d]
                if goal != NO_WAY:
                    out_sum[goes if goal == HERE else slot[goal]] += waiting[k, d] * share
            in_can[comes] = can
        in_go[comes] = in_can[comes]
        in_full[comes] = -1
        # what every street that goes out takes
        tight = False
        for j in range(goes):
            if out_sum[j] > 0.0:
                link = out_link[o0 + j]
                out_can[j] = _whole(_taken(cell_total[cell_start[link]], room[link], wave[link], flow[link]))
                if out_sum[j] > out_can[j]:
                    tight = True
        if out_sum[goes] > 0.0:
            out_can[goes] = min(places[k], exit_flow[k])
            if out_sum[goes] > out_can[goes]:
                tight = True
        if tight:
            for i in range(comes + 1):
                for j in range(goes + 1):
                    part[i, j] = 0.0
                if in_can[i] > 0.0:
                    weight[i] = entry_weight[k] if i == comes else flow[i0 + i]
                    for d in range(bounds):
                        goal = next_link[k, d]
                        if goal != NO_WAY:
                            j = goes if goal == HERE else slot[goal]
                            if i == comes:
                                part[i, j] += waiting[k, d] / here
                            else:
                                last = cell_start[i0 + i + 1] - 1
                                part[i, j] += cell[last, d] / cell_total[last]
            share_out(comes, goes, out_sum, out_can, out_weight, in_can, in_go, in_full, weight, part, done)
        # book what crosses, in whole grains: what leaves a street enters another or arrives
        for i in range(comes):
            link = i0 + i
            last = cell_start[link + 1] - 1
            total = cell_total[last]
            if total <= 0.0:
                continue
            full = in_full[i]
            cause[link] = out_link[o0 + full] if 0 <= full < goes else SOURCE
            go = in_go[i]
            if total * move[link] > go:
                held[link] += total * move[link] - go
            if go <= 0.0:
                continue
            share = go / total
            for d in range(bounds):
                amount = cell[last, d]
                if amount > 0.0:
                    if share < 1.0:
                        amount = _whole(amount * share)
                    goal = next_link[k, d]
                    leaves[link, d] = amount
                    moved += amount
                    if goal == HERE:
                        arrived[k, d] += amount
                        places[k] -= amount
                    else:
                        enters[goal, d] += amount
        if here > 0.0:
            full = in_full[comes]
            node_cause[k] = out_link[o0 + full] if 0 <= full < goes else SOURCE
            share = in_go[comes] / here
            if share > 0.0:
                for q in range(origin_start[k], origin_start[k + 1]):
                    for d in range(bounds):
                        amount = queue[q, d]
                        goal = next_link[k, d]
                        if amount > 0.0 and goal != NO_WAY:
                            if share < 1.0:
                                amount = _whole(amount * share)
                            queue[q, d] -= amount
                            set_out[q] += amount
                            waiting[k, d] -= amount
                            node_waiting[k] -= amount
                            moved += amount
                            if goal == HERE:
                                arrived[k, d] += amount
                                places[k] -= amount
                            else:
                                enters[goal, d] += amount
    return moved


@_plain
def share_out(
    comes: Any, goes: Any, out_sum: Any, out_can: Any, out_weight: Any, in_can: Any, in_go: Any, in_full: Any, weight: Any, part: Any, done: Any
) -> None:
    """Where a street that goes out cannot take all: the most contested one is shared by weight, and so on until all are settled.

    `part[i, j]` is the share of what i sends that wants j. `out_can` and `out_weight` are used up. `in_go` is what each sends, `in_full`
    the street that held it up, or -1.
    """
    for j in range(goes + 1):
        out_weight[j] = 0.0
    for i in range(comes + 1):
        done[i] = in_can[i] <= 0.0
        if not done[i]:
            for j in range(goes + 1):
                out_weight[j] += weight[i] * part[i, j]
    for _ in range(comes + goes + 2):
        worst, level = -1, np.inf
        for j in range(goes + 1):
            if out_sum[j] > 0.0 and out_weight[j] > FREE and out_can[j] / out_weight[j] < level:
                worst, level = j, out_can[j] / out_weight[j]
        if worst < 0:
            break
        any_free = False
        for i in range(comes + 1):  # who wants less than his share of it gets all
            if not done[i] and part[i, worst] > 0.0 and in_can[i] <= level * weight[i]:
                any_free, done[i] = True, True
                for j in range(goes + 1):
                    out_can[j] = max(0.0, out_can[j] - in_can[i] * part[i, j])
                    out_weight[j] -= weight[i] * part[i, j]
        if not any_free:
            for i in range(comes + 1):
                if not done[i] and part[i, worst] > 0.0:
                    done[i] = True
                    in_go[i] = level * weight[i]
                    in_full[i] = worst
                    for j in range(goes + 1):
                        out_can[j] = max(0.0, out_can[j] - in_go[i] * part[i, j])
                        out_weight[j] -= weight[i] * part[i, j]
            out_weight[worst] = 0.0


@_plain
def _streets_of(n: Any, s: Any, first: Any, stop: Any) -> Any:
    """One step on the busy streets first..stop: between their cells, from the front to the back, then what left and what came."""
    cell_start, rooms, cell, cell_total = n.cell_start, n.room, s.cell, s.cell_total
    moves, flows, waves, held, leaves, enters = s.move, s.flow, s.wave, s.held, s.leaves, s.enters
    on_link, busy_link = s.on_link, s.busy_link
    bounds = cell.shape[1]
    moved = 0.0
    for x in range(first, stop):
        link = busy_link[x]
        begin, last = cell_start[link], cell_start[link + 1] - 1
        move, flow, wave, room = moves[link], flows[link], waves[link], rooms[link]
        ahead = cell_total[last]  # as it was before the step
        for d in range(bounds):
            amount = leaves[link, d]
            if amount > 0.0:
                cell[last, d] -= amount
                cell_total[last] -= amount
                leaves[link, d] = 0.0
        for c in range(last - 1, begin - 1, -1):
            total = cell_total[c]
            if total > 0.0:
                go = min(_sent(total, move, flow), _whole(_taken(ahead, room, wave, flow)))
                if total * move > go:
                    held[link] += total * move - go
                share = go / total
                if share > 0.0:
                    for d in range(bounds):
                        amount = cell[c, d]
                        if amount > 0.0:
                            if share < 1.0:
                                amount = _whole(amount * share)
                            cell[c, d] -= amount
                            cell_total[c] -= amount
                            cell[c + 1, d] += amount
                            cell_total[c + 1] += amount
                            moved += amount
            ahead = total
        for d in range(bounds):
            amount = enters[link, d]
            if amount > 0.0:
                cell[begin, d] += amount
                cell_total[begin] += amount
                enters[link, d] = 0.0
        on = 0.0
        for c in range(begin, last + 1):
            on += cell_total[c]
        on_link[link] = on
    return moved


@_plain
def root_of(link: Any, n: Any, s: Any) -> Any:
    """The street that a queue goes back to: where the chain of streets that hold each other up begins."""
    for _ in range(CHAIN_MOST):
        following = s.cause[link]
        if following < 0 or not s.is_busy[following]:
            return link if following < 0 else following
        link = following
    return link  # a gridlock: each waits for the next, in a circle


@_plain
def blame(link: Any, n: Any, s: Any) -> None:
    """Book the waiting on a street since it was last booked to the street that caused it, in vehicle-steps."""
    s.caused[root_of(link, n, s)] += s.held[link]
    s.held[link] = 0.0


@_plain
def step(n: Any, s: Any, links: Any, chunks: Any) -> Any:
    """One step of all streets and junctions that hold a vehicle. `links` is how many streets are busy; gives how many are now, and what moved."""
    # junctions: the heads of busy streets and the nodes where somebody waits to set out
    s.stamp[0] += 1
    now = s.stamp[0]
    nodes = 0
    for x in range(links):
        k = n.head[s.busy_link[x]]
        if s.node_stamp[k] != now:
            s.node_stamp[k] = now
            s.busy_node[nodes] = k
            nodes += 1
    kept = 0
    for x in range(s.queues[0]):
        k = s.queue_node[x]
        if s.node_waiting[k] > 0.0:
            s.queue_node[kept] = k
            kept += 1
            if s.node_stamp[k] != now:
                s.node_stamp[k] = now
                s.busy_node[nodes] = k
                nodes += 1
        else:
            s.in_queue[k] = False
    s.queues[0] = kept
    moved = _junctions_of(n, s, 0, nodes)
    # streets that were empty and are entered now
    bounds = s.cell.shape[1]
    for x in range(nodes):
        k = s.busy_node[x]
        for d in range(bounds):
            goal = s.next_link[k, d]
            if goal >= 0 and not s.is_busy[goal]:
                entered = False
                for e in range(bounds):
                    if s.enters[goal, e] > 0.0:
                        entered = True
                if entered:
                    s.is_busy[goal] = True
                    s.busy_link[links] = goal
                    links += 1
    moved += _streets_of(n, s, 0, links)
    kept = 0
    for x in range(links):
        link = s.busy_link[x]
        if s.on_link[link] > 0.0:
            s.busy_link[kept] = link
            kept += 1
        else:
            s.is_busy[link] = False
            if s.held[link] > 0.0:
                blame(link, n, s)
    return kept, moved


@_plain
def ways_to(nodes: Any, in_start: Any, tail: Any, cost_s: Any, is_end: Any, width_s: Any, next_link: Any, time_s: Any) -> None:
    """The quickest way from every node to the nearest end: the link to take (or HERE, NO_WAY) and how long it takes.

    Buckets as wide as the quickest link settle every node in them at once: exact (Denardo & Fox 1979, Oper. Res. 27:161-186; Dinitz 1978).
    A link whose cost is not finite is closed.
    """
    links = tail.size
    most = 0.0
    for link in range(links):
        if cost_s[link] < np.inf and cost_s[link] > most:
            most = cost_s[link]
    rings = int(most / width_s) + 3
    first = np.full(rings, -1, np.int64)
    after = np.empty(links + nodes, np.int64)
    what = np.empty(links + nodes, np.int64)
    used = 0
    settled = np.zeros(nodes, np.bool_)
    waiting = 0
    for k in range(nodes):
        next_link[k] = NO_WAY
        time_s[k] = np.inf
        if is_end[k]:
            next_link[k], time_s[k] = HERE, 0.0
            what[used], after[used] = k, first[0]
            first[0] = used
            used += 1
            waiting += 1
    bucket = 0
    while waiting > 0:
        entry = first[bucket % rings]
        first[bucket % rings] = -1
        while entry >= 0:
            k = what[entry]
            entry = after[entry]
            waiting -= 1
            if settled[k]:
                continue
            settled[k] = True
            for link in range(in_start[k], in_start[k + 1]):
                there = time_s[k] + cost_s[link]
                a = tail[link]
                if there < time_s[a]:
                    time_s[a], next_link[a] = there, link
                    slot = int(there / width_s) % rings
                    what[used], after[used] = a, first[slot]
                    first[slot] = used
                    used += 1
                    waiting += 1
        bucket += 1


@_plain
def _close(link: Any, n: Any, s: Any, track: Any, dt: Any) -> Any:
    """Close a street: who is on it is caught."""
    caught = 0.0
    for c in range(n.cell_start[link], n.cell_start[link + 1]):
        caught += s.cell_total[c]
        s.cell_total[c] = 0.0
        s.cell[c, :] = 0.0
    s.on_link[link] = 0.0
    s.flow[link] = 0.0
    track.caught_on[link] += caught
    return caught


@_plain
def _slow(link: Any, share: Any, s: Any, dry_move: Any, dry_flow: Any) -> None:
    """A street at a share of its dry speed: the flow is that of a triangle with the same backward wave and the same standstill."""
    if s.flow[link] <= 0.0:
        return
    move = dry_move[link] * max(share, SLOWEST)
    if move >= s.move[link]:
        return
    # flow = v w kj / (v + w): per step, with v and w as shares of a cell and kj as vehicles in a cell
    s.flow[link] = dry_flow[link] * (move / (move + s.wave[link])) / (dry_move[link] / (dry_move[link] + s.wave[link]))
    s.move[link] = move


@_plain
def _costs(n: Any, s: Any, dt: Any, links: Any, heed_jams: Any, cost_s: Any) -> None:
    """The time that each street takes now, s; +inf where it is closed. With `heed_jams`, at the speeds of the traffic on it."""
    for link in range(cost_s.size):
        cells = n.cell_start[link + 1] - n.cell_start[link]
        cost_s[link] = np.inf if s.flow[link] <= 0.0 else cells * dt / s.move[link]
    if heed_jams:
        for x in range(links):
            link = s.busy_link[x]
            if s.flow[link] > 0.0:
                cost = 0.0
                for c in range(n.cell_start[link], n.cell_start[link + 1]):
                    speed = s.move[link]
                    if s.cell_total[c] > 0.0:
                        speed = min(speed, max(s.wave[link] * (n.room[link] - s.cell_total[c]) / s.cell_total[c], SLOWEST * speed))
                    cost += dt / speed
                cost_s[link] = cost


@_plain
def find_ways(n: Any, s: Any, course: Any, dt: Any, links: Any, heed_jams: Any, cost_s: Any, time_s: Any, column: Any, open_end: Any) -> None:
    """The way to take from every node, for every bound."""
    nodes = n.in_start.size - 1
    _costs(n, s, dt, links, heed_jams, cost_s)
    for d in range(course.is_end.shape[0]):
        for k in range(nodes):
            open_end[k] = course.is_end[d, k] and s.places[k] >= CRUMB
        ways_to(nodes, n.in_start, n.tail, cost_s, open_end, dt, column, time_s[d])
        for k in range(nodes):
            s.next_link[k, d] = column[k]
    for d in range(course.instead.size):
        other = course.instead[d]
        if other >= 0:
            for k in range(nodes):
                if s.next_link[k, d] == NO_WAY:
                    s.next_link[k, d] = s.next_link[k, other]


@_plain
def _is_on_a_way(link: Any, n: Any, s: Any) -> Any:
    a = n.tail[link]
    for d in range(s.next_link.shape[1]):
        if s.next_link[a, d] == link:
            return True
    return False


@_plain
def run(n: Any, s: Any, course: Any, track: Any, dt: Any, steps: Any, reroute_steps: Any, heed_jams: Any, chunks: Any) -> Any:
    """Play all steps. Stops early when nobody is left who could still move or come to harm; gives the step where it stopped."""
    nodes, count = n.in_start.size - 1, n.head.size
    bounds = s.cell.shape[1]
    cost_s, time_s = np.empty(count), np.empty((bounds, nodes))
    column, open_end = np.empty(nodes, np.int64), np.empty(nodes, np.bool_)
    dry_move, dry_flow = s.move.copy(), s.flow.copy()
    leave, change, shut, record = 0, 0, 0, 0
    leaves, changes, shuts, records = course.set_out_step.size, course.change_step.size, course.shut_step.size, track.step.size
    links = 0
    out, caught = 0.0, 0.0
    next_ways, dirty = 0, True
    last_record = 0
    i = 0
    while i < steps:
        # what happens from outside at the start of this step
        while change < changes and course.change_step[change] <= i:
            link, share = course.change_link[change], course.change_share[change]
            change += 1
            if s.flow[link] > 0.0 and _is_on_a_way(link, n, s):
                dirty = True
            if share <= 0.0:
                caught += _close(link, n, s, track, dt)
            else:
                _slow(link, share, s, dry_move, dry_flow)
        while shut < shuts and course.shut_step[shut] <= i:
            q = course.shut_origin[shut]
            k = course.origin_node[q]
            shut += 1
            for d in range(bounds):
                amount = s.queue[q, d]
                s.queue[q, d] = 0.0
                s.waiting[k, d] -= amount
                s.node_waiting[k] -= amount
                track.stayed[q] += amount
        while leave < leaves and course.set_out_step[leave] <= i:
            q, d, amount = course.set_out_origin[leave], course.set_out_bound[leave], course.set_out_vehicles[leave]
            k = course.origin_node[q]
            leave += 1
            s.queue[q, d] += amount
            s.waiting[k, d] += amount
            s.node_waiting[k] += amount
            if not s.in_queue[k]:
                s.in_queue[k] = True
                s.queue_node[s.queues[0]] = k
                s.queues[0] += 1
        for x in range(course.limited.size):
            k = course.limited[x]
            if 0.0 < s.places[k] < CRUMB:
                s.places[k] = 0.0
                dirty = True
                next_ways = i
            elif s.places[k] == 0.0 and s.next_link[k, 0] == HERE:
                dirty = True
                next_ways = i
        if i >= next_ways and (dirty or heed_jams):
            find_ways(n, s, course, dt, links, heed_jams, cost_s, time_s, column, open_end)
            track.counts[1] += 1
            next_ways, dirty = i + reroute_steps, False
        links, moved = step(n, s, links, chunks)
        track.counts[0] += 1
        track.counts[2] += links
        following = i + 1
        if moved == 0.0:  # nothing stirs: go on to what happens next from outside
            following = IDLE
            if leave < leaves:
                following = min(following, course.set_out_step[leave])
            if change < changes and (links > 0 or s.queues[0] > 0 or leave < leaves):
                following = min(following, course.change_step[change])
            if shut < shuts and (s.queues[0] > 0 or leave < leaves):
                following = min(following, course.shut_step[shut])
            if (dirty or heed_jams) and (links > 0 or s.queues[0] > 0):
                following = min(following, next_ways)
            following = min(max(following, i + 1), steps)
        while record < records and track.step[record] <= following:
            span = float(track.step[record] - last_record)
            last_record = track.step[record]
            on, waits = 0.0, 0.0
            for x in range(links):
                link = s.busy_link[x]
                on += s.on_link[link]
                if s.held[link] > 0.0:
                    blame(link, n, s)
            for x in range(s.queues[0]):
                k = s.queue_node[x]
                if s.node_waiting[k] > 0.0:
                    waits += s.node_waiting[k]
                    if s.node_cause[k] >= 0:
                        s.caused[root_of(s.node_cause[k], n, s)] += s.node_waiting[k] * span
            track.on_road[record], track.waiting[record], track.caught[record] = on, waits, caught
            total = 0.0
            for e in range(course.end_node.size):
                k = course.end_node[e]
                here = 0.0
                for d in range(bounds):
                    here += s.arrived[k, d]
                track.arrived[record, e] = here
                total += here
            out = on + caught + total
            track.set_out[record] = out
            record += 1
        i = following
    return i
